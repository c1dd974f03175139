#include "proxy/config/format_string.h"

#include <stdlib.h>
#include <unistd.h>

#include <array>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace weft {
namespace {

// What may stand in parentheses behind an operator.
enum class Argument : uint8_t { kNone, kHeader, kText, kOptionalText };

struct Known {
  absl::string_view name;
  FormatOperator op;
  Argument argument = Argument::kNone;
};

using Op = FormatOperator;

constexpr Known kKnown[] = {
    {"REQ", Op::kRequestHeader, Argument::kHeader},
    {"RESP", Op::kResponseHeader, Argument::kHeader},
    {"TRAILER", Op::kResponseTrailer, Argument::kHeader},
    {"REQUEST_TRAILER", Op::kRequestTrailer, Argument::kHeader},
    {"START_TIME", Op::kStartTime, Argument::kOptionalText},
    {"PROTOCOL", Op::kProtocol},
    {"RESPONSE_CODE", Op::kResponseCode},
    {"RESPONSE_CODE_DETAILS", Op::kResponseCodeDetails, Argument::kOptionalText},
    {"RESPONSE_FLAGS", Op::kResponseFlags},
    {"RESPONSE_FLAGS_LONG", Op::kResponseFlagsLong},
    {"BYTES_RECEIVED", Op::kBytesReceived},
    {"BYTES_SENT", Op::kBytesSent},
    {"DURATION", Op::kDuration},
    {"REQUEST_DURATION", Op::kRequestDuration},
    {"REQUEST_TX_DURATION", Op::kRequestTxDuration},
    {"RESPONSE_DURATION", Op::kResponseDuration},
    {"RESPONSE_TX_DURATION", Op::kResponseTxDuration},
    {"GRPC_STATUS", Op::kGrpcStatus, Argument::kOptionalText},
    {"GRPC_STATUS_NUMBER", Op::kGrpcStatusNumber},
    {"ROUTE_NAME", Op::kRouteName},
    {"VIRTUAL_HOST_NAME", Op::kVirtualHostName},
    {"VIRTUAL_CLUSTER_NAME", Op::kNothing},
    {"CONNECTION_TERMINATION_DETAILS", Op::kConnectionTerminationDetails},
    {"LOCAL_REPLY_BODY", Op::kLocalReplyBody},
    {"UNIQUE_ID", Op::kUniqueId},
    {"STREAM_ID", Op::kStreamId},
    {"TRACE_ID", Op::kNothing},
    {"ACCESS_LOG_TYPE", Op::kNothing},
    {"UPSTREAM_HOST", Op::kUpstreamHost},
    {"UPSTREAM_HOST_NAME", Op::kUpstreamHostName},
    {"UPSTREAM_CLUSTER", Op::kUpstreamCluster},
    {"UPSTREAM_CLUSTER_RAW", Op::kUpstreamCluster},
    {"UPSTREAM_LOCAL_ADDRESS", Op::kUpstreamLocalAddress},
    {"UPSTREAM_REMOTE_ADDRESS", Op::kUpstreamRemoteAddress},
    {"UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Op::kUpstreamRemoteAddressWithoutPort},
    {"UPSTREAM_REMOTE_PORT", Op::kUpstreamRemotePort},
    {"UPSTREAM_TRANSPORT_FAILURE_REASON", Op::kUpstreamTransportFailureReason},
    {"UPSTREAM_REQUEST_ATTEMPT_COUNT", Op::kUpstreamRequestAttemptCount},
    {"UPSTREAM_PROTOCOL", Op::kUpstreamProtocol},
    {"CONNECTION_ID", Op::kConnectionId},
    {"DOWNSTREAM_REMOTE_ADDRESS", Op::kDownstreamRemoteAddress},
    {"DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT", Op::kDownstreamRemoteAddressWithoutPort},
    {"DOWNSTREAM_REMOTE_PORT", Op::kDownstreamRemotePort},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS", Op::kDownstreamDirectRemoteAddress},
    {"DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
     Op::kDownstreamDirectRemoteAddressWithoutPort},
    {"DOWNSTREAM_DIRECT_REMOTE_PORT", Op::kDownstreamDirectRemotePort},
    {"DOWNSTREAM_LOCAL_ADDRESS", Op::kDownstreamLocalAddress},
    {"DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT", Op::kDownstreamLocalAddressWithoutPort},
    {"DOWNSTREAM_LOCAL_PORT", Op::kDownstreamLocalPort},
    {"REQUESTED_SERVER_NAME", Op::kRequestedServerName},
    {"DOWNSTREAM_TLS_VERSION", Op::kDownstreamTlsVersion},
    {"DOWNSTREAM_TLS_CIPHER", Op::kDownstreamTlsCipher},
    {"DOWNSTREAM_PEER_URI_SAN", Op::kDownstreamPeerUriSan},
    {"DOWNSTREAM_PEER_SUBJECT", Op::kDownstreamPeerSubject},
    {"DOWNSTREAM_PEER_FINGERPRINT_256", Op::kDownstreamPeerFingerprint256},
    {"DOWNSTREAM_LOCAL_URI_SAN", Op::kDownstreamLocalUriSan},
    {"DOWNSTREAM_TRANSPORT_FAILURE_REASON", Op::kDownstreamTransportFailureReason},
    {"FILTER_CHAIN_NAME", Op::kFilterChainName},
    {"LISTENER_NAME", Op::kListenerName},
    // Of things this proxy does not have.
    {"DYNAMIC_METADATA", Op::kNothing, Argument::kText},
    {"CLUSTER_METADATA", Op::kNothing, Argument::kText},
    {"UPSTREAM_METADATA", Op::kNothing, Argument::kText},
    {"FILTER_STATE", Op::kNothing, Argument::kText},
    {"UPSTREAM_FILTER_STATE", Op::kNothing, Argument::kText},
    {"DOWNSTREAM_PEER_ISSUER", Op::kNothing},
    {"DOWNSTREAM_PEER_SERIAL", Op::kNothing},
    {"DOWNSTREAM_PEER_FINGERPRINT_1", Op::kNothing},
    {"DOWNSTREAM_PEER_CERT", Op::kNothing},
    {"DOWNSTREAM_PEER_DNS_SAN", Op::kNothing},
    {"DOWNSTREAM_PEER_IP_SAN", Op::kNothing},
    {"DOWNSTREAM_PEER_CERT_V_START", Op::kNothing, Argument::kOptionalText},
    {"DOWNSTREAM_PEER_CERT_V_END", Op::kNothing, Argument::kOptionalText},
    {"DOWNSTREAM_LOCAL_SUBJECT", Op::kNothing},
    {"DOWNSTREAM_LOCAL_DNS_SAN", Op::kNothing},
    {"DOWNSTREAM_TLS_SESSION_ID", Op::kNothing},
    {"UPSTREAM_TLS_VERSION", Op::kNothing},
    {"UPSTREAM_TLS_CIPHER", Op::kNothing},
    {"UPSTREAM_PEER_SUBJECT", Op::kNothing},
    {"UPSTREAM_PEER_URI_SAN", Op::kNothing},
    {"UPSTREAM_CONNECTION_ID", Op::kNothing},
};

absl::Status Wrong(absl::string_view text, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat(": '", text, "': ", problem));
}

// "x-id?x-request-id" into name and alternative.
absl::Status SetHeader(absl::string_view whole, absl::string_view argument, FormatPiece& piece) {
  const std::vector<absl::string_view> names = absl::StrSplit(argument, '?');
  if (names.size() > 2 || names[0].empty()) return Wrong(whole, "needs one header name, or two");
  piece.text = absl::AsciiStrToLower(names[0]);
  if (names.size() == 2) piece.alternative = absl::AsciiStrToLower(names[1]);
  return absl::OkStatus();
}

FormatPiece Literal(std::string text) {
  FormatPiece piece;
  piece.text = std::move(text);
  return piece;
}

std::string HostName() {
  std::array<char, 256> name = {};
  if (gethostname(name.data(), name.size() - 1) != 0 || name[0] == 0) return "-";
  return name.data();
}

// One operator, as it stands between the per cent signs: NAME, NAME(ARGUMENT), NAME(ARGUMENT):MAX.
absl::StatusOr<FormatPiece> ParseOperator(absl::string_view whole) {
  const size_t open = whole.find('(');
  const size_t close = whole.rfind(')');
  absl::string_view name = whole;
  std::optional<absl::string_view> argument;
  absl::string_view length;
  if (open != absl::string_view::npos && close != absl::string_view::npos && open < close) {
    name = whole.substr(0, open);
    argument = whole.substr(open + 1, close - open - 1);
    length = whole.substr(close + 1);
  } else if (const size_t colon = whole.find(':'); colon != absl::string_view::npos) {
    name = whole.substr(0, colon);
    length = whole.substr(colon);
  }
  FormatPiece piece;
  if (!length.empty()) {
    uint32_t most = 0;
    if (length[0] != ':' || !absl::SimpleAtoi(length.substr(1), &most) || most == 0) {
      return Wrong(whole, "a length must follow ':'");
    }
    piece.max_length = most;
  }
  if (name == "HOSTNAME") return Literal(HostName());
  if (name == "ENVIRONMENT") {
    if (!argument.has_value()) return Wrong(whole, "needs the name of a variable");
    const char* value = getenv(std::string(*argument).c_str());
    return Literal(value != nullptr ? value : "-");
  }
  for (const Known& known : kKnown) {
    if (known.name != name) continue;
    piece.op = known.op;
    switch (known.argument) {
      case Argument::kHeader: {
        if (!argument.has_value()) return Wrong(whole, "needs a header name");
        absl::Status status = SetHeader(whole, *argument, piece);
        if (!status.ok()) return status;
        return piece;
      }
      case Argument::kText:
        if (!argument.has_value()) return Wrong(whole, "needs an argument");
        break;
      case Argument::kOptionalText:
        break;
      case Argument::kNone:
        if (argument.has_value()) return Wrong(whole, "takes no argument");
        break;
    }
    piece.text = std::string(argument.value_or(""));
    return piece;
  }
  return Wrong(whole, "is not a command operator that is known");
}

// Where the operator that begins behind `start` ends: at the '%' outside of its parentheses.
// npos: nowhere.
size_t EndOfOperator(absl::string_view text, size_t start) {
  size_t end = start;
  while (end < text.size() && (absl::ascii_isalnum(text[end]) || text[end] == '_')) ++end;
  if (end < text.size() && text[end] == '(') {
    end = text.find(')', end);
    if (end == absl::string_view::npos) return end;
  }
  return text.find('%', end);
}

}  // namespace

absl::StatusOr<FormatString> ParseFormat(absl::string_view text) {
  FormatString format;
  std::string literal;
  const auto flush = [&] {
    if (!literal.empty()) format.pieces.push_back(Literal(std::exchange(literal, "")));
  };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '%') {
      literal.push_back(text[i]);
      continue;
    }
    if (i + 1 < text.size() && text[i + 1] == '%') {
      literal.push_back('%');
      ++i;
      continue;
    }
    const size_t end = EndOfOperator(text, i + 1);
    if (end == absl::string_view::npos) {
      return Wrong(text, "a command operator ends with '%'; a per cent sign is written %%");
    }
    absl::StatusOr<FormatPiece> piece = ParseOperator(text.substr(i + 1, end - i - 1));
    if (!piece.ok()) return piece.status();
    if (piece->op == FormatOperator::kLiteral) {
      literal.append(piece->text);
    } else {
      flush();
      format.pieces.push_back(*std::move(piece));
    }
    i = end;
  }
  flush();
  return format;
}

}  // namespace weft
