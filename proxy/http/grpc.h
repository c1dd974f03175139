// What the proxy has to know of gRPC: whether a request is a call, how to refuse one, and the
// timeout it names. Pure.
#ifndef WEFT_PROXY_HTTP_GRPC_H_
#define WEFT_PROXY_HTTP_GRPC_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proxy/http/head.h"

namespace weft {

// By its content type: application/grpc, with or without a +suffix or parameters.
bool IsGrpc(const Headers& headers);

inline constexpr int kGrpcDeadlineExceeded = 4;

// The grpc-status that stands for a reply with this status of HTTP.
int GrpcStatusOf(int http_status);
// The value of grpc-status among headers or trailers; none if there is none or it is not a number.
std::optional<int> GrpcStatusIn(const Headers& headers);

// A grpc-message: what is not printable ASCII, and '%', as %XX.
std::string GrpcMessage(absl::string_view text);

// A message as it goes over HTTP/2: not compressed, behind its length.
std::string FramedMessage(absl::string_view message);
// The message that is all of `body`; none if there is none, or more, or it is compressed. Points
// into `body`.
std::optional<absl::string_view> OnlyMessage(absl::string_view body);

// grpc-timeout: at most 8 digits and a unit ("100m": milliseconds). None if there is none or it is
// malformed.
std::optional<absl::Duration> GrpcTimeout(const Headers& headers);
// Its value, in milliseconds; the longest there is for what is longer.
std::string GrpcTimeoutText(absl::Duration timeout);

}  // namespace weft

#endif  // WEFT_PROXY_HTTP_GRPC_H_
