// LogCondition: which requests an access log takes, read from the expression of a Telemetry.
//
// Istio's expressions are CEL over Envoy's attributes. Read here is the part that a proxy's own
// access-log filters can decide; anything else is an error that names it. Pure.
#ifndef WEFT_CONTROLPLANE_MODEL_LOG_CONDITION_H_
#define WEFT_CONTROLPLANE_MODEL_LOG_CONDITION_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft {

// A tree in which nothing is negated but its leaves, as filters know no "not".
struct LogCondition {
  enum class Kind {
    kAlways,
    kNever,
    kMutualTls,  // of the connection the request came on
    kNoMutualTls,
    kStatus,      // of the response
    kDuration,    // of the request, in milliseconds
    kGrpcStatus,  // kEqual or kNotEqual only
    kAnyFlag,     // something of Envoy's response flags is set
    kHeader,      // of the request; ":path" and the like too
    kAll,
    kAny,
  };
  enum class Comparison { kEqual, kNotEqual, kAtLeast, kAtMost };
  enum class Text { kPresent, kExact, kPrefix, kSuffix, kContains, kRegex };

  Kind kind = Kind::kAlways;
  Comparison comparison = Comparison::kEqual;
  uint32_t number = 0;
  std::string header;  // lower case
  Text text = Text::kPresent;
  std::string value;     // what the header is compared with; kRegex matches the whole of it
  bool negated = false;  // kHeader; where the header is missing, only a negated kPresent is true
  std::vector<LogCondition> parts;  // of kAll and kAny: two at least, none of them of that kind
};

// Longest expression, and deepest nesting of what it comes to: far beyond what people write, and
// below what the proxy takes (16).
inline constexpr size_t kMaxLogExpression = 4096;
inline constexpr int kMaxLogConditionDepth = 12;

// `response.code`, `response.grpc_status`, `response.flags`, `request.duration`, `request.method`,
// `.path`, `.url_path`, `.host`, `.scheme`, `.useragent`, `.referer`, `.id`, `.headers['x']` and
// `connection.mtls`, with comparisons, startsWith(), endsWith(), contains(), matches(), has(),
// `in`,
// `&&`, `||`, `!` and parentheses.
absl::StatusOr<LogCondition> ParseLogCondition(absl::string_view expression);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_LOG_CONDITION_H_
