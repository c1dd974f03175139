// Outbound listeners of a sidecar: the one that captured connections enter by, one per HTTP port,
// and one per address and port of a TCP service. The latter two bind nothing.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_LISTENERS_OUTBOUND_H_
#define WEFT_CONTROLPLANE_TRANSLATE_LISTENERS_OUTBOUND_H_

#include "controlplane/translate/destinations.h"
#include "controlplane/translate/resources.h"

namespace envoy::config::listener::v3 {
class Filter;
class Listener;
}  // namespace envoy::config::listener::v3

namespace weft {

EncodedResources OutboundListeners(const RouteContext& context);

// What these and EntryListeners (listeners_entry.h) are made of.
envoy::config::listener::v3::Listener NewOutboundListener(const std::string& name,
                                                          absl::string_view ip, uint16_t port);
// Where connections to one port of a service go.
envoy::config::listener::v3::Filter TcpFilter(const RouteContext& context, const Service& service,
                                              uint16_t port);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_LISTENERS_OUTBOUND_H_
