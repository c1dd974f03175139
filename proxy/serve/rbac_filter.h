// The RBAC filter: who may make which request (decide/authorize.h).
#ifndef WEFT_PROXY_SERVE_RBAC_FILTER_H_
#define WEFT_PROXY_SERVE_RBAC_FILTER_H_

#include <optional>

#include "proxy/serve/active_filter.h"
#include "proxy/serve/answer.h"

namespace weft {

struct RequestMetadata;

// By the tokens that JWT filters before this one verified; adds what its shadow rules say to
// `metadata`, for the filters behind it.
std::optional<Answer> RunRbac(Exchange& x, const ActiveFilter& active, RequestMetadata& metadata);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_RBAC_FILTER_H_
