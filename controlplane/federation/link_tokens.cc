#include "controlplane/federation/link_tokens.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/weft/link.pb.h"
#include "certs/digest.h"
#include "certs/secret.h"

namespace weft {
namespace {

constexpr absl::string_view kPrefix = "weft1.";

absl::Status Refused(absl::string_view why) { return absl::PermissionDeniedError(why); }

template <typename T>
bool Read(const nlohmann::json& from, const char* field, T& to) {
  const auto found = from.find(field);
  if (found == from.end()) return false;
  if constexpr (std::is_same_v<T, std::string>) {
    if (!found->is_string()) return false;
  } else {
    if (!found->is_number_integer()) return false;
  }
  to = found->template get<T>();
  return true;
}

}  // namespace

std::string EncodeLinkToken(const peer::v1::LinkToken& token) {
  return absl::StrCat(kPrefix, absl::WebSafeBase64Escape(token.SerializeAsString()));
}

absl::StatusOr<peer::v1::LinkToken> DecodeLinkToken(absl::string_view text) {
  text = absl::StripAsciiWhitespace(text);
  if (text.size() > kMaxLinkToken) return absl::InvalidArgumentError("token: too long");
  if (!absl::ConsumePrefix(&text, kPrefix)) {
    return absl::InvalidArgumentError(
        absl::StrCat("token: does not begin with \"", kPrefix, "\", as link tokens do"));
  }
  std::string bytes;
  peer::v1::LinkToken token;
  if (!absl::WebSafeBase64Unescape(text, &bytes) || !token.ParseFromString(bytes)) {
    return absl::InvalidArgumentError("token: not whole; was it cut short, or broken into lines?");
  }
  if (token.id().empty() || token.secret().size() != kLinkTokenSecret || !token.has_issuer()) {
    return absl::InvalidArgumentError("token: id, secret or issuer is missing");
  }
  return token;
}

absl::StatusOr<LinkTokens> LinkTokens::FromJson(absl::string_view text) {
  const auto all = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (!all.is_object()) return absl::DataLossError("no JSON object");
  LinkTokens tokens;
  for (const auto& [id, from] : all.items()) {
    Token token;
    int64_t expires = 0;
    const bool whole = from.is_object() && Read(from, "secretSha256", token.secret_sha256) &&
                       Read(from, "expires", expires) && Read(from, "wrong", token.wrong) &&
                       Read(from, "joiner", token.joiner);
    if (!whole) return absl::DataLossError(absl::StrCat("token ", id, ": a field is missing"));
    token.expires = absl::FromUnixSeconds(expires);
    tokens.tokens_[id] = std::move(token);
  }
  return tokens;
}

std::string LinkTokens::ToJson(absl::Time now) const {
  nlohmann::json all = nlohmann::json::object();
  for (const auto& [id, token] : tokens_) {
    if (token.expires <= now) continue;
    all[id] = {{"secretSha256", token.secret_sha256},
               {"expires", absl::ToUnixSeconds(token.expires)},
               {"wrong", token.wrong},
               {"joiner", token.joiner}};
  }
  return absl::StrCat(all.dump(2), "\n");
}

absl::Status LinkTokens::Add(const std::string& id, absl::string_view secret, absl::Time expires,
                             absl::Time now) {
  std::erase_if(tokens_, [&](const auto& entry) { return entry.second.expires <= now; });
  if (tokens_.size() >= kMostLinkTokens) {
    return absl::ResourceExhaustedError(
        absl::StrCat(kMostLinkTokens, " tokens are valid already; wait until some expire"));
  }
  Token token;
  token.secret_sha256 = certs::Sha256Hex(secret);
  token.expires = expires;
  tokens_[id] = std::move(token);
  return absl::OkStatus();
}

absl::Time LinkTokens::ValidUntil(absl::Time now) const {
  absl::Time until = absl::InfinitePast();
  for (const auto& [id, token] : tokens_) {
    if (token.expires <= now || token.wrong >= kMostWrongSecrets) continue;
    until = std::max(until, token.expires);
  }
  return until;
}

absl::Status LinkTokens::Redeem(const std::string& id, absl::string_view secret,
                                const std::string& joiner, absl::Time now) {
  const auto found = tokens_.find(id);
  if (found == tokens_.end()) {
    return Refused("the token is not known here: it has expired, or another cluster made it");
  }
  Token& token = found->second;
  if (token.wrong >= kMostWrongSecrets) return Refused("the token is void: too many wrong secrets");
  if (!certs::SameSecret(certs::Sha256Hex(secret), token.secret_sha256)) {
    ++token.wrong;
    return Refused("the token's secret is wrong");
  }
  if (token.expires <= now) return Refused("the token has expired");
  if (!token.joiner.empty() && token.joiner != joiner) {
    return Refused("the token was used by another cluster already");
  }
  token.joiner = joiner;
  return absl::OkStatus();
}

void LinkTokens::Forget(absl::string_view joiner_prefix) {
  std::erase_if(tokens_, [&](const auto& entry) {
    return absl::StartsWith(entry.second.joiner, joiner_prefix);
  });
}

}  // namespace weft
