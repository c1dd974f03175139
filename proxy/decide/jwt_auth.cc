#include "proxy/decide/jwt_auth.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proxy/decide/match_route.h"
#include "proxy/decide/request_path.h"

namespace weft {
namespace {

using Json = nlohmann::json;
using certs::Jwt;
using certs::JwtStatus;
using Kind = JwtRequirement::Kind;

// Tokens of one request: each may cost a verification.
constexpr size_t kMaxTokens = 8;
// Of the realm in a challenge: the client knows where it asked.
constexpr size_t kMaxRealm = 256;

// ---- Where tokens are. All of them are views into the request.

using Tokens = std::vector<absl::string_view>;

void AddToken(absl::string_view token, Tokens& to) {
  token = absl::StripAsciiWhitespace(token);
  if (std::find(to.begin(), to.end(), token) == to.end()) to.push_back(token);
}

// What follows the prefix; a value without it is no token.
bool ConsumePlacePrefix(const std::string& prefix, absl::string_view& value) {
  // The name of an authentication scheme is the same in any case (RFC 9110, section 11.1).
  const bool scheme = absl::EqualsIgnoreCase(prefix, "Bearer ");
  const bool there =
      scheme ? absl::StartsWithIgnoreCase(value, prefix) : absl::StartsWith(value, prefix);
  if (there) value.remove_prefix(prefix.size());
  return there;
}

void FromHeader(const JwtProvider::HeaderPlace& place, const Headers& headers, Tokens& to) {
  for (const HeaderView& header : headers) {
    if (!absl::EqualsIgnoreCase(header.name, place.name)) continue;
    absl::string_view value = header.value;
    if (ConsumePlacePrefix(place.prefix, value)) AddToken(value, to);
  }
}

// "name=value" as a parameter or cookie has it.
void FromPair(absl::string_view pair, absl::string_view name, Tokens& to) {
  const size_t equals = pair.find('=');
  if (equals == absl::string_view::npos || pair.substr(0, equals) != name) return;
  AddToken(pair.substr(equals + 1), to);
}

void FromParameter(absl::string_view name, absl::string_view query, Tokens& to) {
  for (absl::string_view pair : absl::StrSplit(query, '&')) FromPair(pair, name, to);
}

void FromCookie(absl::string_view name, const Headers& headers, Tokens& to) {
  if (!headers.Has(KnownHeader::kCookie)) return;
  for (absl::string_view line : headers.GetAll("cookie")) {
    for (absl::string_view pair : absl::StrSplit(line, ';')) {
      FromPair(absl::StripAsciiWhitespace(pair), name, to);
    }
  }
}

void FindTokens(const JwtProvider& provider, const RequestHead& head, Tokens& to) {
  for (const auto& place : provider.from_headers) FromHeader(place, head.headers, to);
  if (!provider.from_params.empty()) {
    const absl::string_view query = Split(head.path).query;
    for (const std::string& name : provider.from_params) FromParameter(name, query, to);
  }
  for (const std::string& name : provider.from_cookies) FromCookie(name, head.headers, to);
}

// ---- One token.

// Whether a token that is properly signed is one that the provider wants.
JwtStatus CheckClaims(const JwtProvider& provider, const std::vector<std::string>& audiences,
                      const Jwt& jwt, absl::Time now) {
  if (!provider.issuer.empty() && jwt.issuer != provider.issuer) return JwtStatus::kUnknownIssuer;
  if (provider.subjects && !provider.subjects->Matches(jwt.subject)) {
    return JwtStatus::kSubjectNotAllowed;
  }
  if (provider.require_expiration && !jwt.expiry) return JwtStatus::kWithoutExpiry;
  if (provider.max_lifetime != absl::InfiniteDuration()) {
    // Without a time of issue, what is left is what is known of its life.
    if (!jwt.expiry) return JwtStatus::kWithoutExpiry;
    const absl::Time from = jwt.issued_at ? absl::FromUnixSeconds(*jwt.issued_at) : now;
    if (absl::FromUnixSeconds(*jwt.expiry) - from > provider.max_lifetime) {
      return JwtStatus::kLivesTooLong;
    }
  }
  const JwtStatus times = certs::CheckJwtTimes(jwt, now, provider.clock_skew);
  if (times != JwtStatus::kOk || audiences.empty()) return times;
  const bool meant =
      std::any_of(jwt.audiences.begin(), jwt.audiences.end(), [&](const std::string& audience) {
        return std::find(audiences.begin(), audiences.end(), audience) != audiences.end();
      });
  return meant ? JwtStatus::kOk : JwtStatus::kAudienceNotAllowed;
}

const std::shared_ptr<const certs::Jwks>* KeysOf(const JwtProvider& provider, const KeySets& keys) {
  if (provider.local_keys != nullptr) return &provider.local_keys;
  const auto it = keys.find(*provider.remote);
  return it == keys.end() || it->second == nullptr ? nullptr : &it->second;
}

// "scope": "read write" as the list that policies want to look into.
std::shared_ptr<const Json> Spaced(const JwtProvider& provider, const Json& payload) {
  if (provider.space_delimited_claims.empty()) return nullptr;
  auto spaced = std::make_shared<Json>(payload);
  for (const std::string& name : provider.space_delimited_claims) {
    const auto claim = spaced->find(name);
    if (claim == spaced->end() || !claim->is_string()) continue;
    const std::string text = claim->get<std::string>();
    Json words = Json::array();
    for (absl::string_view word : absl::StrSplit(text, ' ', absl::SkipEmpty())) {
      words.push_back(std::string(word));
    }
    *claim = std::move(words);
  }
  return spaced;
}

struct Question {
  const JwtAuthnConfig& config;
  const RequestHead& head;
  const JwtSurroundings& around;
};

JwtStatus VerifyOne(const Question& q, const JwtProvider& provider,
                    const std::vector<std::string>& audiences, absl::string_view token,
                    std::vector<VerifiedToken>& verified) {
  const std::shared_ptr<const certs::Jwks>* keys = KeysOf(provider, q.around.keys);
  std::shared_ptr<const Jwt> jwt;
  const bool cached = keys != nullptr && token.size() <= provider.max_cached_bytes;
  if (cached) jwt = q.around.cache.Find(token, *keys);
  const bool known = jwt != nullptr;
  if (!known) {
    auto fresh = std::make_shared<Jwt>();
    const JwtStatus parsed = certs::ParseJwt(token, *fresh);
    if (parsed != JwtStatus::kOk) return parsed;
    jwt = std::move(fresh);
  }
  const JwtStatus claims = CheckClaims(provider, audiences, *jwt, q.around.now);
  if (claims != JwtStatus::kOk) return claims;
  if (keys == nullptr) return JwtStatus::kNoKeys;
  if (!known) {
    const JwtStatus status = certs::VerifyJwt(*jwt, **keys);
    if (status != JwtStatus::kOk) return status;
    if (cached) q.around.cache.Add(jwt, *keys);
  }
  std::shared_ptr<const Json> spaced = Spaced(provider, jwt->payload);
  verified.push_back({&provider, std::move(jwt), std::move(spaced)});
  return JwtStatus::kOk;
}

// ---- Requirements. Tokens of what fails are not left behind in `verified`.

JwtStatus RequireProvider(const Question& q, const JwtRequirement& requirement,
                          std::vector<VerifiedToken>& verified) {
  const JwtProvider& provider = q.config.providers[requirement.provider];
  Tokens tokens;
  FindTokens(provider, q.head, tokens);
  if (tokens.empty()) return JwtStatus::kMissing;
  if (tokens.size() > kMaxTokens) return JwtStatus::kMultiple;
  const std::vector<std::string>& audiences =
      requirement.audiences ? *requirement.audiences : provider.audiences;
  const size_t before = verified.size();
  for (absl::string_view token : tokens) {
    const JwtStatus status = VerifyOne(q, provider, audiences, token, verified);
    if (status == JwtStatus::kOk) continue;
    verified.resize(before);
    return status;
  }
  return JwtStatus::kOk;
}

// A token is good if one of the providers that look where it is says so. kMissing: there is none.
JwtStatus VerifyForAnyProvider(const Question& q, std::vector<VerifiedToken>& verified) {
  struct Found {
    absl::string_view token;
    JwtStatus status;
  };
  std::vector<Found> found;
  for (const JwtProvider& provider : q.config.providers) {
    Tokens tokens;
    FindTokens(provider, q.head, tokens);
    for (absl::string_view token : tokens) {
      auto it = std::find_if(found.begin(), found.end(),
                             [&](const Found& one) { return one.token == token; });
      if (it == found.end()) it = found.insert(found.end(), {token, JwtStatus::kUnknownIssuer});
      if (found.size() > kMaxTokens) return JwtStatus::kMultiple;
      if (it->status == JwtStatus::kOk) continue;
      const JwtStatus status = VerifyOne(q, provider, provider.audiences, token, verified);
      // Who is not its issuer has nothing to say about it.
      if (status != JwtStatus::kUnknownIssuer) it->status = status;
    }
  }
  if (found.empty()) return JwtStatus::kMissing;
  for (const Found& one : found) {
    if (one.status != JwtStatus::kOk) return one.status;
  }
  return JwtStatus::kOk;
}

JwtStatus Require(const Question& q, const JwtRequirement& requirement,
                  std::vector<VerifiedToken>& verified);

// What says most of why none of several would do.
bool SaysMore(JwtStatus status, JwtStatus than) {
  const auto rank = [](JwtStatus s) {
    return s == JwtStatus::kMissing ? 0 : s == JwtStatus::kUnknownIssuer ? 1 : 2;
  };
  return rank(status) > rank(than);
}

// "Or no token at all" beside others means: none where any of them looks. Tokens that are there and
// no good are never overlooked.
JwtStatus RequireAny(const Question& q, const JwtRequirement& requirement,
                     std::vector<VerifiedToken>& verified) {
  JwtStatus worst = JwtStatus::kMissing;
  bool allow_missing = false;
  bool allow_failed = false;
  for (const JwtRequirement& one : requirement.of) {
    allow_missing = allow_missing || one.kind == Kind::kAllowMissing;
    allow_failed = allow_failed || one.kind == Kind::kAllowMissingOrFailed;
    if (one.kind == Kind::kAllowMissing || one.kind == Kind::kAllowMissingOrFailed) continue;
    const JwtStatus status = Require(q, one, verified);
    if (status == JwtStatus::kOk) return status;
    if (SaysMore(status, worst)) worst = status;
  }
  if (allow_failed || (allow_missing && worst == JwtStatus::kMissing)) return JwtStatus::kOk;
  return worst;
}

JwtStatus RequireAll(const Question& q, const JwtRequirement& requirement,
                     std::vector<VerifiedToken>& verified) {
  const size_t before = verified.size();
  for (const JwtRequirement& one : requirement.of) {
    const JwtStatus status = Require(q, one, verified);
    if (status == JwtStatus::kOk) continue;
    verified.resize(before);
    return status;
  }
  return JwtStatus::kOk;
}

JwtStatus Require(const Question& q, const JwtRequirement& requirement,
                  std::vector<VerifiedToken>& verified) {
  switch (requirement.kind) {
    case Kind::kProvider:
      return RequireProvider(q, requirement, verified);
    case Kind::kAny:
      return RequireAny(q, requirement, verified);
    case Kind::kAll:
      return RequireAll(q, requirement, verified);
    case Kind::kAllowMissing: {
      const size_t before = verified.size();
      const JwtStatus status = VerifyForAnyProvider(q, verified);
      if (status == JwtStatus::kMissing) return JwtStatus::kOk;
      if (status != JwtStatus::kOk) verified.resize(before);
      return status;
    }
    case Kind::kAllowMissingOrFailed:
      VerifyForAnyProvider(q, verified);
      return JwtStatus::kOk;
  }
  return JwtStatus::kMissing;
}

// ---- What tokens change.

const Json* ClaimAt(const Json& payload, const std::vector<std::string>& path) {
  const Json* value = &payload;
  for (const std::string& name : path) {
    if (!value->is_object()) return nullptr;
    const auto it = value->find(name);
    if (it == value->end()) return nullptr;
    value = &*it;
  }
  return value;
}

// Text, numbers and truth values as they are, anything else as base64 of its JSON. nullopt: not to
// be had, or nothing that a header may hold.
std::optional<std::string> HeaderText(const Json& claim) {
  if (claim.is_number() || claim.is_boolean()) return claim.dump();
  if (!claim.is_string()) {
    return absl::Base64Escape(claim.dump(-1, ' ', true, Json::error_handler_t::replace));
  }
  const std::string& text = claim.get_ref<const std::string&>();
  const bool harmless = std::none_of(text.begin(), text.end(),
                                     [](unsigned char c) { return absl::ascii_iscntrl(c); });
  return harmless ? std::optional(text) : std::nullopt;
}

void SetClaimHeaders(const VerifiedToken& token, Headers& headers) {
  for (const JwtProvider::ClaimHeader& one : token.provider->claim_headers) {
    const Json* claim = ClaimAt(token.jwt->payload, one.path);
    if (claim == nullptr) continue;
    if (const std::optional<std::string> text = HeaderText(*claim)) headers.Set(one.header, *text);
  }
}

void SetPayloadHeader(const VerifiedToken& token, Headers& headers) {
  if (token.provider->forward_payload_header.empty()) return;
  std::string payload(token.jwt->encoded_payload());
  if (token.provider->pad_payload_header) payload.append((4 - payload.size() % 4) % 4, '=');
  headers.Set(token.provider->forward_payload_header, payload);
}

void RemoveParameter(absl::string_view name, absl::string_view token, std::string& path) {
  const SplitPath parts = Split(path);
  std::string kept;
  for (absl::string_view pair : absl::StrSplit(parts.query, '&')) {
    Tokens found;
    FromPair(pair, name, found);
    if (!found.empty() && found.front() == token) continue;
    absl::StrAppend(&kept, kept.empty() ? "" : "&", pair);
  }
  path = absl::StrCat(parts.path, kept.empty() ? "" : "?", kept);
}

// Cookies stay: they are one header with what else the application keeps there.
void RemoveToken(const VerifiedToken& token, RequestHead& head) {
  const absl::string_view text = token.jwt->text;
  for (const auto& place : token.provider->from_headers) {
    head.headers.RemoveIf([&](const HeaderView& header) {
      absl::string_view value = header.value;
      return absl::EqualsIgnoreCase(header.name, place.name) &&
             ConsumePlacePrefix(place.prefix, value) && absl::StripAsciiWhitespace(value) == text;
    });
  }
  if (!absl::StrContains(head.path, text)) return;
  for (const std::string& name : token.provider->from_params) {
    RemoveParameter(name, text, head.path);
  }
}

}  // namespace

size_t JwtCache::SlotOf(absl::string_view token) {
  // Seeded by the process, so that nobody can choose tokens that drive each other out.
  return absl::Hash<absl::string_view>()(token) & (kSlots - 1);
}

std::shared_ptr<const Jwt> JwtCache::Find(absl::string_view token,
                                          const std::shared_ptr<const certs::Jwks>& keys) {
  const Slot* slot = slots_.empty() ? nullptr : &slots_[SlotOf(token)];
  const bool known =
      slot != nullptr && slot->keys == keys && slot->jwt != nullptr && slot->jwt->text == token;
  ++(known ? uses_.hits : uses_.misses);
  return known ? slot->jwt : nullptr;
}

void JwtCache::Add(std::shared_ptr<const Jwt> jwt, std::shared_ptr<const certs::Jwks> keys) {
  if (slots_.empty()) slots_.resize(kSlots);
  Slot& slot = slots_[SlotOf(jwt->text)];
  slot.jwt = std::move(jwt);
  slot.keys = std::move(keys);
}

bool IsExemptPreflight(const JwtAuthnConfig& config, const RequestHead& head) {
  return config.bypass_cors_preflight && head.method == "OPTIONS" && head.headers.Has("origin") &&
         head.headers.Has("access-control-request-method");
}

const JwtRequirement* RequirementFor(const JwtAuthnConfig& config, const JwtRouteConfig* route,
                                     const RequestHead& head, uint64_t random, bool* problem) {
  *problem = false;
  if (IsExemptPreflight(config, head)) return nullptr;
  if (route != nullptr) {
    if (route->disabled) return nullptr;
    const auto it = config.requirements.find(route->requirement_name);
    *problem = it == config.requirements.end();
    return *problem ? nullptr : &it->second;
  }
  for (const JwtAuthnConfig::Rule& rule : config.rules) {
    if (!MatchesRequest(rule.match, head, random)) continue;
    return rule.requirement ? &*rule.requirement : nullptr;
  }
  return nullptr;
}

JwtVerdict VerifyTokens(const JwtAuthnConfig& config, const JwtRequirement& requirement,
                        const RequestHead& head, const JwtSurroundings& around) {
  JwtVerdict verdict;
  const Question question{config, head, around};
  verdict.status = Require(question, requirement, verdict.tokens);
  return verdict;
}

void RemoveForged(const JwtAuthnConfig& config, Headers& headers) {
  for (const JwtProvider& provider : config.providers) {
    if (!provider.forward_payload_header.empty()) headers.Remove(provider.forward_payload_header);
    for (const auto& one : provider.claim_headers) headers.Remove(one.header);
  }
}

void ApplyTokens(const std::vector<VerifiedToken>& tokens, RequestHead& head) {
  for (const VerifiedToken& token : tokens) {
    if (!token.provider->forward) RemoveToken(token, head);
  }
  for (const VerifiedToken& token : tokens) {
    SetClaimHeaders(token, head.headers);
    SetPayloadHeader(token, head.headers);
  }
}

std::vector<TokenMetadata> MetadataOf(const std::vector<VerifiedToken>& tokens) {
  std::vector<TokenMetadata> metadata;
  for (const VerifiedToken& token : tokens) {
    if (!token.provider->payload_in_metadata.empty()) {
      metadata.push_back({token.provider->payload_in_metadata, &token.metadata()});
    }
    if (!token.provider->header_in_metadata.empty()) {
      metadata.push_back({token.provider->header_in_metadata, &token.jwt->header});
    }
  }
  return metadata;
}

int StatusCodeOf(JwtStatus status) { return status == JwtStatus::kAudienceNotAllowed ? 403 : 401; }

std::string JwtDetails(JwtStatus status) {
  const absl::string_view text = certs::JwtStatusText(status);
  return absl::StrCat("jwt_authn_access_denied{", absl::StrReplaceAll(text, {{" ", "_"}}), "}");
}

std::string Challenge(JwtStatus status, const RequestHead& head, absl::string_view scheme) {
  std::string realm = absl::StrCat(scheme, "://", head.authority, Split(head.path).path);
  realm.resize(std::min(realm.size(), kMaxRealm));
  // The client's own text, inside quotes.
  for (char& c : realm) {
    if (c == '"' || c == '\\' || !absl::ascii_isprint(static_cast<unsigned char>(c))) c = '_';
  }
  return absl::StrCat("Bearer realm=\"", realm, "\"",
                      status == JwtStatus::kMissing ? "" : ", error=\"invalid_token\"");
}

}  // namespace weft
