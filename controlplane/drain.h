// Draining a cluster: its traffic goes to other clusters as far as they can take it, and comes back
// when an operator says so. Nothing is cut: what is under way ends where it began, and a service
// that no other cluster has stays where it is.
//
// An operator asks for it by weft.admin.v1.Cluster/Drain. A restart keeps it.
#ifndef WEFT_CONTROLPLANE_DRAIN_H_
#define WEFT_CONTROLPLANE_DRAIN_H_

#include <functional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/transport/grpc_port.h"

namespace weft {

// What the data folder says; false where it says nothing. Unreadable or torn: an error that names
// the file.
absl::StatusOr<bool> LoadDraining(const std::string& data_folder);
absl::Status SaveDraining(const std::string& data_folder, bool draining);

// `set` puts it in force, once it is on disk: what was answered holds after a crash.
void AddDrainService(const std::string& data_folder, std::function<void(bool draining)> set,
                     GrpcServices& services);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_DRAIN_H_
