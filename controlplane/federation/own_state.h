// What a cluster says of itself to its peers, as immutable states, one after the other; and what
// has changed since which of them, so that a peer that was away for a while hears only that.
#ifndef WEFT_CONTROLPLANE_FEDERATION_OWN_STATE_H_
#define WEFT_CONTROLPLANE_FEDERATION_OWN_STATE_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/federation/exports.h"
#include "controlplane/model/world.h"

namespace weft {

// Immutable, shared by all streams.
struct OwnState {
  std::shared_ptr<const ClusterIdentity> self;
  std::vector<GatewayAddress> gateways;  // as peers reach them
  PeerExports exports;

  // Zero: nobody can go on from an earlier state.
  uint64_t revision = 0;
  // From which revision on `changed` is complete.
  uint64_t resumable_from = 0;
  // In which revision a service became what it is, or went.
  std::map<ServiceName, uint64_t> changed = {};
};

// Makes the states. Pure; one thread.
class OwnHistory {
 public:
  // Services that went, to be remembered: what is beyond costs peers that were away a full resync.
  static constexpr size_t kMostGone = 10000;

  // The present state, or the one that follows it.
  std::shared_ptr<const OwnState> Next(std::shared_ptr<const ClusterIdentity> self,
                                       std::vector<GatewayAddress> gateways, PeerExports exports);
  const std::shared_ptr<const OwnState>& last() const { return last_; }  // null before the first

 private:
  std::shared_ptr<const OwnState> last_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_OWN_STATE_H_
