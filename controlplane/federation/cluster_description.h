// What clusters that are about to be linked tell of themselves, and whether that may be believed.
// What comes from another cluster is foreign until it has been through here. Pure.
#ifndef WEFT_CONTROLPLANE_FEDERATION_CLUSTER_DESCRIPTION_H_
#define WEFT_CONTROLPLANE_FEDERATION_CLUSTER_DESCRIPTION_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "controlplane/model/world.h"

namespace weft::peer::v1 {
class ClusterDescription;
}  // namespace weft::peer::v1

namespace weft {

// Of one cluster: some 50 roots, far more than the two of a rotation.
inline constexpr size_t kMaxDescribedRoots = 64 << 10;  // bytes

void ToWire(const ClusterIdentity& self, peer::v1::ClusterDescription& wire);
// Errors name the field.
absl::StatusOr<Peer> FromWire(const peer::v1::ClusterDescription& wire);

// Whether this cluster may be linked with `other`. Names and trust domains belong to who has them
// first: neither ours nor those of a cluster in `linked` (by cluster) may be taken, and a cluster
// that is linked keeps its roots but by a rotation, which it tells over the link itself.
absl::Status MayBeLinked(const Peer& other, const ClusterIdentity& self,
                         const std::map<std::string, Peer>& linked);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_CLUSTER_DESCRIPTION_H_
