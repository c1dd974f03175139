// The CORS filter: which pages of other origins may read responses (decide/cors.h).
#ifndef WEFT_PROXY_SERVE_CORS_FILTER_H_
#define WEFT_PROXY_SERVE_CORS_FILTER_H_

#include <optional>

#include "proxy/http/head.h"
#include "proxy/serve/active_filter.h"
#include "proxy/serve/answer.h"

namespace weft {

// Answers a preflight; notes what the response to another allowed request has to say.
std::optional<Answer> RunCors(Exchange& x, const ActiveFilter& active);
void AddCorsToResponse(const Exchange& x, Headers& headers);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_CORS_FILTER_H_
