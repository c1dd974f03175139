#include "controlplane/translate/authorization_rule.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/envoy/rbac.pb.h"
#include "api/istio/security.pb.h"
#include "re2/re2.h"

namespace weft {
namespace {

namespace rbac = envoy::config::rbac::v3;
namespace security = istio::security::v1beta1;
using envoy::type::matcher::v3::MetadataMatcher;
using envoy::type::matcher::v3::StringMatcher;
using rbac::Permission;
using rbac::Principal;
using Strings = google::protobuf::RepeatedPtrField<std::string>;

constexpr absl::string_view kSpiffe = "spiffe://";
// In policies that were written for another mesh: the one they are applied in.
constexpr absl::string_view kLocalDomain = "cluster.local";

// ---- Trees of permissions and of principals are built alike.

void SetAny(Permission& to) { to.set_any(true); }
void SetAny(Principal& to) { to.set_any(true); }
Permission* AddTo(Permission& to, bool all) {
  return all ? to.mutable_and_rules()->add_rules() : to.mutable_or_rules()->add_rules();
}
Principal* AddTo(Principal& to, bool all) {
  return all ? to.mutable_and_ids()->add_ids() : to.mutable_or_ids()->add_ids();
}
void SetNot(Permission inner, Permission& to) { *to.mutable_not_rule() = std::move(inner); }
void SetNot(Principal inner, Principal& to) { *to.mutable_not_id() = std::move(inner); }

template <typename Node>
Node Anything() {
  Node node;
  SetAny(node);
  return node;
}

template <typename Node>
Node Not(Node inner) {
  Node node;
  SetNot(std::move(inner), node);
  return node;
}

template <typename Node>
Node Join(std::vector<Node> nodes, bool all) {
  if (nodes.size() == 1) return std::move(nodes.front());
  Node node;
  for (Node& one : nodes) *AddTo(node, all) = std::move(one);
  return node;
}

// Of none: everything.
template <typename Node>
Node AllOf(std::vector<Node> nodes) {
  return nodes.empty() ? Anything<Node>() : Join(std::move(nodes), true);
}

// Of none: nothing.
template <typename Node>
Node AnyOf(std::vector<Node> nodes) {
  return nodes.empty() ? Not(Anything<Node>()) : Join(std::move(nodes), false);
}

// ---- Matchers of values.

StringMatcher Regex(std::string regex) {
  StringMatcher matcher;
  matcher.mutable_safe_regex()->set_regex(std::move(regex));
  return matcher;
}

StringMatcher Exact(std::string text) {
  StringMatcher matcher;
  matcher.set_exact(std::move(text));
  return matcher;
}

// Istio's values: "*" is presence, "*suffix", "prefix*", else exact. `before` stands before each.
StringMatcher Pattern(absl::string_view value, absl::string_view before = "") {
  StringMatcher matcher;
  if (value == "*") return Regex(".+");
  if (absl::ConsumePrefix(&value, "*")) {
    matcher.set_suffix(std::string(value));
  } else if (absl::ConsumeSuffix(&value, "*")) {
    matcher.set_prefix(absl::StrCat(before, value));
  } else {
    matcher.set_exact(absl::StrCat(before, value));
  }
  return matcher;
}

std::string Quoted(absl::string_view text) {
  return RE2::QuoteMeta(re2::StringPiece(text.data(), text.size()));
}

// A part of an identity: each '*' is any text within that part, all else is literal.
std::string GlobRegex(absl::string_view value) {
  if (value == "*") return "[^/]+";
  std::string regex;
  bool first = true;
  for (absl::string_view part : absl::StrSplit(value, '*')) {
    absl::StrAppend(&regex, first ? "" : "[^/]*", Quoted(part));
    first = false;
  }
  return regex;
}

envoy::config::core::v3::CidrRange Cidr(absl::string_view value) {
  const std::vector<absl::string_view> parts = absl::StrSplit(value, '/');
  uint32_t length = absl::StrContains(parts[0], ':') ? 128 : 32;
  if (parts.size() > 1) (void)absl::SimpleAtoi(parts[1], &length);  // was validated
  envoy::config::core::v3::CidrRange range;
  range.set_address_prefix(std::string(parts[0]));
  range.mutable_prefix_len()->set_value(length);
  return range;
}

uint32_t PortOf(const std::string& value) {
  uint32_t port = 0;
  (void)absl::SimpleAtoi(value, &port);  // was validated
  return port;
}

envoy::config::route::v3::HeaderMatcher HeaderOf(std::string name, const std::string& value,
                                                 bool ignore_case = false) {
  envoy::config::route::v3::HeaderMatcher matcher;
  matcher.set_name(std::move(name));
  if (value == "*") {
    matcher.set_present_match(true);
  } else {
    *matcher.mutable_string_match() = Pattern(value);
    matcher.mutable_string_match()->set_ignore_case(ignore_case);
  }
  return matcher;
}

// "{*}" is one segment, "{**}" any number of them.
std::string TemplateRegex(absl::string_view path) {
  std::string regex;
  bool first = true;
  for (absl::string_view segment : absl::StrSplit(path, '/')) {
    absl::StrAppend(&regex, first ? "" : "/");
    first = false;
    if (segment == "{*}") {
      absl::StrAppend(&regex, "[^/]+");
    } else if (segment == "{**}") {
      absl::StrAppend(&regex, ".*");
    } else {
      absl::StrAppend(&regex, Quoted(segment));
    }
  }
  return regex;
}

bool IsTemplate(const std::string& path) {
  return absl::StrContains(path, "{*}") || absl::StrContains(path, "{**}");
}

// What stands in the brackets of a key: {"a", "b"} of "request.auth.claims[a][b]".
std::vector<std::string> NamesIn(absl::string_view key) {
  const size_t open = key.find('[');
  if (open == absl::string_view::npos) return {};
  return absl::StrSplit(absl::StripSuffix(key.substr(open + 1), "]"), "][");
}

MetadataMatcher Claim(const std::vector<std::string>& path) {
  MetadataMatcher matcher;
  matcher.set_filter("envoy.filters.http.jwt_authn");
  matcher.add_path()->set_key(kTokenPayload);
  for (const std::string& name : path) matcher.add_path()->set_key(name);
  return matcher;
}

// A claim that is such a text, or a list with it.
Principal ClaimOrList(const std::vector<std::string>& path, const std::string& value) {
  Principal principal;
  *principal.mutable_metadata() = Claim(path);
  auto* either = principal.mutable_metadata()->mutable_value()->mutable_or_match();
  *either->add_value_matchers()->mutable_string_match() = Pattern(value);
  *either->add_value_matchers()->mutable_list_match()->mutable_one_of()->mutable_string_match() =
      Pattern(value);
  return principal;
}

Principal ClaimText(const char* name, StringMatcher text) {
  Principal principal;
  *principal.mutable_metadata() = Claim({name});
  *principal.mutable_metadata()->mutable_value()->mutable_string_match() = std::move(text);
  return principal;
}

Principal Named(StringMatcher name) {
  Principal principal;
  *principal.mutable_authenticated()->mutable_principal_name() = std::move(name);
  return principal;
}

Principal OfDomain(const std::string& domain) {
  StringMatcher name;
  name.set_prefix(absl::StrCat(kSpiffe, domain, "/"));
  return Named(std::move(name));
}

// ---- Attributes of the caller. A leaf is one value of one.

Principal SourcePrincipal(const RuleContext& context, const std::string&,
                          const std::string& value) {
  absl::string_view name = absl::StripPrefix(value, kSpiffe);
  if (absl::ConsumePrefix(&name, absl::StrCat(kLocalDomain, "/"))) {
    return Named(Pattern(absl::StrCat(context.clusters.own_trust_domain(), "/", name), kSpiffe));
  }
  return Named(Pattern(name, kSpiffe));
}

Principal SourceNamespace(const RuleContext&, const std::string&, const std::string& value) {
  return Named(Regex(absl::StrCat("spiffe://[^/]+/ns/", GlobRegex(value), "/.*")));
}

Principal SourceServiceAccount(const RuleContext& context, const std::string&,
                               const std::string& value) {
  const size_t slash = value.find('/');
  const std::string name_space =
      slash == std::string::npos ? context.policy_namespace : value.substr(0, slash);
  const std::string account = slash == std::string::npos ? value : value.substr(slash + 1);
  return Named(
      Regex(absl::StrCat("spiffe://[^/]+/ns/", Quoted(name_space), "/sa/", Quoted(account))));
}

Principal SourceTrustDomain(const RuleContext& context, const std::string&,
                            const std::string& value) {
  if (value == kLocalDomain) return OfDomain(context.clusters.own_trust_domain());
  return Named(Regex(absl::StrCat(kSpiffe, GlobRegex(value), "/.*")));
}

Principal SourceIp(const RuleContext&, const std::string&, const std::string& value) {
  Principal principal;
  *principal.mutable_direct_remote_ip() = Cidr(value);
  return principal;
}

Principal RemoteIp(const RuleContext&, const std::string&, const std::string& value) {
  Principal principal;
  *principal.mutable_remote_ip() = Cidr(value);
  return principal;
}

// "ISSUER/SUBJECT", of which the last '/' is the border; a wildcard reaches over it only where the
// value has none.
Principal RequestPrincipal(const RuleContext&, const std::string&, const std::string& value) {
  const bool open_start = absl::StartsWith(value, "*");
  const bool open_end = !open_start && absl::EndsWith(value, "*");
  const size_t slash = value.rfind('/');
  StringMatcher issuer;
  StringMatcher subject;
  if (slash != std::string::npos) {
    const std::string before = value.substr(0, slash);
    const std::string behind = value.substr(slash + 1);
    issuer = open_start ? Pattern(before) : Exact(before);
    subject = open_end ? Pattern(behind) : Exact(behind);
  } else {
    issuer = Pattern(open_start ? "*" : value);
    subject = open_start ? Pattern(value) : open_end ? Pattern("*") : Exact("");
  }
  return AllOf<Principal>(
      {ClaimText("iss", std::move(issuer)), ClaimText("sub", std::move(subject))});
}

Principal RequestAudience(const RuleContext&, const std::string&, const std::string& value) {
  return ClaimOrList({"aud"}, value);
}

Principal RequestPresenter(const RuleContext&, const std::string&, const std::string& value) {
  return ClaimOrList({"azp"}, value);
}

Principal RequestClaim(const RuleContext&, const std::string& key, const std::string& value) {
  return ClaimOrList(NamesIn(key), value);
}

Principal RequestHeader(const RuleContext&, const std::string& key, const std::string& value) {
  Principal principal;
  *principal.mutable_header() = HeaderOf(NamesIn(key).front(), value);
  return principal;
}

// ---- Attributes of what is called.

Permission Host(const RuleContext&, const std::string&, const std::string& value) {
  Permission permission;
  *permission.mutable_header() = HeaderOf(":authority", value, /*ignore_case=*/true);
  return permission;
}

Permission Method(const RuleContext&, const std::string&, const std::string& value) {
  Permission permission;
  *permission.mutable_header() = HeaderOf(":method", value);
  return permission;
}

Permission Path(const RuleContext&, const std::string&, const std::string& value) {
  Permission permission;
  *permission.mutable_url_path()->mutable_path() =
      IsTemplate(value) ? Regex(TemplateRegex(value)) : Pattern(value);
  return permission;
}

Permission DestinationPort(const RuleContext&, const std::string&, const std::string& value) {
  Permission permission;
  permission.set_destination_port(PortOf(value));
  return permission;
}

Permission DestinationIp(const RuleContext&, const std::string&, const std::string& value) {
  Permission permission;
  *permission.mutable_destination_ip() = Cidr(value);
  return permission;
}

Permission ServerName(const RuleContext&, const std::string&, const std::string& value) {
  Permission permission;
  *permission.mutable_requested_server_name() = Pattern(value);
  return permission;
}

// ---- The keys of conditions.

template <typename Node>
using Leaf = Node (*)(const RuleContext& context, const std::string& key, const std::string& value);

template <typename Node>
struct Attribute {
  absl::string_view name;  // of the key up to its brackets
  bool http_only;
  Leaf<Node> leaf;
};

constexpr Attribute<Principal> kCaller[] = {
    {"source.principal", false, SourcePrincipal},
    {"source.namespace", false, SourceNamespace},
    {"source.serviceAccount", false, SourceServiceAccount},
    {"source.trustDomain", false, SourceTrustDomain},
    {"source.ip", false, SourceIp},
    {"remote.ip", false, RemoteIp},
    {"request.auth.principal", true, RequestPrincipal},
    {"request.auth.audiences", true, RequestAudience},
    {"request.auth.presenter", true, RequestPresenter},
    {"request.auth.claims", true, RequestClaim},
    {"request.headers", true, RequestHeader},
};

constexpr Attribute<Permission> kCalled[] = {
    {"destination.ip", false, DestinationIp},
    {"destination.port", false, DestinationPort},
    {"connection.sni", false, ServerName},
};

template <typename Node, size_t N>
const Attribute<Node>* FindAttribute(const Attribute<Node> (&attributes)[N],
                                     const std::string& key) {
  const absl::string_view name = absl::string_view(key).substr(0, key.find('['));
  const auto* found = std::find_if(std::begin(attributes), std::end(attributes),
                                   [&](const Attribute<Node>& one) { return one.name == name; });
  return found == std::end(attributes) ? nullptr : found;
}

// ---- A rule.

std::vector<std::string> ListOf(const Strings& values) { return {values.begin(), values.end()}; }

class RuleTranslator {
 public:
  explicit RuleTranslator(const RuleContext& context) : context_(context) {}

  std::optional<rbac::Policy> Translate(const security::Rule& rule) {
    std::vector<Principal> common_ids;
    std::vector<Permission> common_rules;
    for (const security::Condition& when : rule.when())
      AddCondition(when, common_ids, common_rules);
    rbac::Policy policy;
    for (const security::Rule::From& from : rule.from()) {
      std::vector<Principal> ids = common_ids;
      AddSource(from.source(), ids);
      *policy.add_principals() = AllOf(std::move(ids));
    }
    if (rule.from().empty()) *policy.add_principals() = AllOf(std::move(common_ids));
    for (const security::Rule::To& to : rule.to()) {
      std::vector<Permission> rules = common_rules;
      AddOperation(to.operation(), rules);
      *policy.add_permissions() = AllOf(std::move(rules));
    }
    if (rule.to().empty()) *policy.add_permissions() = AllOf(std::move(common_rules));
    if (never_) return std::nullopt;
    return policy;
  }

 private:
  // Whether the attribute can be asked for at all; if not, what that makes of the rule.
  bool CanAsk(bool http_only) {
    if (!http_only || !context_.tcp) return true;
    never_ = never_ || context_.allow;
    return false;
  }

  template <typename Node>
  void Add(Leaf<Node> leaf, bool http_only, const std::string& key, const Strings& values,
           const Strings& not_values, std::vector<Node>& to) {
    if ((values.empty() && not_values.empty()) || !CanAsk(http_only)) return;
    const auto any_of = [&](const Strings& list) {
      std::vector<Node> nodes;
      for (const std::string& value : list) nodes.push_back(leaf(context_, key, value));
      return AnyOf(std::move(nodes));
    };
    if (!values.empty()) to.push_back(any_of(values));
    if (!not_values.empty()) to.push_back(Not(any_of(not_values)));
  }

  // Whichever allows less: where matching lets in, a caller counts as of these clusters only if it
  // certainly is; where it keeps out, already if it may be. See cluster_domains.h.
  void AddClusters(const Strings& values, const Strings& not_values, std::vector<Principal>& to) {
    const auto any_of = [&](const Strings& list, bool certain) {
      std::vector<Principal> nodes;
      for (const std::string& domain : certain ? context_.clusters.CertainlyOf(ListOf(list))
                                               : context_.clusters.PossiblyOf(ListOf(list))) {
        nodes.push_back(OfDomain(domain));
      }
      return AnyOf(std::move(nodes));
    };
    if (!values.empty()) to.push_back(any_of(values, context_.allow));
    if (not_values.empty()) return;
    // Who does not say who it is may be of any cluster.
    if (context_.allow) to.emplace_back().mutable_authenticated();
    to.push_back(Not(any_of(not_values, !context_.allow)));
  }

  void AddSource(const security::Source& from, std::vector<Principal>& to) {
    Add(SourcePrincipal, false, "", from.principals(), from.not_principals(), to);
    Add(RequestPrincipal, true, "", from.request_principals(), from.not_request_principals(), to);
    Add(SourceNamespace, false, "", from.namespaces(), from.not_namespaces(), to);
    Add(SourceIp, false, "", from.ip_blocks(), from.not_ip_blocks(), to);
    Add(RemoteIp, false, "", from.remote_ip_blocks(), from.not_remote_ip_blocks(), to);
    Add(SourceServiceAccount, false, "", from.service_accounts(), from.not_service_accounts(), to);
    Add(SourceTrustDomain, false, "", from.trust_domains(), from.not_trust_domains(), to);
    AddClusters(from.clusters(), from.not_clusters(), to);
  }

  void AddOperation(const security::Operation& from, std::vector<Permission>& to) {
    Add(Host, true, "", from.hosts(), from.not_hosts(), to);
    Add(Method, true, "", from.methods(), from.not_methods(), to);
    Add(Path, true, "", from.paths(), from.not_paths(), to);
    Add(DestinationPort, false, "", from.ports(), from.not_ports(), to);
  }

  void AddCondition(const security::Condition& when, std::vector<Principal>& ids,
                    std::vector<Permission>& rules) {
    if (when.key() == "source.cluster") return AddClusters(when.values(), when.not_values(), ids);
    if (const auto* caller = FindAttribute(kCaller, when.key())) {
      return Add(caller->leaf, caller->http_only, when.key(), when.values(), when.not_values(),
                 ids);
    }
    if (const auto* called = FindAttribute(kCalled, when.key())) {
      return Add(called->leaf, called->http_only, when.key(), when.values(), when.not_values(),
                 rules);
    }
    never_ = never_ || context_.allow;  // validation lets no other key through
  }

  const RuleContext& context_;
  bool never_ = false;
};

}  // namespace

std::optional<rbac::Policy> TranslateRule(const security::Rule& rule, const RuleContext& context) {
  return RuleTranslator(context).Translate(rule);
}

bool AsksPath(const security::Rule& rule) {
  return std::any_of(rule.to().begin(), rule.to().end(), [](const security::Rule::To& to) {
    return !to.operation().paths().empty() || !to.operation().not_paths().empty();
  });
}

}  // namespace weft
