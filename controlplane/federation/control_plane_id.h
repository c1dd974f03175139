// Who weftd and the gateways of a cluster are, to everybody: one identity in each trust domain, so
// that a link needs to say nothing about it.
#ifndef WEFT_CONTROLPLANE_FEDERATION_CONTROL_PLANE_ID_H_
#define WEFT_CONTROLPLANE_FEDERATION_CONTROL_PLANE_ID_H_

#include <string>

#include "absl/strings/str_cat.h"
#include "certs/spiffe_id.h"

namespace weft {

// spiffe://TRUST-DOMAIN/ns/weft-system/sa/weftd
inline certs::SpiffeId ControlPlaneId(const std::string& trust_domain) {
  certs::SpiffeId id;
  id.trust_domain = trust_domain;
  id.namespace_ = "weft-system";
  id.service_account = "weftd";
  return id;
}

// spiffe://TRUST-DOMAIN/ns/weft-system/sa/weft-gateway
inline certs::SpiffeId GatewayId(const std::string& trust_domain) {
  certs::SpiffeId id = ControlPlaneId(trust_domain);
  id.service_account = "weft-gateway";
  return id;
}

// "peer.west.weft": the name by which a gateway knows its own cluster's peer API.
inline std::string PeerServerName(const std::string& cluster) {
  return absl::StrCat("peer.", cluster, ".weft");
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_CONTROL_PLANE_ID_H_
