// The filter by which a workload's requests are asked about at an external authorizer. For .cc
// files only: it includes generated headers.
//
// As Istio links them: an RBAC filter whose shadow rules are those of the CUSTOM policies comes
// before; it decides nothing, but leaves the name of the policy that matched, and by that this one
// knows whether a request is to be asked about.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_EXTERNAL_AUTHORIZATION_H_
#define WEFT_CONTROLPLANE_TRANSLATE_EXTERNAL_AUTHORIZATION_H_

#include "api/envoy/http_connection_manager.pb.h"
#include "controlplane/translate/authorizers.h"

namespace weft {

// Of those shadow rules: in the names of what they leave, and of their policies.
inline constexpr char kAuthzShadowPrefix[] = "istio_ext_authz_";
inline constexpr char kAuthzPolicyPrefix[] = "istio-ext-authz-";

envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter ExtAuthzFilterFor(
    const Authorizer& authorizer);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_EXTERNAL_AUTHORIZATION_H_
