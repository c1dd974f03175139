#include "proxy/decide/ext_authz_message.h"

#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/ext_authz_service.pb.h"
#include "proxy/http/h1_lines.h"

namespace weft {
namespace {

namespace auth = envoy::service::auth::v3;
namespace core = envoy::config::core::v3;
using Action = HeaderToAdd::Action;
using google::protobuf::RepeatedPtrField;

constexpr absl::string_view kJwtMetadata = "envoy.filters.http.jwt_authn";

// ---- The question.

// The number of bytes of the character that `text` starts with; 0: it is none of UTF-8 (RFC 3629).
size_t CharacterSize(absl::string_view text) {
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const size_t size = first < 0xc2 ? 0 : first < 0xe0 ? 2 : first < 0xf0 ? 3 : first < 0xf5 ? 4 : 0;
  if (size == 0 || text.size() < size) return 0;
  for (size_t i = 1; i < size; ++i) {
    if (byte(i) >> 6 != 2) return 0;
  }
  const bool overlong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xf0 && byte(1) < 0x90);
  const bool surrogate = first == 0xed && byte(1) > 0x9f;
  const bool too_large = first == 0xf4 && byte(1) > 0x8f;
  return overlong || surrogate || too_large ? 0 : size;
}

// A message with other text in it would be refused as a whole. As Envoy has it.
std::string AsUtf8(absl::string_view text) {
  std::string clean(text);
  for (size_t i = 0; i < clean.size();) {
    const size_t size = CharacterSize(absl::string_view(clean).substr(i));
    if (size == 0) clean[i] = '!';
    i += std::max<size_t>(size, 1);
  }
  return clean;
}

void FillPeer(const Address& address, absl::string_view principal,
              auth::AttributeContext::Peer& to) {
  to.mutable_address()->mutable_socket_address()->set_address(address.ip());
  to.mutable_address()->mutable_socket_address()->set_port_value(address.port());
  to.set_principal(AsUtf8(principal));
}

bool IsTold(const ExtAuthzConfig& config, absl::string_view name) {
  return !config.told_headers.has_value() || config.told_headers->Has(name);
}

void FillHeaders(const ExtAuthzConfig& config, const CheckFacts& facts,
                 google::protobuf::Map<std::string, std::string>& to) {
  const RequestHead& head = facts.head;
  const auto add = [&](absl::string_view name, absl::string_view value) {
    if (!IsTold(config, name)) return;
    std::string& all = to[AsUtf8(absl::AsciiStrToLower(name))];
    const char* between = all.empty()                                    ? ""
                          : IdentifyHeader(name) == KnownHeader::kCookie ? "; "
                                                                         : ",";
    absl::StrAppend(&all, between, AsUtf8(value));
  };
  add(":authority", head.authority);
  add(":method", head.method);
  add(":path", head.path);
  if (!head.scheme.empty()) add(":scheme", head.scheme);
  for (const HeaderView& field : head.headers) add(field.name, field.value);
  if (!facts.body.has_value()) return;
  to[std::string(kPartialBodyHeader)] = facts.body->partial ? "true" : "false";
}

absl::string_view ProtocolOf(HttpVersion version) {
  switch (version) {
    case HttpVersion::kHttp10:
      return "HTTP/1.0";
    case HttpVersion::kHttp11:
      return "HTTP/1.1";
    case HttpVersion::kHttp2:
      break;
  }
  return "HTTP/2";
}

int64_t SizeOf(const BodyLength& length) {
  if (length.framing == BodyFraming::kNone) return 0;
  return length.framing == BodyFraming::kLength ? static_cast<int64_t>(length.length) : -1;
}

void FillRequest(const ExtAuthzConfig& config, const CheckFacts& facts,
                 auth::AttributeContext::Request& to) {
  const RequestHead& head = facts.head;
  const absl::Duration since = facts.time - absl::UnixEpoch();
  to.mutable_time()->set_seconds(absl::ToInt64Seconds(since));
  to.mutable_time()->set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(since % absl::Seconds(1))));
  auth::AttributeContext::HttpRequest& http = *to.mutable_http();
  http.set_id(AsUtf8(head.headers.Get(KnownHeader::kXRequestId).value_or("")));
  http.set_method(AsUtf8(head.method));
  http.set_path(AsUtf8(head.path));
  http.set_host(AsUtf8(head.authority));
  http.set_scheme(AsUtf8(head.scheme));
  http.set_protocol(std::string(ProtocolOf(head.version)));
  http.set_size(SizeOf(facts.length));
  FillHeaders(config, facts, *http.mutable_headers());
  if (!facts.body.has_value()) return;
  if (config.body_as_bytes) {
    http.set_raw_body(std::string(facts.body->bytes));
  } else {
    http.set_body(AsUtf8(facts.body->bytes));
  }
}

void FillMetadata(const ExtAuthzConfig& config, const CheckFacts& facts, core::Metadata& to) {
  for (const std::string& wanted : config.metadata_namespaces) {
    google::protobuf::Struct found;
    if (wanted == kJwtMetadata) {
      for (const TokenMetadata& token : facts.tokens) {
        (void)google::protobuf::util::JsonStringToMessage(
            token.value->dump(), &(*found.mutable_fields())[std::string(token.key)]);
      }
    } else if (wanted == kRbacMetadata) {
      for (const ShadowVerdict& shadow : facts.shadows) {
        auto& fields = *found.mutable_fields();
        fields[absl::StrCat(shadow.prefix, kShadowResult)].set_string_value(
            std::string(shadow.result()));
        if (shadow.verdict.policy == nullptr) continue;
        fields[absl::StrCat(shadow.prefix, kShadowPolicy)].set_string_value(
            shadow.verdict.policy->name);
      }
    }
    if (!found.fields().empty()) (*to.mutable_filter_metadata())[wanted] = std::move(found);
  }
}

// ---- The answer.

// What a head may have of fields, and bytes in them; more is no answer to pass on.
constexpr int kMostFields = static_cast<int>(kMaxHeaderCount);

// False: it could not be passed on. What is of a message's own frame is left out.
bool AddChanges(const RepeatedPtrField<core::HeaderValueOption>& from,
                std::vector<HeaderToAdd>& to) {
  if (from.size() > kMostFields) return false;
  size_t bytes = 0;
  for (const core::HeaderValueOption& option : from) {
    HeaderToAdd change;
    change.name = absl::AsciiStrToLower(option.header().key());
    change.value =
        option.header().value().empty() ? option.header().raw_value() : option.header().value();
    change.keep_empty_value = true;
    if (!IsFieldName(change.name) || !IsFieldValue(change.value)) return false;
    bytes += change.name.size() + change.value.size();
    if (bytes > kMaxHeadBytes) return false;
    if (IsOfFrame(change.name)) continue;
    switch (option.append_action()) {
      case core::HeaderValueOption::ADD_IF_ABSENT:
        change.action = Action::kAddIfAbsent;
        break;
      case core::HeaderValueOption::OVERWRITE_IF_EXISTS:
        change.action = Action::kOverwriteIfExists;
        break;
      default:
        // Unlike elsewhere nothing is appended unless the answer says so.
        change.action = option.append().value() ? Action::kAppend : Action::kOverwriteOrAdd;
    }
    to.push_back(std::move(change));
  }
  return true;
}

AuthzVerdict Allowed(const auth::OkHttpResponse& ok) {
  AuthzVerdict verdict;
  verdict.kind = AuthzVerdict::Kind::kOk;
  if (!AddChanges(ok.headers(), verdict.request) ||
      !AddChanges(ok.response_headers_to_add(), verdict.response)) {
    return AuthzVerdict::Error("unusable headers");
  }
  if (ok.headers_to_remove_size() > kMostFields) return AuthzVerdict::Error("unusable headers");
  // Pseudo-headers and Host are not removed, as Envoy documents it.
  for (const std::string& name : ok.headers_to_remove()) {
    if (IsFieldName(name) && !IsOfFrame(name)) verdict.remove.push_back(name);
  }
  return verdict;
}

AuthzVerdict Denied(const auth::DeniedHttpResponse& denied) {
  AuthzVerdict verdict;
  verdict.kind = AuthzVerdict::Kind::kDenied;
  if (denied.status().code() != 0) verdict.status = static_cast<int>(denied.status().code());
  if (verdict.status < 200 || verdict.status > 599) return AuthzVerdict::Error("unusable status");
  if (!AddChanges(denied.headers(), verdict.response)) {
    return AuthzVerdict::Error("unusable headers");
  }
  verdict.body = denied.body();
  return verdict;
}

}  // namespace

std::string CheckMessage(const ExtAuthzConfig& config, const CheckFacts& facts) {
  auth::CheckRequest request;
  auth::AttributeContext& to = *request.mutable_attributes();
  FillPeer(facts.source, facts.source_principal, *to.mutable_source());
  FillPeer(facts.destination, facts.destination_principal, *to.mutable_destination());
  FillRequest(config, facts, *to.mutable_request());
  if (facts.context_extensions != nullptr) {
    to.mutable_context_extensions()->insert(facts.context_extensions->begin(),
                                            facts.context_extensions->end());
  }
  FillMetadata(config, facts, *to.mutable_metadata_context());
  if (config.tells_server_name) {
    to.mutable_tls_session()->set_sni(AsUtf8(facts.server_name));
  }
  return request.SerializeAsString();
}

AuthzVerdict MessageVerdict(absl::string_view message) {
  auth::CheckResponse response;
  if (!response.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
    return AuthzVerdict::Error("malformed message");
  }
  return response.status().code() == 0 ? Allowed(response.ok_response())
                                       : Denied(response.denied_response());
}

}  // namespace weft
