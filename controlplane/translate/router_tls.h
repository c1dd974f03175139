// TLS of a router's server towards its clients.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_ROUTER_TLS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_ROUTER_TLS_H_

#include "api/envoy/core.pb.h"
#include "controlplane/translate/router_plan.h"

namespace weft {

// Of a server that terminates TLS.
envoy::config::core::v3::TransportSocket RouterDownstreamTls(const RouterServer& server);

// Whether clients show certificates, or may.
bool AsksClients(const RouterServer& server);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ROUTER_TLS_H_
