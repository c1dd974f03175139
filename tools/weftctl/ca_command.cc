#include "tools/weftctl/ca_command.h"

#include <stdio.h>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/weft/admin.pb.h"
#include "tools/weftctl/weftd_client.h"

namespace weft {
namespace {

// A line for each change that a user wants to see.
class Progress {
 public:
  void Tell(const std::string& bytes) {
    admin::v1::RotateProgress progress;
    if (!progress.ParseFromString(bytes)) return;
    if (progress.done()) return Print(absl::StrCat(progress.stage(), ": done"));
    if (!progress.error().empty()) {
      return Print(absl::StrCat(progress.stage(), ": ", progress.error(), "; trying again"));
    }
    if (progress.waiting_for() == 0) return Print(absl::StrCat(progress.stage(), ": settling"));
    const int more = static_cast<int>(progress.waiting_for()) - progress.waiting_names_size();
    Print(absl::StrCat(progress.stage(), ": waiting for ",
                       absl::StrJoin(progress.waiting_names(), ", "),
                       more > 0 ? absl::StrCat(" and ", more, " more") : ""));
  }

 private:
  void Print(const std::string& line) {
    if (line == last_) return;
    last_ = line;
    printf("%s\n", line.c_str());
    fflush(stdout);
  }
  std::string last_;
};

absl::Status Rotate(const RotateOptions& options) {
  const absl::StatusOr<std::string> socket = AdminSocketOf(options.of);
  if (!socket.ok()) return socket.status();
  admin::v1::RotateRequest request;
  request.set_what(options.what);
  Progress progress;
  return CallWeftdStream(*socket, "/weft.admin.v1.Authority/Rotate", request.SerializeAsString(),
                         options.timeout,
                         [&](const std::string& message) { progress.Tell(message); });
}

}  // namespace

int RotateCa(const RotateOptions& options) {
  const absl::Status rotated = Rotate(options);
  if (!rotated.ok()) {
    fprintf(stderr, "weftctl: %s\n", std::string(rotated.message()).c_str());
    return 1;
  }
  printf("the %s was rotated; the old one is refused\n", options.what.c_str());
  return 0;
}

}  // namespace weft
