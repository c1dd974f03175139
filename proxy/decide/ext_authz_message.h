// The messages of envoy.service.auth.v3: what an external authorizer is asked over gRPC, and what
// its answer means. Pure.
#ifndef WEFT_PROXY_DECIDE_EXT_AUTHZ_MESSAGE_H_
#define WEFT_PROXY_DECIDE_EXT_AUTHZ_MESSAGE_H_

#include <map>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proxy/decide/authorize.h"
#include "proxy/decide/ext_authz.h"
#include "proxy/net/address.h"

namespace weft {

// The RPC's path.
inline constexpr absl::string_view kCheckPath = "/envoy.service.auth.v3.Authorization/Check";

// What can be told of a request. Borrowed, for the call.
struct CheckFacts {
  const RequestHead& head;
  BodyLength length;
  std::optional<CheckBody> body;
  absl::Time time;
  const Address& source;
  const Address& destination;
  absl::string_view source_principal;
  absl::string_view destination_principal;
  absl::string_view server_name;
  const std::map<std::string, std::string>* context_extensions = nullptr;  // null: none
  absl::Span<const TokenMetadata> tokens;
  absl::Span<const ShadowVerdict> shadows;
};

// A CheckRequest, encoded.
std::string CheckMessage(const ExtAuthzConfig& config, const CheckFacts& facts);

// Of a CheckResponse, encoded.
AuthzVerdict MessageVerdict(absl::string_view message);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_EXT_AUTHZ_MESSAGE_H_
