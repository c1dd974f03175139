#include "tools/weftctl/cluster_command.h"

#include <stdio.h>

#include <filesystem>

#include "absl/strings/str_cat.h"
#include "api/weft/admin.pb.h"
#include "tools/weftctl/sandbox/state_dir.h"

namespace weft {
namespace {

// weftd answers when it has written down what it was asked for, and that is all it waits for.
constexpr absl::Duration kTimeout = absl::Seconds(5);
constexpr char kSocket[] = "/admin.sock";

absl::StatusOr<std::string> SocketOf(const DrainOptions& options) {
  if (options.weftd.empty()) {
    const absl::StatusOr<sandbox::StateDir> state = sandbox::StateDir::For(options.sandbox);
    if (!state.ok()) return state.status();
    if (!sandbox::IsLabel(options.cluster) ||
        !std::filesystem::is_directory(state->cluster(options.cluster))) {
      return absl::NotFoundError(absl::StrCat("no cluster '", options.cluster, "' in sandbox '",
                                              options.sandbox,
                                              "'; --weftd says where one outside of it is"));
    }
    return absl::StrCat(state->cluster(options.cluster), "/weftd", kSocket);
  }
  std::error_code error;
  const bool folder = std::filesystem::is_directory(options.weftd, error);
  return folder ? absl::StrCat(options.weftd, kSocket) : options.weftd;
}

absl::Status Ask(const DrainOptions& options, const WeftdCall& call) {
  const absl::StatusOr<std::string> socket = SocketOf(options);
  if (!socket.ok()) return socket.status();
  admin::v1::DrainRequest request;
  request.set_draining(options.draining);
  return call(*socket, "/weft.admin.v1.Cluster/Drain", request.SerializeAsString(), kTimeout)
      .status();
}

}  // namespace

int DrainCluster(const DrainOptions& options, const WeftdCall& call) {
  const absl::Status asked = Ask(options, call);
  if (!asked.ok()) {
    fprintf(stderr, "weftctl: %s\n", std::string(asked.message()).c_str());
    return 1;
  }
  printf(options.draining ? "%s is being drained: other clusters take what they can\n"
                          : "%s takes traffic again\n",
         options.cluster.c_str());
  return 0;
}

}  // namespace weft
