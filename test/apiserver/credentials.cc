#include "test/apiserver/credentials.h"

#include <algorithm>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace weft::apiserver {
namespace {

// What tokens are for when nobody says.
constexpr char kOwnAudience[] = "https://kubernetes.default.svc.cluster.local";

std::string Segment(const std::string& bytes) { return absl::WebSafeBase64Escape(bytes); }

// The O and CN of a subject in RFC 2253's form.
User UserOfSubject(absl::string_view subject) {
  User user;
  user.groups.clear();
  for (absl::string_view part : absl::StrSplit(subject, ',')) {
    part = absl::StripAsciiWhitespace(part);
    if (absl::ConsumePrefix(&part, "CN=")) user.name = std::string(part);
    if (absl::ConsumePrefix(&part, "O=")) user.groups.emplace_back(part);
  }
  user.groups.push_back("system:authenticated");
  return user;
}

bool Overlap(const std::vector<std::string>& a, const std::vector<std::string>& b) {
  return std::any_of(a.begin(), a.end(), [&](const std::string& one) {
    return std::find(b.begin(), b.end(), one) != b.end();
  });
}

}  // namespace

void Credentials::SetTokens(absl::string_view csv) {
  given_.clear();
  for (absl::string_view line : absl::StrSplit(csv, '\n')) {
    line = absl::StripAsciiWhitespace(line);
    if (line.empty() || line.front() == '#') continue;
    const std::vector<std::string> fields = absl::StrSplit(line, absl::MaxSplits(',', 3));
    if (fields.size() < 3) continue;
    Token token;
    token.user.name = fields[1];
    token.user.uid = fields[2];
    token.user.groups.clear();
    if (fields.size() > 3) {
      absl::string_view groups = fields[3];
      absl::ConsumePrefix(&groups, "\"");
      absl::ConsumeSuffix(&groups, "\"");
      token.user.groups = absl::StrSplit(groups, ',', absl::SkipEmpty());
    }
    token.user.groups.push_back("system:authenticated");
    token.audiences = {kOwnAudience};
    given_[fields[0]] = std::move(token);
  }
}

std::string Credentials::Issue(const AccountToken& wanted, const std::string& id) {
  Token token;
  token.user.name = absl::StrCat("system:serviceaccount:", wanted.ns, ":", wanted.account);
  token.user.uid = wanted.uid;
  token.user.groups = {"system:serviceaccounts", absl::StrCat("system:serviceaccounts:", wanted.ns),
                       "system:authenticated"};
  token.user.extra["authentication.kubernetes.io/credential-id"] = {absl::StrCat("JTI=", id)};
  token.audiences =
      wanted.audiences.empty() ? std::vector<std::string>{kOwnAudience} : wanted.audiences;
  token.expires = wanted.expires;
  const Json header = {{"alg", "ES256"}, {"kid", "apiserver"}};
  Json claims = {{"iss", kOwnAudience},
                 {"sub", token.user.name},
                 {"aud", token.audiences},
                 {"exp", absl::ToUnixSeconds(wanted.expires)},
                 {"jti", id}};
  Json& own = claims["kubernetes.io"];
  own = {{"namespace", wanted.ns},
         {"serviceaccount", {{"name", wanted.account}, {"uid", wanted.uid}}}};
  if (!wanted.pod.empty()) {
    own["pod"] = {{"name", wanted.pod}, {"uid", wanted.pod_uid}};
    token.user.extra["authentication.kubernetes.io/pod-name"] = {wanted.pod};
    token.user.extra["authentication.kubernetes.io/pod-uid"] = {wanted.pod_uid};
  }
  const std::string text =
      absl::StrCat(Segment(header.dump()), ".", Segment(claims.dump()), ".", Segment(id));
  issued_[text] = std::move(token);
  return text;
}

const Credentials::Token* Credentials::Find(absl::string_view token, absl::Time now) const {
  if (const auto found = given_.find(token); found != given_.end()) return &found->second;
  const auto found = issued_.find(token);
  return found != issued_.end() && now < found->second.expires ? &found->second : nullptr;
}

Result<User> Credentials::Authenticate(absl::string_view authorization,
                                       const PeerCertificate* certificate, absl::Time now) const {
  if (absl::StartsWithIgnoreCase(authorization, "Bearer ")) {
    const Token* token = Find(absl::StripAsciiWhitespace(authorization.substr(7)), now);
    if (token == nullptr) return Unauthorized();
    return token->user;
  }
  if (certificate != nullptr) return UserOfSubject(certificate->subject);
  if (required_) return Unauthorized();
  return User();
}

Json Credentials::Review(const Json& spec, absl::Time now) const {
  const std::string text = spec.value("token", "");
  const Token* token = Find(text, now);
  Json status = {{"user", Json::object()}};
  if (token == nullptr) {
    status["error"] = "[invalid bearer token, token lookup failed]";
    return status;
  }
  std::vector<std::string> audiences = spec.value("audiences", std::vector<std::string>());
  if (audiences.empty()) audiences = {kOwnAudience};
  if (!Overlap(audiences, token->audiences)) {
    status["error"] = absl::StrCat(
        "[invalid bearer token, token audiences [\"", absl::StrJoin(token->audiences, "\" \""),
        "\"] is invalid for the target audiences [\"", absl::StrJoin(audiences, "\" \""), "\"]]");
    return status;
  }
  std::vector<std::string> good;
  for (const std::string& audience : audiences) {
    if (Overlap({audience}, token->audiences)) good.push_back(audience);
  }
  status["authenticated"] = true;
  status["user"] = token->user.ToJson();
  status["audiences"] = good;
  return status;
}

}  // namespace weft::apiserver
