// What the CORS filter makes of a request (the Fetch standard's CORS protocol). Pure.
#ifndef WEFT_PROXY_DECIDE_CORS_H_
#define WEFT_PROXY_DECIDE_CORS_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "proxy/config/cors_config.h"
#include "proxy/http/head.h"

namespace weft {

struct CorsVerdict {
  bool cross_origin = false;  // it has an Origin, and the policy is looked at
  bool allowed = false;       // the policy has that origin
  bool enforced = false;      // else it is only counted
  bool preflight = false;     // OPTIONS that asks whether it may
};
CorsVerdict JudgeOrigin(const CorsConfig& policy, const RequestHead& head, uint64_t random);

// The fields of an answer to an allowed preflight, and of a response to an allowed request.
void AddPreflightHeaders(const CorsConfig& policy, const RequestHead& head, Headers& to);
void AddCorsHeaders(const CorsConfig& policy, absl::string_view origin, Headers& to);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_CORS_H_
