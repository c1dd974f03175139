// A workload's AuthorizationPolicies as the RBAC filters of its inbound listener.
//
// In Istio's order: what CUSTOM policies select, then DENY, then ALLOW; AUDIT decides nothing. As
// soon as there is an ALLOW policy, what none of them matches is denied. What a CUSTOM policy
// selects is asked about at its provider (external_authorization.h); where that cannot be asked, or
// the workload's policies name several, and on ports without HTTP, it is denied. A policy annotated
// `istio.io/dry-run: "true"` is only counted.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_AUTHORIZATION_H_
#define WEFT_CONTROLPLANE_TRANSLATE_AUTHORIZATION_H_

#include <vector>

#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/listener.pb.h"
#include "controlplane/translate/index.h"

namespace weft {

// Filters in their order; none where no policy applies.
struct AuthorizationFilters {
  std::vector<envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter> http;
  std::vector<envoy::config::listener::v3::Filter> tcp;
  bool asks_path = false;  // one of the policies tells requests apart by their path
};

AuthorizationFilters AuthorizationFiltersFor(const TranslationIndex& index,
                                             const std::string& workload_namespace,
                                             const Labels& labels);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_AUTHORIZATION_H_
