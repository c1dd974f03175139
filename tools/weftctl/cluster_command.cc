#include "tools/weftctl/cluster_command.h"

#include <stdio.h>

#include "api/weft/admin.pb.h"

namespace weft {
namespace {

// weftd answers when it has written down what it was asked for, and that is all it waits for.
constexpr absl::Duration kTimeout = absl::Seconds(5);

absl::Status Ask(const DrainOptions& options, const WeftdCall& call) {
  const absl::StatusOr<std::string> socket = AdminSocketOf(options);
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
