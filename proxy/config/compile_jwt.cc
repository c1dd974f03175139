#include "proxy/config/compile_jwt.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/envoy/jwt_authn.pb.h"
#include "certs/jwks.h"
#include "proxy/config/compile_matchers.h"
#include "proxy/config/compile_route.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace jwt = envoy::extensions::filters::http::jwt_authn::v3;
namespace core = envoy::config::core::v3;

// Evaluation recurses; nobody writes requirements this deep.
constexpr int kMaxDepth = 16;
// Envoy's jwt_max_token_size, and a bound on what one remembered token may hold on to.
constexpr size_t kDefaultCachedBytes = 4096;
constexpr size_t kMaxCachedBytes = 16 * 1024;

absl::Status Unsupported(absl::string_view field) {
  return Invalid(field, "is not supported by this proxy");
}

// ---- Keys.

absl::StatusOr<std::string> ReadSource(const core::DataSource& from, const Secrets& secrets) {
  switch (from.specifier_case()) {
    case core::DataSource::kInlineString:
      return from.inline_string();
    case core::DataSource::kInlineBytes:
      return from.inline_bytes();
    case core::DataSource::kFilename: {
      if (!secrets.read_file) return Invalid("filename", "there is no file system to read it from");
      absl::StatusOr<std::string> text = secrets.read_file(from.filename());
      if (!text.ok()) return Invalid("filename", text.status().message());
      return text;
    }
    default:
      return Invalid("", "needs one of filename, inline_string, inline_bytes");
  }
}

absl::Status CompileLocalKeys(const core::DataSource& from, const Secrets& secrets,
                              JwtProvider& to) {
  absl::StatusOr<std::string> text = ReadSource(from, secrets);
  if (!text.ok()) return Under("local_jwks", text.status());
  absl::StatusOr<std::shared_ptr<const certs::Jwks>> keys = certs::Jwks::Parse(*text);
  if (!keys.ok()) return Invalid("local_jwks", keys.status().message());
  to.local_keys = *std::move(keys);
  return absl::OkStatus();
}

bool IsVisible(absl::string_view text) {
  for (const char c : text) {
    if (!absl::ascii_isgraph(static_cast<unsigned char>(c))) return false;
  }
  return true;
}

// The scheme says nothing here: whether TLS is spoken is the cluster's to say.
absl::Status CompileUri(absl::string_view uri, JwksSource& to) {
  if (!absl::ConsumePrefix(&uri, "https://") && !absl::ConsumePrefix(&uri, "http://")) {
    return Invalid("uri", "must start with http:// or https://");
  }
  if (!IsVisible(uri)) return Invalid("uri", "must not hold spaces or control characters");
  uri = uri.substr(0, uri.find('#'));
  const size_t slash = uri.find_first_of("/?");
  to.authority = std::string(uri.substr(0, slash));
  to.path = slash == absl::string_view::npos ? "/" : std::string(uri.substr(slash));
  if (to.path[0] == '?') to.path.insert(0, "/");
  if (to.authority.empty() || absl::StrContains(to.authority, '@')) {
    return Invalid("uri", "must name a host, and no user");
  }
  return absl::OkStatus();
}

absl::Status CompileHttpUri(const core::HttpUri& from, JwksSource& to) {
  absl::Status status = CompileUri(from.uri(), to);
  if (!status.ok()) return status;
  if (from.cluster().empty()) return Invalid("cluster", "must not be empty");
  to.cluster = from.cluster();
  if (from.has_timeout()) to.timeout = ToDuration(from.timeout());
  if (to.timeout <= absl::ZeroDuration()) return Invalid("timeout", "must be above 0");
  return absl::OkStatus();
}

absl::Status CompileRetry(const core::RetryPolicy& from, JwksSource& to) {
  to.retries = from.has_num_retries() ? from.num_retries().value() : 1;
  if (from.has_retry_back_off()) {
    to.retry_base = ToDuration(from.retry_back_off().base_interval());
    to.retry_max = from.retry_back_off().has_max_interval()
                       ? ToDuration(from.retry_back_off().max_interval())
                       : 10 * to.retry_base;
  }
  if (to.retry_base <= absl::ZeroDuration() || to.retry_max < to.retry_base) {
    return Invalid("retry_back_off", "must be above 0, and max_interval no less than its base");
  }
  return absl::OkStatus();
}

absl::Status CompileRemoteKeys(const jwt::RemoteJwks& from, JwtProvider& to) {
  auto source = std::make_shared<JwksSource>();
  absl::Status status = CompileHttpUri(from.http_uri(), *source);
  if (!status.ok()) return Under("http_uri", status);
  if (from.has_cache_duration()) source->cache_duration = ToDuration(from.cache_duration());
  if (source->cache_duration <= absl::ZeroDuration()) {
    return Invalid("cache_duration", "must be above 0");
  }
  if (from.async_fetch().has_failed_refetch_duration()) {
    source->failed_refetch = ToDuration(from.async_fetch().failed_refetch_duration());
  }
  if (source->failed_refetch <= absl::ZeroDuration()) {
    return Invalid("async_fetch.failed_refetch_duration", "must be above 0");
  }
  source->fast_listener = from.async_fetch().fast_listener();
  if (from.has_retry_policy()) {
    status = CompileRetry(from.retry_policy(), *source);
    if (!status.ok()) return Under("retry_policy", status);
  }
  to.remote = std::move(source);
  return absl::OkStatus();
}

absl::Status CompileKeys(const jwt::JwtProvider& from, const Secrets& secrets, JwtProvider& to) {
  switch (from.jwks_source_specifier_case()) {
    case jwt::JwtProvider::kLocalJwks:
      return CompileLocalKeys(from.local_jwks(), secrets, to);
    case jwt::JwtProvider::kRemoteJwks: {
      absl::Status status = CompileRemoteKeys(from.remote_jwks(), to);
      return status.ok() ? status : Under("remote_jwks", status);
    }
    case jwt::JwtProvider::JWKS_SOURCE_SPECIFIER_NOT_SET:
      break;
  }
  return Invalid("", "needs one of remote_jwks, local_jwks");
}

// ---- Providers.

// The name of a header that we set: one that a message's framing or routing lives on is not to be
// had.
absl::StatusOr<std::string> HeaderToSet(absl::string_view field, const std::string& from) {
  absl::StatusOr<std::string> name = CompileHeaderToRemove(from);
  if (!name.ok() || *name == "content-length" || *name == "transfer-encoding") {
    return Invalid(field, absl::StrCat("'", from, "' cannot be set"));
  }
  return name;
}

absl::StatusOr<JwtProvider::HeaderPlace> CompilePlace(const jwt::JwtHeader& from) {
  if (from.name().empty()) return Invalid("name", "must not be empty");
  return JwtProvider::HeaderPlace{absl::AsciiStrToLower(from.name()), from.value_prefix()};
}

absl::StatusOr<JwtProvider::ClaimHeader> CompileClaimHeader(const jwt::JwtClaimToHeader& from) {
  absl::StatusOr<std::string> name = HeaderToSet("header_name", from.header_name());
  if (!name.ok()) return name.status();
  if (from.claim_name().empty()) return Invalid("claim_name", "must not be empty");
  return JwtProvider::ClaimHeader{*std::move(name), absl::StrSplit(from.claim_name(), '.')};
}

absl::Status CompilePlaces(const jwt::JwtProvider& from, JwtProvider& to) {
  absl::Status status =
      CompileEach("from_headers", from.from_headers(), to.from_headers, CompilePlace);
  if (!status.ok()) return status;
  to.from_params.assign(from.from_params().begin(), from.from_params().end());
  to.from_cookies.assign(from.from_cookies().begin(), from.from_cookies().end());
  if (!to.from_headers.empty() || !to.from_params.empty() || !to.from_cookies.empty()) {
    return absl::OkStatus();
  }
  to.from_headers.push_back({"authorization", "Bearer "});
  to.from_params.push_back("access_token");  // RFC 6750, section 2.3
  return absl::OkStatus();
}

absl::Status CompileOutputs(const jwt::JwtProvider& from, JwtProvider& to) {
  to.forward = from.forward();
  if (!from.forward_payload_header().empty()) {
    absl::StatusOr<std::string> name =
        HeaderToSet("forward_payload_header", from.forward_payload_header());
    if (!name.ok()) return name.status();
    to.forward_payload_header = *std::move(name);
  }
  to.pad_payload_header = from.pad_forward_payload_header();
  to.payload_in_metadata = from.payload_in_metadata();
  to.header_in_metadata = from.header_in_metadata();
  const auto& spaced = from.normalize_payload_in_metadata().space_delimited_claims();
  to.space_delimited_claims.assign(spaced.begin(), spaced.end());
  return CompileEach("claim_to_headers", from.claim_to_headers(), to.claim_headers,
                     CompileClaimHeader);
}

absl::Status CompileDemands(const jwt::JwtProvider& from, JwtProvider& to) {
  to.issuer = from.issuer();
  to.audiences.assign(from.audiences().begin(), from.audiences().end());
  if (from.has_subjects()) {
    absl::StatusOr<StringMatch> subjects = CompileStringMatch(from.subjects());
    if (!subjects.ok()) return Under("subjects", subjects.status());
    to.subjects = *std::move(subjects);
  }
  to.require_expiration = from.require_expiration();
  if (from.has_max_lifetime()) to.max_lifetime = ToDuration(from.max_lifetime());
  if (from.clock_skew_seconds() != 0) to.clock_skew = absl::Seconds(from.clock_skew_seconds());
  return absl::OkStatus();
}

absl::StatusOr<JwtProvider> CompileProvider(const std::string& name, const jwt::JwtProvider& from,
                                            const Secrets& secrets) {
  if (!from.failed_status_in_metadata().empty()) return Unsupported("failed_status_in_metadata");
  if (from.clear_route_cache()) return Unsupported("clear_route_cache");
  JwtProvider to;
  to.name = name;
  absl::Status status = CompileKeys(from, secrets, to);
  if (!status.ok()) return status;
  status = CompileDemands(from, to);
  if (!status.ok()) return status;
  status = CompilePlaces(from, to);
  if (!status.ok()) return status;
  status = CompileOutputs(from, to);
  if (!status.ok()) return status;
  if (from.has_jwt_cache_config()) {
    const size_t stated = from.jwt_cache_config().jwt_max_token_size();
    to.max_cached_bytes = std::min(stated == 0 ? kDefaultCachedBytes : stated, kMaxCachedBytes);
  }
  return to;
}

// ---- Requirements.

using Names = std::map<std::string, size_t>;  // of providers, to their places

absl::StatusOr<JwtRequirement> CompileRequirement(const jwt::JwtRequirement& from,
                                                  const Names& names, int depth);

absl::StatusOr<JwtRequirement> OfProvider(absl::string_view field, const std::string& name,
                                          const Names& names) {
  const auto it = names.find(name);
  if (it == names.end()) return Invalid(field, absl::StrCat("there is no provider '", name, "'"));
  JwtRequirement to;
  to.provider = it->second;
  return to;
}

template <typename List>
absl::StatusOr<JwtRequirement> Group(JwtRequirement::Kind kind, absl::string_view field,
                                     const List& from, const Names& names, int depth) {
  if (from.empty()) return Invalid(field, "must not be empty");
  JwtRequirement to;
  to.kind = kind;
  absl::Status status = CompileEach(field, from, to.of, [&](const jwt::JwtRequirement& one) {
    return CompileRequirement(one, names, depth + 1);
  });
  if (!status.ok()) return status;
  return to;
}

absl::StatusOr<JwtRequirement> WithAudiences(const jwt::ProviderWithAudiences& from,
                                             const Names& names) {
  absl::StatusOr<JwtRequirement> to =
      OfProvider("provider_and_audiences.provider_name", from.provider_name(), names);
  if (to.ok()) to->audiences.emplace(from.audiences().begin(), from.audiences().end());
  return to;
}

absl::StatusOr<JwtRequirement> CompileRequirement(const jwt::JwtRequirement& from,
                                                  const Names& names, int depth) {
  if (depth > kMaxDepth) return Invalid("", absl::StrCat("is nested deeper than ", kMaxDepth));
  JwtRequirement to;
  switch (from.requires_type_case()) {
    case jwt::JwtRequirement::kProviderName:
      return OfProvider("provider_name", from.provider_name(), names);
    case jwt::JwtRequirement::kProviderAndAudiences:
      return WithAudiences(from.provider_and_audiences(), names);
    case jwt::JwtRequirement::kRequiresAny:
      return Group(JwtRequirement::Kind::kAny, "requires_any.requirements",
                   from.requires_any().requirements(), names, depth);
    case jwt::JwtRequirement::kRequiresAll:
      return Group(JwtRequirement::Kind::kAll, "requires_all.requirements",
                   from.requires_all().requirements(), names, depth);
    case jwt::JwtRequirement::kAllowMissingOrFailed:
      to.kind = JwtRequirement::Kind::kAllowMissingOrFailed;
      return to;
    case jwt::JwtRequirement::kAllowMissing:
      to.kind = JwtRequirement::Kind::kAllowMissing;
      return to;
    case jwt::JwtRequirement::kExtractOnlyWithoutValidation:
      // A claim that nobody vouches for must not reach a policy.
      return Unsupported("extract_only_without_validation");
    case jwt::JwtRequirement::REQUIRES_TYPE_NOT_SET:
      break;
  }
  return Invalid("", "needs a requirement that this proxy knows");
}

absl::Status SetRequirement(const jwt::RequirementRule& from, const Names& names,
                            const JwtAuthnConfig& config, JwtAuthnConfig::Rule& to) {
  switch (from.requirement_type_case()) {
    case jwt::RequirementRule::kRequired: {
      absl::StatusOr<JwtRequirement> requirement = CompileRequirement(from.required(), names, 0);
      if (!requirement.ok()) return Under("requires", requirement.status());
      to.requirement = *std::move(requirement);
      return absl::OkStatus();
    }
    case jwt::RequirementRule::kRequirementName: {
      const auto it = config.requirements.find(from.requirement_name());
      if (it == config.requirements.end()) {
        return Invalid("requirement_name",
                       absl::StrCat("'", from.requirement_name(), "' is not in requirement_map"));
      }
      to.requirement = it->second;
      return absl::OkStatus();
    }
    case jwt::RequirementRule::REQUIREMENT_TYPE_NOT_SET:
      break;  // explicitly nothing
  }
  return absl::OkStatus();
}

absl::Status CompileProviders(const jwt::JwtAuthentication& from, const Secrets& secrets,
                              JwtAuthnConfig& to, Names& names) {
  // Protobuf's maps have no order.
  const std::map<std::string, jwt::JwtProvider> sorted(from.providers().begin(),
                                                       from.providers().end());
  for (const auto& [name, provider] : sorted) {
    absl::StatusOr<JwtProvider> compiled = CompileProvider(name, provider, secrets);
    if (!compiled.ok()) return Under(absl::StrCat("providers['", name, "']"), compiled.status());
    names[name] = to.providers.size();
    to.providers.push_back(*std::move(compiled));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const JwtAuthnConfig>> CompileJwtAuthn(
    const jwt::JwtAuthentication& from, const Secrets& secrets) {
  if (from.has_filter_state_rules()) return Unsupported("filter_state_rules");
  auto to = std::make_shared<JwtAuthnConfig>();
  to->stat_prefix = from.stat_prefix();
  Names names;
  absl::Status status = CompileProviders(from, secrets, *to, names);
  if (!status.ok()) return status;
  for (const auto& [name, requirement] : from.requirement_map()) {
    absl::StatusOr<JwtRequirement> compiled = CompileRequirement(requirement, names, 0);
    if (!compiled.ok()) {
      return Under(absl::StrCat("requirement_map['", name, "']"), compiled.status());
    }
    to->requirements.emplace(name, *std::move(compiled));
  }
  const auto compile_rule =
      [&](const jwt::RequirementRule& one) -> absl::StatusOr<JwtAuthnConfig::Rule> {
    JwtAuthnConfig::Rule rule;
    absl::StatusOr<RouteMatch> match = CompileRouteMatch(one.match(), secrets.runtime);
    if (!match.ok()) return Under("match", match.status());
    rule.match = *std::move(match);
    absl::Status set = SetRequirement(one, names, *to, rule);
    if (!set.ok()) return set;
    return rule;
  };
  status = CompileEach("rules", from.rules(), to->rules, compile_rule);
  if (!status.ok()) return status;
  to->bypass_cors_preflight = from.bypass_cors_preflight();
  to->strip_failure_response = from.strip_failure_response();
  return to;
}

absl::StatusOr<JwtRouteConfig> CompileJwtPerRoute(const jwt::PerRouteConfig& from) {
  JwtRouteConfig to;
  switch (from.requirement_specifier_case()) {
    case jwt::PerRouteConfig::kDisabled:
      if (!from.disabled()) return Invalid("disabled", "must be true");
      to.disabled = true;
      return to;
    case jwt::PerRouteConfig::kRequirementName:
      to.requirement_name = from.requirement_name();
      if (to.requirement_name.empty()) return Invalid("requirement_name", "must not be empty");
      return to;
    case jwt::PerRouteConfig::REQUIREMENT_SPECIFIER_NOT_SET:
      break;
  }
  return Invalid("", "needs one of disabled, requirement_name");
}

}  // namespace weft
