// FormatString: a text with Envoy's command operators ("%REQ(x-id?y):8% took %DURATION% ms"),
// compiled. telemetry/format.h evaluates it. Immutable once compiled; any thread.
#ifndef WEFT_PROXY_CONFIG_FORMAT_STRING_H_
#define WEFT_PROXY_CONFIG_FORMAT_STRING_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft {

enum class FormatOperator : uint8_t {
  kLiteral,  // `text` as it stands; also what is known while config is compiled: %HOSTNAME%
  // Of headers: `text` is the name, `alternative` the one to take if that is not there.
  kRequestHeader,
  kResponseHeader,
  kRequestTrailer,
  kResponseTrailer,
  // The request and its response.
  kStartTime,  // `text` is a strftime format, or ""
  kProtocol,
  kResponseCode,
  kResponseCodeDetails,
  kResponseFlags,
  kResponseFlagsLong,
  kBytesReceived,
  kBytesSent,
  kDuration,
  kRequestDuration,
  kRequestTxDuration,
  kResponseDuration,
  kResponseTxDuration,
  kGrpcStatus,
  kGrpcStatusNumber,
  kRouteName,
  kVirtualHostName,
  kConnectionTerminationDetails,
  kLocalReplyBody,
  kUniqueId,
  kStreamId,
  // Upstream.
  kUpstreamHost,
  kUpstreamHostName,
  kUpstreamCluster,
  kUpstreamLocalAddress,
  kUpstreamRemoteAddress,
  kUpstreamRemoteAddressWithoutPort,
  kUpstreamRemotePort,
  kUpstreamTransportFailureReason,
  kUpstreamRequestAttemptCount,
  kUpstreamProtocol,
  // Downstream.
  kConnectionId,
  kDownstreamRemoteAddress,
  kDownstreamRemoteAddressWithoutPort,
  kDownstreamRemotePort,
  kDownstreamDirectRemoteAddress,
  kDownstreamDirectRemoteAddressWithoutPort,
  kDownstreamDirectRemotePort,
  kDownstreamLocalAddress,
  kDownstreamLocalAddressWithoutPort,
  kDownstreamLocalPort,
  kRequestedServerName,
  kDownstreamTlsVersion,
  kDownstreamTlsCipher,
  kDownstreamPeerUriSan,
  kDownstreamPeerSubject,
  kDownstreamPeerFingerprint256,
  kDownstreamLocalUriSan,
  kDownstreamTransportFailureReason,
  kFilterChainName,
  kListenerName,
  // Known, but of things this proxy does not have: always empty.
  kNothing,
};

struct FormatPiece {
  FormatOperator op = FormatOperator::kLiteral;
  std::string text;
  std::string alternative;
  size_t max_length = 0;  // 0: no limit
};

struct FormatString {
  std::vector<FormatPiece> pieces;

  bool empty() const { return pieces.empty(); }
  // Its text, if nothing in it depends on the request; else null.
  const std::string* literal() const {
    return pieces.size() == 1 && pieces[0].op == FormatOperator::kLiteral ? &pieces[0].text
                                                                          : nullptr;
  }
};

// An operator that nobody knows, or a '%' without one, is an error; "%%" is a per cent sign.
// %HOSTNAME% and %ENVIRONMENT(X)% are looked up now.
absl::StatusOr<FormatString> ParseFormat(absl::string_view text);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_FORMAT_STRING_H_
