#include "controlplane/model/log_format.h"

#include <algorithm>
#include <cstdint>
#include <iterator>

#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/yaml/yaml_to_message.h"
#include "google/protobuf/struct.pb.h"

namespace weft {
namespace {

// By what may stand in parentheses behind them.
constexpr absl::string_view kOfHeader[] = {"REQ", "RESP", "TRAILER", "REQUEST_TRAILER"};
constexpr absl::string_view kOfText[] = {"CLUSTER_METADATA",  "DYNAMIC_METADATA",
                                         "ENVIRONMENT",       "FILTER_STATE",
                                         "UPSTREAM_METADATA", "UPSTREAM_FILTER_STATE"};
constexpr absl::string_view kOfOptionalText[] = {
    "DOWNSTREAM_PEER_CERT_V_END",
    "DOWNSTREAM_PEER_CERT_V_START",
    "GRPC_STATUS",
    "RESPONSE_CODE_DETAILS",
    "START_TIME",
};
constexpr absl::string_view kOfNothing[] = {
    "ACCESS_LOG_TYPE",
    "BYTES_RECEIVED",
    "BYTES_SENT",
    "CONNECTION_ID",
    "CONNECTION_TERMINATION_DETAILS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS",
    "DOWNSTREAM_DIRECT_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_DIRECT_REMOTE_PORT",
    "DOWNSTREAM_LOCAL_ADDRESS",
    "DOWNSTREAM_LOCAL_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_LOCAL_DNS_SAN",
    "DOWNSTREAM_LOCAL_PORT",
    "DOWNSTREAM_LOCAL_SUBJECT",
    "DOWNSTREAM_LOCAL_URI_SAN",
    "DOWNSTREAM_PEER_CERT",
    "DOWNSTREAM_PEER_DNS_SAN",
    "DOWNSTREAM_PEER_FINGERPRINT_1",
    "DOWNSTREAM_PEER_FINGERPRINT_256",
    "DOWNSTREAM_PEER_IP_SAN",
    "DOWNSTREAM_PEER_ISSUER",
    "DOWNSTREAM_PEER_SERIAL",
    "DOWNSTREAM_PEER_SUBJECT",
    "DOWNSTREAM_PEER_URI_SAN",
    "DOWNSTREAM_REMOTE_ADDRESS",
    "DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "DOWNSTREAM_REMOTE_PORT",
    "DOWNSTREAM_TLS_CIPHER",
    "DOWNSTREAM_TLS_SESSION_ID",
    "DOWNSTREAM_TLS_VERSION",
    "DOWNSTREAM_TRANSPORT_FAILURE_REASON",
    "DURATION",
    "FILTER_CHAIN_NAME",
    "GRPC_STATUS_NUMBER",
    "HOSTNAME",
    "LISTENER_NAME",
    "LOCAL_REPLY_BODY",
    "PROTOCOL",
    "REQUESTED_SERVER_NAME",
    "REQUEST_DURATION",
    "REQUEST_TX_DURATION",
    "RESPONSE_CODE",
    "RESPONSE_DURATION",
    "RESPONSE_FLAGS",
    "RESPONSE_FLAGS_LONG",
    "RESPONSE_TX_DURATION",
    "ROUTE_NAME",
    "STREAM_ID",
    "TRACE_ID",
    "UNIQUE_ID",
    "UPSTREAM_CLUSTER",
    "UPSTREAM_CLUSTER_RAW",
    "UPSTREAM_CONNECTION_ID",
    "UPSTREAM_HOST",
    "UPSTREAM_HOST_NAME",
    "UPSTREAM_LOCAL_ADDRESS",
    "UPSTREAM_PEER_SUBJECT",
    "UPSTREAM_PEER_URI_SAN",
    "UPSTREAM_PROTOCOL",
    "UPSTREAM_REMOTE_ADDRESS",
    "UPSTREAM_REMOTE_ADDRESS_WITHOUT_PORT",
    "UPSTREAM_REMOTE_PORT",
    "UPSTREAM_REQUEST_ATTEMPT_COUNT",
    "UPSTREAM_TLS_CIPHER",
    "UPSTREAM_TLS_VERSION",
    "UPSTREAM_TRANSPORT_FAILURE_REASON",
    "VIRTUAL_CLUSTER_NAME",
    "VIRTUAL_HOST_NAME",
};

template <typename List>
bool Has(const List& list, absl::string_view name) {
  return std::find(std::begin(list), std::end(list), name) != std::end(list);
}

absl::Status Wrong(absl::string_view op, absl::string_view problem) {
  return absl::InvalidArgumentError(absl::StrCat("'%", op, "%': ", problem));
}

absl::Status CheckArgument(absl::string_view op, absl::string_view name, bool given,
                           absl::string_view argument) {
  if (Has(kOfHeader, name)) {
    const bool one_or_two = std::count(argument.begin(), argument.end(), '?') <= 1;
    if (one_or_two && !argument.empty() && argument[0] != '?') return absl::OkStatus();
    return Wrong(op, "needs the name of a header, or of two as in 'A?B'");
  }
  if (Has(kOfText, name)) {
    return argument.empty() ? Wrong(op, "needs an argument in parentheses") : absl::OkStatus();
  }
  if (Has(kOfOptionalText, name)) return absl::OkStatus();
  if (!Has(kOfNothing, name)) return Wrong(op, "is no command operator that weft-proxy knows");
  return given ? Wrong(op, "takes no argument") : absl::OkStatus();
}

// NAME, NAME(ARGUMENT), each perhaps with ":LENGTH" behind it.
absl::Status CheckOperator(absl::string_view op) {
  absl::string_view name = op, argument, length;
  const size_t open = op.find('(');
  const size_t close = op.rfind(')');
  const bool given =
      open != absl::string_view::npos && close != absl::string_view::npos && open < close;
  if (given) {
    name = op.substr(0, open);
    argument = op.substr(open + 1, close - open - 1);
    length = op.substr(close + 1);
  } else if (const size_t colon = op.find(':'); colon != absl::string_view::npos) {
    name = op.substr(0, colon);
    length = op.substr(colon);
  }
  uint32_t most = 0;
  if (!length.empty() &&
      (length[0] != ':' || !absl::SimpleAtoi(length.substr(1), &most) || most == 0)) {
    return Wrong(op, "only a length as in ':80' may follow");
  }
  return CheckArgument(op, name, given, argument);
}

// Where the operator that begins there ends: at the '%' outside of its parentheses.
size_t EndOfOperator(absl::string_view text, size_t start) {
  size_t end = start;
  while (end < text.size() && (absl::ascii_isalnum(text[end]) || text[end] == '_')) ++end;
  if (end < text.size() && text[end] == '(') end = text.find(')', end);
  return end == absl::string_view::npos ? end : text.find('%', end);
}

}  // namespace

absl::Status CheckLogFormat(absl::string_view format) {
  for (size_t at = format.find('%'); at != absl::string_view::npos; at = format.find('%', at)) {
    if (at + 1 < format.size() && format[at + 1] == '%') {
      at += 2;
      continue;
    }
    const size_t end = EndOfOperator(format, at + 1);
    if (end == absl::string_view::npos) {
      return absl::InvalidArgumentError(
          absl::StrCat("'", format.substr(at, 40),
                       "': a command operator ends with '%'; a per cent sign is written %%"));
    }
    absl::Status status = CheckOperator(format.substr(at + 1, end - at - 1));
    if (!status.ok()) return status;
    at = end + 1;
  }
  return absl::OkStatus();
}

absl::StatusOr<google::protobuf::Struct> ParseJsonLogFormat(absl::string_view text) {
  const auto documents = ParseYamlDocuments(text);
  if (!documents.ok()) return documents.status();
  if (documents->size() != 1 || !documents->front()->root().IsMap()) {
    return absl::InvalidArgumentError("is not one object of JSON");
  }
  google::protobuf::Struct format;
  absl::Status status = YamlToMessage(documents->front()->root(), UnknownFields::kReject, &format);
  if (!status.ok()) return status;
  return format;
}

std::vector<std::string> LogOperators() {
  std::vector<std::string> operators;
  for (absl::string_view name : kOfHeader) operators.push_back(absl::StrCat("%", name, "(x?y)%"));
  for (absl::string_view name : kOfText) operators.push_back(absl::StrCat("%", name, "(x)%"));
  for (absl::string_view name : kOfOptionalText) {
    operators.push_back(absl::StrCat("%", name, "%"));
    operators.push_back(absl::StrCat("%", name, "(%s)%"));
  }
  for (absl::string_view name : kOfNothing) operators.push_back(absl::StrCat("%", name, ":9%"));
  return operators;
}

}  // namespace weft
