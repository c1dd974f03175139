#include "tools/weftctl/cluster_command.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "api/weft/admin.pb.h"

namespace weft {
namespace {

// A folder with a sandbox "s" of a cluster "west", whose path is short enough for sockets.
std::string NewRuntimeFolder() {
  char path[] = "/tmp/weftctl-test-XXXXXX";
  const std::string folder = mkdtemp(path);
  std::filesystem::create_directories(folder + "/weft/s/west");
  setenv("XDG_RUNTIME_DIR", folder.c_str(), 1);
  return folder;
}

struct Asked {
  int calls = 0;
  std::string socket, method;
  admin::v1::DrainRequest request;
};

WeftdCall Answering(absl::StatusOr<std::string> answer, Asked& asked) {
  return [answer, &asked](const std::string& socket, absl::string_view method,
                          const std::string& request, absl::Duration) {
    ++asked.calls;
    asked.socket = socket;
    asked.method = std::string(method);
    EXPECT_TRUE(asked.request.ParseFromString(request));
    return answer;
  };
}

TEST(DrainCluster, AsksTheWeftdThatIsMeant) {
  const std::string folder = NewRuntimeFolder();
  struct Row {
    DrainOptions options;
    std::string socket;
  } rows[] = {
      {{{"west", "s", ""}, true}, folder + "/weft/s/west/weftd/admin.sock"},
      {{{"west", "s", ""}, false}, folder + "/weft/s/west/weftd/admin.sock"},
      {{{"prod", "s", folder}, true}, folder + "/admin.sock"},
      {{{"prod", "s", "/run/other.sock"}, true}, "/run/other.sock"},
  };
  for (const Row& row : rows) {
    Asked asked;
    EXPECT_EQ(DrainCluster(row.options, Answering("", asked)), 0);
    EXPECT_EQ(asked.calls, 1);
    EXPECT_EQ(asked.socket, row.socket);
    EXPECT_EQ(asked.method, "/weft.admin.v1.Cluster/Drain");
    EXPECT_EQ(asked.request.draining(), row.options.draining);
  }
  std::filesystem::remove_all(folder);
}

TEST(DrainCluster, SaysWhatFailed) {
  const std::string folder = NewRuntimeFolder();
  Asked asked;
  for (const char* nobody : {"mars", "../s", ""}) {
    EXPECT_EQ(DrainCluster({{nobody, "s", ""}, true}, Answering("", asked)), 1) << nobody;
  }
  EXPECT_EQ(asked.calls, 0);
  const auto away = Answering(absl::UnavailableError("nobody listens"), asked);
  EXPECT_EQ(DrainCluster({{"prod", "s", "/run/other.sock"}, true}, away), 1);
  EXPECT_EQ(asked.calls, 1);
  std::filesystem::remove_all(folder);
}

}  // namespace
}  // namespace weft
