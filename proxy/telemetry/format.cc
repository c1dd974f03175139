#include "proxy/telemetry/format.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft {
namespace {

using Value = std::optional<std::string>;

Value NotEmpty(absl::string_view text) {
  return text.empty() ? std::nullopt : Value(std::string(text));
}

Value Milliseconds(absl::Duration duration) {
  if (duration == absl::InfiniteDuration()) return std::nullopt;
  return absl::StrCat(absl::ToInt64Milliseconds(duration));
}

Value Field(const Headers& headers, absl::string_view name) {
  const auto values = headers.GetAll(name);
  if (values.empty()) return std::nullopt;
  return values.size() == 1 ? std::string(values[0]) : absl::StrJoin(values, ",");
}

Value RequestField(absl::string_view name, const FormatInput& input) {
  const RequestRecord& record = *input.record;
  if (input.request == nullptr) return std::nullopt;
  const RequestHead& head = *input.request;
  if (name == ":method") return NotEmpty(head.method);
  if (name == ":path") return NotEmpty(head.path);
  if (name == ":authority" || name == "host") return NotEmpty(head.authority);
  if (name == ":scheme") return NotEmpty(head.scheme);
  Value value = Field(head.headers, name);
  // What the client asked for, also where nothing upstream is told of it.
  if (!value.has_value() && name == "x-envoy-original-path" && record.path != head.path) {
    return NotEmpty(record.path);
  }
  return value;
}

template <typename Lookup>  // Value(absl::string_view name)
Value WithAlternative(const FormatPiece& piece, Lookup lookup) {
  Value value = lookup(piece.text);
  if (!value.has_value() && !piece.alternative.empty()) value = lookup(piece.alternative);
  return value;
}

// "10.0.0.1:80" and "[::1]:80"; a Unix socket has no port.
struct HostAndPort {
  absl::string_view host;
  absl::string_view port;
};

HostAndPort SplitAddress(absl::string_view address) {
  const size_t colon = address.rfind(':');
  if (colon == absl::string_view::npos || absl::StartsWith(address, "unix:")) return {address, ""};
  absl::string_view host = address.substr(0, colon);
  if (absl::StartsWith(host, "[") && absl::EndsWith(host, "]")) {
    host = host.substr(1, host.size() - 2);
  }
  return {host, address.substr(colon + 1)};
}

absl::string_view DirectRemote(const RequestRecord& record) {
  return record.downstream_direct_remote.empty() ? record.downstream_remote
                                                 : record.downstream_direct_remote;
}

Value Protocol(const FormatInput& input) {
  if (input.request == nullptr) return NotEmpty(input.record->protocol);
  switch (input.request->version) {
    case HttpVersion::kHttp10:
      return "HTTP/1.0";
    case HttpVersion::kHttp11:
      return "HTTP/1.1";
    case HttpVersion::kHttp2:
      return "HTTP/2";
  }
  return std::nullopt;
}

Value Flags(const RequestRecord& record, absl::string_view (*name)(ResponseFlag)) {
  const ResponseFlags flags = record.flags();
  if (flags.empty()) return std::nullopt;
  std::string names;
  for (int i = 1; i < kResponseFlags; ++i) {
    const auto flag = static_cast<ResponseFlag>(i);
    if (flags.Has(flag)) absl::StrAppend(&names, names.empty() ? "" : ",", name(flag));
  }
  return names;
}

// Not every strftime of Envoy's: %s, %f and %<digit>f besides what absl knows.
std::string StartTime(absl::Time time, const std::string& format) {
  if (format.empty()) {
    return absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", time, absl::UTCTimeZone());
  }
  std::string to;
  const std::string nanos =
      absl::StrCat(1'000'000'000 +
                   absl::ToInt64Nanoseconds(time - absl::FromTimeT(absl::ToTimeT(time))))
          .substr(1);
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%' || i + 1 == format.size()) {
      to.push_back(format[i]);
      continue;
    }
    const char next = format[i + 1];
    if (next == 'f') {
      to.append(nanos);
      ++i;
    } else if (absl::ascii_isdigit(next) && i + 2 < format.size() && format[i + 2] == 'f') {
      to.append(nanos.substr(0, std::min<size_t>(next - '0', 9)));
      i += 2;
    } else {
      to.push_back('%');
      to.push_back(next);
      ++i;
    }
  }
  return absl::FormatTime(to, time, absl::UTCTimeZone());
}

constexpr std::array<absl::string_view, 17> kGrpcNames = {
    "OK",       "Canceled",       "Unknown",          "InvalidArgument",   "DeadlineExceeded",
    "NotFound", "AlreadyExists",  "PermissionDenied", "ResourceExhausted", "FailedPrecondition",
    "Aborted",  "OutOfRange",     "Unimplemented",    "Internal",          "Unavailable",
    "DataLoss", "Unauthenticated"};

std::string GrpcName(int status, const std::string& style) {
  if (status < 0 || status >= static_cast<int>(kGrpcNames.size())) return absl::StrCat(status);
  if (style == "NUMBER") return absl::StrCat(status);
  const absl::string_view name = kGrpcNames[static_cast<size_t>(status)];
  if (style != "SNAKE_STRING") return std::string(name);
  std::string snake;
  for (size_t i = 0; i < name.size(); ++i) {
    // "OK" is one word.
    if (i > 0 && absl::ascii_isupper(name[i]) && name != "OK") snake.push_back('_');
    snake.push_back(absl::ascii_toupper(name[i]));
  }
  return snake;
}

std::string WithoutSpaces(std::string text) {
  std::replace(text.begin(), text.end(), ' ', '_');
  return text;
}

Value EvaluateWhole(const FormatPiece& piece, const FormatInput& input) {
  const RequestRecord& r = *input.record;
  const Headers& response = input.response != nullptr ? *input.response : r.response_headers;
  switch (piece.op) {
    case FormatOperator::kLiteral:
      return piece.text;
    case FormatOperator::kRequestHeader:
      return WithAlternative(piece, [&](absl::string_view n) { return RequestField(n, input); });
    case FormatOperator::kResponseHeader:
      return WithAlternative(piece, [&](absl::string_view n) {
        return n == ":status" && r.status != 0 ? Value(absl::StrCat(r.status)) : Field(response, n);
      });
    case FormatOperator::kRequestTrailer:
      return WithAlternative(piece,
                             [&](absl::string_view n) { return Field(r.request_trailers, n); });
    case FormatOperator::kResponseTrailer:
      return WithAlternative(piece,
                             [&](absl::string_view n) { return Field(r.response_trailers, n); });
    case FormatOperator::kStartTime:
      return StartTime(r.start_time, piece.text);
    case FormatOperator::kProtocol:
      return Protocol(input);
    case FormatOperator::kResponseCode:
      return absl::StrCat(r.status);
    case FormatOperator::kResponseCodeDetails:
      return r.details.empty()
                 ? std::nullopt
                 : Value(piece.text == "ALLOW_WHITESPACES" ? r.details : WithoutSpaces(r.details));
    case FormatOperator::kResponseFlags:
      return Flags(r, FlagName);
    case FormatOperator::kResponseFlagsLong:
      return Flags(r, FlagLongName);
    case FormatOperator::kBytesReceived:
      return absl::StrCat(r.bytes_received);
    case FormatOperator::kBytesSent:
      return absl::StrCat(r.bytes_sent);
    case FormatOperator::kDuration:
      return Milliseconds(r.duration);
    case FormatOperator::kRequestDuration:
      return Milliseconds(r.request_received);
    case FormatOperator::kRequestTxDuration:
      return Milliseconds(r.request_sent);
    case FormatOperator::kResponseDuration:
      return Milliseconds(r.upstream_time);
    case FormatOperator::kResponseTxDuration:
      return r.upstream_time == absl::InfiniteDuration()
                 ? std::nullopt
                 : Milliseconds(r.duration - r.upstream_time);
    case FormatOperator::kGrpcStatus:
      return r.grpc_status < 0 ? std::nullopt : Value(GrpcName(r.grpc_status, piece.text));
    case FormatOperator::kGrpcStatusNumber:
      return r.grpc_status < 0 ? std::nullopt : Value(absl::StrCat(r.grpc_status));
    case FormatOperator::kRouteName:
      return NotEmpty(r.route_name);
    case FormatOperator::kVirtualHostName:
      return NotEmpty(r.virtual_host);
    case FormatOperator::kConnectionTerminationDetails:
      return NotEmpty(r.termination_details);
    case FormatOperator::kLocalReplyBody:
      return NotEmpty(r.local_reply_body);
    case FormatOperator::kUniqueId:
    case FormatOperator::kStreamId:
      return RequestField("x-request-id", input);
    case FormatOperator::kUpstreamHost:
    case FormatOperator::kUpstreamRemoteAddress:
      return NotEmpty(r.upstream_host);
    case FormatOperator::kUpstreamHostName:
      return NotEmpty(r.upstream_host_name.empty() ? r.upstream_host : r.upstream_host_name);
    case FormatOperator::kUpstreamCluster:
      return NotEmpty(r.upstream_cluster);
    case FormatOperator::kUpstreamLocalAddress:
      return NotEmpty(r.upstream_local);
    case FormatOperator::kUpstreamRemoteAddressWithoutPort:
      return NotEmpty(SplitAddress(r.upstream_host).host);
    case FormatOperator::kUpstreamRemotePort:
      return NotEmpty(SplitAddress(r.upstream_host).port);
    case FormatOperator::kUpstreamTransportFailureReason:
      return NotEmpty(WithoutSpaces(r.upstream_failure));
    case FormatOperator::kUpstreamRequestAttemptCount:
      return absl::StrCat(r.attempts);
    case FormatOperator::kUpstreamProtocol:
      return NotEmpty(r.upstream_protocol);
    case FormatOperator::kConnectionId:
      return absl::StrCat(r.connection_id);
    case FormatOperator::kDownstreamRemoteAddress:
      return NotEmpty(r.downstream_remote);
    case FormatOperator::kDownstreamRemoteAddressWithoutPort:
      return NotEmpty(SplitAddress(r.downstream_remote).host);
    case FormatOperator::kDownstreamRemotePort:
      return NotEmpty(SplitAddress(r.downstream_remote).port);
    case FormatOperator::kDownstreamDirectRemoteAddress:
      return NotEmpty(DirectRemote(r));
    case FormatOperator::kDownstreamDirectRemoteAddressWithoutPort:
      return NotEmpty(SplitAddress(DirectRemote(r)).host);
    case FormatOperator::kDownstreamDirectRemotePort:
      return NotEmpty(SplitAddress(DirectRemote(r)).port);
    case FormatOperator::kDownstreamLocalAddress:
      return NotEmpty(r.downstream_local);
    case FormatOperator::kDownstreamLocalAddressWithoutPort:
      return NotEmpty(SplitAddress(r.downstream_local).host);
    case FormatOperator::kDownstreamLocalPort:
      return NotEmpty(SplitAddress(r.downstream_local).port);
    case FormatOperator::kRequestedServerName:
      return NotEmpty(r.server_name);
    case FormatOperator::kDownstreamTlsVersion:
      return NotEmpty(r.tls_version);
    case FormatOperator::kDownstreamTlsCipher:
      return NotEmpty(r.tls_cipher);
    case FormatOperator::kDownstreamPeerUriSan:
      return NotEmpty(r.peer_uri);
    case FormatOperator::kDownstreamPeerSubject:
      return NotEmpty(r.peer_subject);
    case FormatOperator::kDownstreamPeerFingerprint256:
      return NotEmpty(r.peer_hash);
    case FormatOperator::kDownstreamLocalUriSan:
      return NotEmpty(r.own_uri);
    case FormatOperator::kDownstreamTransportFailureReason:
      return NotEmpty(WithoutSpaces(r.downstream_failure));
    case FormatOperator::kFilterChainName:
      return NotEmpty(r.filter_chain);
    case FormatOperator::kListenerName:
      return NotEmpty(r.listener);
    case FormatOperator::kNothing:
      return std::nullopt;
  }
  return std::nullopt;
}

bool IsControl(unsigned char c) { return c < 0x20 || c == 0x7f; }

// Most values are clean and need no second text.
bool NeedsEscape(absl::string_view text) {
  return std::any_of(text.begin(), text.end(), [](unsigned char c) {
    return IsControl(c) || c >= 0x80 || c == '"' || c == '\'' || c == '\\';
  });
}

}  // namespace

bool IsNumber(FormatOperator op) {
  switch (op) {
    case FormatOperator::kResponseCode:
    case FormatOperator::kBytesReceived:
    case FormatOperator::kBytesSent:
    case FormatOperator::kDuration:
    case FormatOperator::kRequestDuration:
    case FormatOperator::kRequestTxDuration:
    case FormatOperator::kResponseDuration:
    case FormatOperator::kResponseTxDuration:
    case FormatOperator::kGrpcStatusNumber:
    case FormatOperator::kUpstreamRemotePort:
    case FormatOperator::kUpstreamRequestAttemptCount:
    case FormatOperator::kConnectionId:
    case FormatOperator::kDownstreamRemotePort:
    case FormatOperator::kDownstreamDirectRemotePort:
    case FormatOperator::kDownstreamLocalPort:
      return true;
    default:
      return false;
  }
}

std::optional<std::string> Evaluate(const FormatPiece& piece, const FormatInput& input) {
  std::optional<std::string> value = EvaluateWhole(piece, input);
  if (value.has_value() && piece.max_length != 0 && value->size() > piece.max_length) {
    value->resize(piece.max_length);
  }
  return value;
}

std::string FormatHeaderValue(const FormatString& format, const FormatInput& input) {
  std::string to;
  for (const FormatPiece& piece : format.pieces) {
    const std::optional<std::string> value = Evaluate(piece, input);
    if (!value.has_value()) continue;
    const bool clean = std::none_of(value->begin(), value->end(), IsControl);
    to.append(clean ? *value : absl::CHexEscape(*value));
  }
  return to;
}

void AppendText(const FormatString& format, const FormatInput& input, absl::string_view missing,
                std::string& to) {
  for (const FormatPiece& piece : format.pieces) {
    if (piece.op == FormatOperator::kLiteral) {
      to.append(piece.text);
      continue;
    }
    const std::optional<std::string> value = Evaluate(piece, input);
    if (!value.has_value()) {
      to.append(missing.data(), missing.size());
    } else if (NeedsEscape(*value)) {
      to.append(absl::CHexEscape(*value));
    } else {
      to.append(*value);
    }
  }
}

}  // namespace weft
