// Outbound listeners of a sidecar: the one that captured connections enter by, one per HTTP port,
// and one per address and port of a TCP service. The latter two bind nothing. What is for any
// address is for any of the client's IP families, and called "0.0.0.0" all the same.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_LISTENERS_OUTBOUND_H_
#define WEFT_CONTROLPLANE_TRANSLATE_LISTENERS_OUTBOUND_H_

#include <string>
#include <vector>

#include "controlplane/translate/destinations.h"
#include "controlplane/translate/resources.h"

namespace envoy::config::listener::v3 {
class Listener;
}  // namespace envoy::config::listener::v3

namespace weft {

EncodedResources OutboundListeners(const RouteContext& context);

// What these and EntryListeners (listeners_entry.h) begin as.
envoy::config::listener::v3::Listener NewOutboundListener(const std::string& name,
                                                          const std::vector<std::string>& ips,
                                                          uint16_t port);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_LISTENERS_OUTBOUND_H_
