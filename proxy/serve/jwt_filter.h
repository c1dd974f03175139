// The JWT filter: requests bring the tokens that they need (decide/jwt_auth.h).
#ifndef WEFT_PROXY_SERVE_JWT_FILTER_H_
#define WEFT_PROXY_SERVE_JWT_FILTER_H_

#include <optional>
#include <vector>

#include "proxy/serve/active_filter.h"
#include "proxy/serve/answer.h"

namespace weft {

struct VerifiedToken;

// Adds what it verified to `tokens`, for the filters behind it.
std::optional<Answer> RunJwt(Exchange& x, const ActiveFilter& active,
                             std::vector<VerifiedToken>& tokens);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_JWT_FILTER_H_
