// The RBAC filter: who may make which request (decide/authorize.h).
#ifndef WEFT_PROXY_SERVE_RBAC_FILTER_H_
#define WEFT_PROXY_SERVE_RBAC_FILTER_H_

#include <optional>
#include <vector>

#include "proxy/serve/active_filter.h"
#include "proxy/serve/answer.h"

namespace weft {

struct VerifiedToken;

// `tokens`: those that JWT filters before this one verified.
std::optional<Answer> RunRbac(Exchange& x, const ActiveFilter& active,
                              const std::vector<VerifiedToken>& tokens);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_RBAC_FILTER_H_
