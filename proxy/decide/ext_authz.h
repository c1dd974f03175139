// Whether an external authorizer lets a request pass: what it is asked over HTTP, and what its
// answer means. Pure. decide/ext_authz_message.h has the same over gRPC.
//
// An answer is a stranger's bytes: what of it could not be passed on in good order makes it an
// error, never something that is sent on.
#ifndef WEFT_PROXY_DECIDE_EXT_AUTHZ_H_
#define WEFT_PROXY_DECIDE_EXT_AUTHZ_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proxy/config/ext_authz_config.h"
#include "proxy/decide/shadow_verdict.h"
#include "proxy/http/head.h"

namespace weft {

struct AuthzVerdict {
  enum class Kind : uint8_t { kOk, kDenied, kError };
  Kind kind = Kind::kError;
  std::string problem;  // kError: for the log

  // kOk: what changes in the request, the removals last.
  std::vector<HeaderToAdd> request;
  std::vector<std::string> remove;
  // kOk: what the client's response gets. kDenied: what the answer has.
  std::vector<HeaderToAdd> response;
  // kDenied.
  int status = 403;
  std::string body;

  static AuthzVerdict Error(std::string problem);
};

// As much of the request's body as is told.
struct CheckBody {
  absl::string_view bytes;
  bool partial = false;  // there is more
};

// Whether the request is one of those that are asked about.
bool IsAskedAbout(const ExtAuthzConfig& config, absl::Span<const ShadowVerdict> shadows,
                  uint64_t random);

// The question over HTTP, without config.check_headers, which may want to be formatted.
RequestHead HttpCheck(const ExtAuthzConfig& config, const RequestHead& head,
                      const std::optional<CheckBody>& body);

// What an answer over HTTP means. Changes `answer`.
AuthzVerdict HttpVerdict(const ExtAuthzConfig::Http& config, ResponseHead& answer,
                         std::string body);

// Whether a field is of one message's own frame, and not for another one: Content-Length, Host, and
// what concerns a connection.
bool IsOfFrame(absl::string_view name);

// Tells the authorizer whether it was shown the whole body.
inline constexpr absl::string_view kPartialBodyHeader = "x-envoy-auth-partial-body";

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_EXT_AUTHZ_H_
