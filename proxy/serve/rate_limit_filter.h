// The local rate limit filter: a token bucket, a worker's part of it.
#ifndef WEFT_PROXY_SERVE_RATE_LIMIT_FILTER_H_
#define WEFT_PROXY_SERVE_RATE_LIMIT_FILTER_H_

#include <optional>

#include "proxy/http/head.h"
#include "proxy/serve/active_filter.h"
#include "proxy/serve/answer.h"

namespace weft {

std::optional<Answer> RunRateLimit(Exchange& x, const ActiveFilter& active);
// The x-ratelimit-* fields, where config asks for them.
void AddLimitToResponse(const Exchange& x, Headers& headers);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_RATE_LIMIT_FILTER_H_
