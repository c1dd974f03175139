// The ports of a workload and where each leads: those that services name, or, where its Sidecar has
// an `ingress`, those that it lists.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_INBOUND_TARGETS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_INBOUND_TARGETS_H_

#include <cstdint>
#include <map>
#include <string>

#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace istio::networking::v1alpha3 {
class ConnectionPoolSettings;
}  // namespace istio::networking::v1alpha3

namespace weft {

struct InboundTarget {
  Protocol protocol = Protocol::kTcp;
  // An IP, or "unix:///path"; empty: the one of the pod's addresses that the client dialed.
  std::string address;
  uint16_t port = 0;
  const istio::networking::v1alpha3::ConnectionPoolSettings* pool = nullptr;  // null: no limits
};

// By the port that clients dial. Pointers hold as long as the World.
std::map<uint16_t, InboundTarget> InboundTargetsOf(const TranslationIndex& index,
                                                   const ProxyView& view);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_INBOUND_TARGETS_H_
