#include "proxy/decide/authorize.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "proxy/decide/request_path.h"

namespace weft {
namespace {

using Json = nlohmann::json;
using Kind = RbacRule::Kind;

bool Matches(const RbacRule& rule, const RequestFacts& facts);

bool AnyMatches(const std::vector<RbacRule>& rules, const RequestFacts& facts) {
  return std::any_of(rules.begin(), rules.end(),
                     [&](const RbacRule& rule) { return Matches(rule, facts); });
}

bool AllMatch(const std::vector<RbacRule>& rules, const RequestFacts& facts) {
  return std::all_of(rules.begin(), rules.end(),
                     [&](const RbacRule& rule) { return Matches(rule, facts); });
}

// ---- Headers.

absl::string_view WithoutPort(absl::string_view authority) {
  const size_t colon = authority.rfind(':');
  if (colon == absl::string_view::npos) return authority;
  // "[::1]" has colons, but no port.
  if (absl::StrContains(authority.substr(colon), ']')) return authority;
  return authority.substr(0, colon);
}

// "Admin.Example." and "admin.example" are one host. Towards "denied" every spelling that leads
// there counts, the one that came and those without the port included.
bool AuthorityMatches(const HeaderMatch& match, bool every_value, absl::string_view authority) {
  if (!every_value && match.Matches(authority)) return true;
  std::string lowered;
  if (std::any_of(authority.begin(), authority.end(), absl::ascii_isupper)) {
    lowered = absl::AsciiStrToLower(authority);
    authority = lowered;
  }
  if (match.Matches(authority)) return true;
  const absl::string_view host = WithoutPort(authority);
  return !every_value && (match.Matches(host) || match.Matches(absl::StripSuffix(host, ".")));
}

bool LinesMatch(const HeaderMatch& match, bool every_value, const Headers& headers) {
  size_t lines = 0;
  bool all = true;
  for (const HeaderView& header : headers) {
    if (!absl::EqualsIgnoreCase(header.name, match.name)) continue;
    ++lines;
    const bool matched = match.Matches(header.value);
    if (matched && !every_value) return true;
    all = all && matched;
  }
  if (lines == 0) return match.Matches(std::nullopt);
  if (every_value || lines == 1) return all;
  return match.Matches(absl::StrJoin(headers.GetAll(match.name), ","));
}

bool HeaderMatches(const HeaderMatch& match, bool every_value, const RequestFacts& facts) {
  if (facts.head == nullptr) return false;
  const RequestHead& head = *facts.head;
  const absl::string_view name = match.name;
  if (name == ":method") return match.Matches(head.method);
  if (name == ":path") return match.Matches(head.path);
  if (name == ":scheme") return match.Matches(head.scheme);
  if (name == ":authority" || name == "host") {
    return AuthorityMatches(match, every_value, head.authority);
  }
  return LinesMatch(match, every_value, head.headers);
}

// "/a;v=1/b" as the servers read it for which ';' starts parameters of a segment: "/a/b".
std::string WithoutParameters(absl::string_view path) {
  std::string kept;
  while (!path.empty()) {
    const size_t end = std::min(path.find('/', 1), path.size());
    const absl::string_view segment = path.substr(0, end);
    absl::StrAppend(&kept, segment.substr(0, segment.find(';')));
    path.remove_prefix(end);
  }
  return kept;
}

bool PathMatches(const StringMatch& match, bool every_value, const RequestFacts& facts) {
  if (facts.head == nullptr) return false;
  absl::string_view path = Split(facts.head->path).path;
  path = path.substr(0, path.find('#'));
  const bool matched = match.Matches(path);
  if (matched != every_value || !absl::StrContains(path, ';')) return matched;
  return match.Matches(WithoutParameters(path));
}

// ---- The peer.

bool AnyNameMatches(const StringMatch& match, absl::Span<const std::string> names) {
  return std::any_of(names.begin(), names.end(),
                     [&](const std::string& name) { return match.Matches(name); });
}

bool PeerMatches(const RbacRule& rule, const RequestFacts& facts) {
  if (!facts.authenticated) return false;
  const StringMatch* name = std::get_if<StringMatch>(&rule.test);
  if (name == nullptr) return true;
  return AnyNameMatches(*name, facts.peer_uris) || AnyNameMatches(*name, facts.peer_dns_names) ||
         name->Matches(facts.peer_subject);
}

// ::ffff:a.b.c.d is how a socket of both families shows a.b.c.d.
absl::string_view Unmapped(absl::string_view ip) {
  constexpr absl::string_view kMapped("\0\0\0\0\0\0\0\0\0\0\xff\xff", 12);
  return ip.size() == 16 && absl::StartsWith(ip, kMapped) ? ip.substr(kMapped.size()) : ip;
}

bool IpMatches(const RbacRule& rule, absl::string_view ip) {
  const IpPrefix& prefix = std::get<IpPrefix>(rule.test);
  return prefix.Contains(ip) || prefix.Contains(Unmapped(ip));
}

bool PortMatches(const PortRange& range, uint16_t port) {
  return port >= range.start && port < range.end;
}

// ---- Tokens.

const Json* Member(const Json* object, const std::string& key) {
  if (object == nullptr || !object->is_object()) return nullptr;
  const auto it = object->find(key);
  return it == object->end() ? nullptr : &*it;
}

const Json* Below(const Json* value, absl::Span<const std::string> path) {
  for (const std::string& key : path) value = Member(value, key);
  return value;
}

// A text, or a list of texts, as Istio shows claims: lists of words.
bool WordsMatch(const ValueMatch& match, const Json* value) {
  if (match.Matches(value)) return true;
  if (value == nullptr || !value->is_string()) return false;
  if (match.kind == ValueMatch::Kind::kOr) {
    return std::any_of(match.of.begin(), match.of.end(),
                       [&](const ValueMatch& one) { return WordsMatch(one, value); });
  }
  if (match.kind != ValueMatch::Kind::kListHas) return false;
  for (absl::string_view word :
       absl::StrSplit(value->get_ref<const std::string&>(), ' ', absl::SkipEmpty())) {
    if (match.of.front().MatchesText(word)) return true;
  }
  return false;
}

bool PrincipalMatches(const ValueMatch& match, const Json* claims) {
  const Json* issuer = Member(claims, "iss");
  const Json* subject = Member(claims, "sub");
  if (issuer == nullptr || subject == nullptr || !issuer->is_string() || !subject->is_string()) {
    return match.Matches(nullptr);
  }
  return match.MatchesText(absl::StrCat(issuer->get_ref<const std::string&>(), "/",
                                        subject->get_ref<const std::string&>()));
}

bool PeerPrincipalMatches(const ValueMatch& match, const RequestFacts& facts) {
  if (facts.peer_uris.empty()) return match.Matches(nullptr);
  return std::any_of(facts.peer_uris.begin(), facts.peer_uris.end(), [&](const std::string& uri) {
    return match.MatchesText(absl::StripPrefix(uri, "spiffe://"));
  });
}

const Json* UnderKey(const RequestFacts& facts, absl::string_view key) {
  for (const TokenMetadata& entry : facts.metadata) {
    if (entry.key == key) return entry.value;
  }
  return nullptr;
}

bool ValueMatches(const MetadataMatch& match, const RequestFacts& facts) {
  switch (match.source) {
    case MetadataMatch::Source::kJwt:
      return match.value.Matches(
          Below(UnderKey(facts, match.path.front()), absl::MakeSpan(match.path).subspan(1)));
    case MetadataMatch::Source::kIstioClaims:
      return WordsMatch(match.value, Below(facts.claims, match.path));
    case MetadataMatch::Source::kIstioPrincipal:
      return PrincipalMatches(match.value, facts.claims);
    case MetadataMatch::Source::kIstioAudiences:
      return WordsMatch(match.value, Member(facts.claims, "aud"));
    case MetadataMatch::Source::kIstioPresenter:
      return WordsMatch(match.value, Member(facts.claims, "azp"));
    case MetadataMatch::Source::kIstioPeer:
      return PeerPrincipalMatches(match.value, facts);
  }
  return false;
}

// ---- All together.

bool Matches(const RbacRule& rule, const RequestFacts& facts) {
  switch (rule.kind) {
    case Kind::kAlways:
      return true;
    case Kind::kAnd:
      return AllMatch(rule.rules, facts);
    case Kind::kOr:
      return AnyMatches(rule.rules, facts);
    case Kind::kNot:
      return !Matches(rule.rules.front(), facts);
    case Kind::kHeader:
      return HeaderMatches(std::get<HeaderMatch>(rule.test), rule.every_value, facts);
    case Kind::kUrlPath:
      return PathMatches(std::get<StringMatch>(rule.test), rule.every_value, facts);
    case Kind::kServerName:
      return std::get<StringMatch>(rule.test).Matches(facts.server_name);
    case Kind::kAuthenticated:
      return PeerMatches(rule, facts);
    case Kind::kMetadata: {
      const auto& match = std::get<MetadataMatch>(rule.test);
      return ValueMatches(match, facts) != match.invert;
    }
    case Kind::kDestinationIp:
      return IpMatches(rule, facts.destination_ip);
    case Kind::kDestinationPort:
      return PortMatches(std::get<PortRange>(rule.test), facts.destination_port);
    case Kind::kSourceIp:
      return IpMatches(rule, facts.source_ip);
    case Kind::kDirectRemoteIp:
      return IpMatches(rule, facts.direct_remote_ip);
    case Kind::kRemoteIp:
      return IpMatches(rule, facts.remote_ip);
  }
  return false;
}

}  // namespace

Verdict Authorize(const RbacRules& rules, const RequestFacts& facts) {
  Verdict verdict;
  for (const RbacPolicy& policy : rules.policies) {
    if (!AnyMatches(policy.permissions, facts) || !AnyMatches(policy.principals, facts)) continue;
    verdict.policy = &policy;
    break;
  }
  const bool matched = verdict.policy != nullptr;
  if (rules.action == RbacRules::Action::kAllow) verdict.allowed = matched;
  if (rules.action == RbacRules::Action::kDeny) verdict.allowed = !matched;
  return verdict;
}

std::string DenialDetails(const Verdict& verdict) {
  absl::string_view name = "none";
  if (verdict.policy != nullptr) name = verdict.policy->name;
  // The access log separates its fields by white space.
  return absl::StrCat("rbac_access_denied_matched_policy[",
                      absl::StrReplaceAll(name, {{" ", "_"}, {"\t", "_"}, {"\n", "_"}}), "]");
}

}  // namespace weft
