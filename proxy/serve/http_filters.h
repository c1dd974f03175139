// The HTTP filters of a listener, run between the match of a route and the router, in their order,
// with what the route overrides.
#ifndef WEFT_PROXY_SERVE_HTTP_FILTERS_H_
#define WEFT_PROXY_SERVE_HTTP_FILTERS_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "proxy/config/http_filters.h"
#include "proxy/http/head.h"
#include "proxy/runtime/task.h"
#include "proxy/serve/answer.h"

namespace weft {

struct Exchange;

// What filters learnt from the request that their part of the response needs.
struct FilterNotes {
  std::string set_cookie;                       // of a hash policy that makes its cookie
  std::string cors_origin;                      // of an allowed cross-origin request
  SharedFilterConfig cors;                      // by which it is allowed
  const LocalRateLimitConfig* limit = nullptr;  // whose x-ratelimit-* fields to show
  uint64_t limit_most = 0;
  uint64_t limit_left = 0;
  int64_t limit_reset_s = 0;
  std::unique_ptr<std::vector<HeaderToAdd>> authz;  // of authorizers; null: nothing
};

// Whether there is anything to run: ask before RunRequestFilters, whose coroutine costs.
bool HasHttpFilters(const Exchange& x);

// With x.route, x.forward and x.target chosen (they may be null). What comes back is the answer
// that ends the request here; nullopt: it goes on.
Task<std::optional<Answer>> RunRequestFilters(Exchange& x);

// On the head of every final response, also the proxy's own.
void RunResponseFilters(Exchange& x, ResponseHead& head);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_HTTP_FILTERS_H_
