#include "proxy/config/compile_rbac.h"

#include <algorithm>
#include <map>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/envoy/http_rbac.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/network_rbac.pb.h"
#include "api/envoy/rbac.pb.h"
#include "proxy/config/compile_address.h"
#include "proxy/config/compile_matchers.h"
#include "proxy/config/compile_metadata.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace rbac = envoy::config::rbac::v3;
namespace matcher = envoy::type::matcher::v3;
namespace core = envoy::config::core::v3;
namespace http_rbac = envoy::extensions::filters::http::rbac::v3;
namespace network_rbac = envoy::extensions::filters::network::rbac::v3;
using Kind = RbacRule::Kind;

// Evaluation recurses; nobody writes policies this deep.
constexpr int kMaxDepth = 32;

// Where in the tree a rule stands.
struct Place {
  // Matching here leads towards "allowed": then a condition must be hard to fulfil, elsewhere (in a
  // DENY, or below a not) easy. See decide/authorize.h.
  bool towards_allow = true;
  int depth = 0;

  Place Deeper() const { return {towards_allow, depth + 1}; }
  Place Negated() const { return {!towards_allow, depth + 1}; }
};

absl::StatusOr<RbacRule> CompilePermission(const rbac::Permission& from, Place place);
absl::StatusOr<RbacRule> CompilePrincipal(const rbac::Principal& from, Place place);

absl::StatusOr<RbacRule> CompileOne(const rbac::Permission& from, Place place) {
  return CompilePermission(from, place);
}
absl::StatusOr<RbacRule> CompileOne(const rbac::Principal& from, Place place) {
  return CompilePrincipal(from, place);
}

// ---- The kinds of conditions. `field` names the one that was read.

// The compiled test of a rule; an error is put under the rule's field.
template <typename Test>
absl::StatusOr<RbacRule> Leaf(Kind kind, absl::string_view field, absl::StatusOr<Test> test) {
  if (!test.ok()) return Under(field, test.status());
  RbacRule rule;
  rule.kind = kind;
  rule.test = *std::move(test);
  return rule;
}

template <typename List>
absl::StatusOr<RbacRule> Group(Kind kind, absl::string_view field, const List& from, Place place) {
  if (from.empty()) return Invalid(field, "must not be empty");
  RbacRule rule;
  rule.kind = kind;
  absl::Status status = CompileEach(
      field, from, rule.rules, [&](const auto& one) { return CompileOne(one, place.Deeper()); });
  if (!status.ok()) return status;
  return rule;
}

template <typename Message>
absl::StatusOr<RbacRule> Not(absl::string_view field, const Message& from, Place place) {
  absl::StatusOr<RbacRule> inner = CompileOne(from, place.Negated());
  if (!inner.ok()) return Under(field, inner.status());
  RbacRule rule;
  rule.kind = Kind::kNot;
  rule.rules.push_back(*std::move(inner));
  return rule;
}

absl::StatusOr<RbacRule> Any(bool value) {
  if (!value) return Invalid("any", "must be true");
  return RbacRule{};
}

absl::StatusOr<RbacRule> Header(const envoy::config::route::v3::HeaderMatcher& from, Place place) {
  absl::StatusOr<RbacRule> rule = Leaf(Kind::kHeader, "header", CompileHeaderMatch(from));
  if (rule.ok()) rule->every_value = place.towards_allow;
  return rule;
}

absl::StatusOr<RbacRule> UrlPath(const matcher::PathMatcher& from, Place place) {
  absl::StatusOr<RbacRule> rule =
      Leaf(Kind::kUrlPath, "url_path.path", CompileStringMatch(from.path()));
  if (rule.ok()) rule->every_value = place.towards_allow;
  return rule;
}

absl::StatusOr<RbacRule> Ip(Kind kind, absl::string_view field, const core::CidrRange& from) {
  return Leaf(kind, field, CompilePrefix(from));
}

absl::StatusOr<RbacRule> Metadata(absl::string_view field, const matcher::MetadataMatcher& from) {
  return Leaf(Kind::kMetadata, field, CompileMetadataMatch(from));
}

absl::StatusOr<RbacRule> Sourced(const rbac::SourcedMetadata& from) {
  if (from.metadata_source() != rbac::DYNAMIC) {
    return Invalid("sourced_metadata.metadata_source", "only DYNAMIC is supported by this proxy");
  }
  return Metadata("sourced_metadata.metadata_matcher", from.metadata_matcher());
}

absl::StatusOr<RbacRule> Ports(absl::string_view field, int64_t start, int64_t end) {
  if (start < 0 || end > 65536 || start >= end) {
    return Invalid(field, "must be a range of ports, its end exclusive");
  }
  RbacRule rule;
  rule.kind = Kind::kDestinationPort;
  rule.test = PortRange{static_cast<uint32_t>(start), static_cast<uint32_t>(end)};
  return rule;
}

absl::StatusOr<RbacRule> Authenticated(const rbac::Principal::Authenticated& from) {
  if (from.has_principal_name()) {
    return Leaf(Kind::kAuthenticated, "authenticated.principal_name",
                CompileStringMatch(from.principal_name()));
  }
  RbacRule rule;
  rule.kind = Kind::kAuthenticated;
  return rule;
}

absl::Status Unsupported(absl::string_view field) {
  return Invalid(field, "is not supported by this proxy");
}

absl::Status TooDeep() { return Invalid("", absl::StrCat("is nested deeper than ", kMaxDepth)); }

absl::StatusOr<RbacRule> CompilePermission(const rbac::Permission& from, Place place) {
  if (place.depth > kMaxDepth) return TooDeep();
  switch (from.rule_case()) {
    case rbac::Permission::kAndRules:
      return Group(Kind::kAnd, "and_rules.rules", from.and_rules().rules(), place);
    case rbac::Permission::kOrRules:
      return Group(Kind::kOr, "or_rules.rules", from.or_rules().rules(), place);
    case rbac::Permission::kNotRule:
      return Not("not_rule", from.not_rule(), place);
    case rbac::Permission::kAny:
      return Any(from.any());
    case rbac::Permission::kHeader:
      return Header(from.header(), place);
    case rbac::Permission::kUrlPath:
      return UrlPath(from.url_path(), place);
    case rbac::Permission::kDestinationIp:
      return Ip(Kind::kDestinationIp, "destination_ip", from.destination_ip());
    case rbac::Permission::kDestinationPort:
      return Ports("destination_port", from.destination_port(), from.destination_port() + 1LL);
    case rbac::Permission::kDestinationPortRange:
      return Ports("destination_port_range", from.destination_port_range().start(),
                   from.destination_port_range().end());
    case rbac::Permission::kMetadata:
      return Metadata("metadata", from.metadata());
    case rbac::Permission::kSourcedMetadata:
      return Sourced(from.sourced_metadata());
    case rbac::Permission::kRequestedServerName:
      return Leaf(Kind::kServerName, "requested_server_name",
                  CompileStringMatch(from.requested_server_name()));
    case rbac::Permission::kMatcher:
      return Unsupported("matcher");
    case rbac::Permission::kUriTemplate:
      return Unsupported("uri_template");
    case rbac::Permission::RULE_NOT_SET:
      break;
  }
  return Invalid("", "needs a rule that this proxy knows");
}

absl::StatusOr<RbacRule> CompilePrincipal(const rbac::Principal& from, Place place) {
  if (place.depth > kMaxDepth) return TooDeep();
  switch (from.identifier_case()) {
    case rbac::Principal::kAndIds:
      return Group(Kind::kAnd, "and_ids.ids", from.and_ids().ids(), place);
    case rbac::Principal::kOrIds:
      return Group(Kind::kOr, "or_ids.ids", from.or_ids().ids(), place);
    case rbac::Principal::kNotId:
      return Not("not_id", from.not_id(), place);
    case rbac::Principal::kAny:
      return Any(from.any());
    case rbac::Principal::kAuthenticated:
      return Authenticated(from.authenticated());
    case rbac::Principal::kSourceIp:
      return Ip(Kind::kSourceIp, "source_ip", from.source_ip());
    case rbac::Principal::kDirectRemoteIp:
      return Ip(Kind::kDirectRemoteIp, "direct_remote_ip", from.direct_remote_ip());
    case rbac::Principal::kRemoteIp:
      return Ip(Kind::kRemoteIp, "remote_ip", from.remote_ip());
    case rbac::Principal::kHeader:
      return Header(from.header(), place);
    case rbac::Principal::kUrlPath:
      return UrlPath(from.url_path(), place);
    case rbac::Principal::kMetadata:
      return Metadata("metadata", from.metadata());
    case rbac::Principal::kSourcedMetadata:
      return Sourced(from.sourced_metadata());
    case rbac::Principal::kFilterState:
      return Unsupported("filter_state");
    case rbac::Principal::kCustom:
      return Unsupported("custom");
    case rbac::Principal::IDENTIFIER_NOT_SET:
      break;
  }
  return Invalid("", "needs an identifier that this proxy knows");
}

// ---- Policies and filters.

absl::StatusOr<RbacPolicy> CompilePolicy(const std::string& name, const rbac::Policy& from,
                                         Place place) {
  if (from.has_condition()) return Unsupported("condition");
  if (from.has_checked_condition()) return Unsupported("checked_condition");
  RbacPolicy to;
  to.name = name;
  if (from.permissions().empty()) return Invalid("permissions", "must not be empty");
  if (from.principals().empty()) return Invalid("principals", "must not be empty");
  absl::Status status =
      CompileEach("permissions", from.permissions(), to.permissions,
                  [&](const rbac::Permission& one) { return CompilePermission(one, place); });
  if (!status.ok()) return status;
  status = CompileEach("principals", from.principals(), to.principals,
                       [&](const rbac::Principal& one) { return CompilePrincipal(one, place); });
  if (!status.ok()) return status;
  return to;
}

absl::StatusOr<RbacRules> CompileRules(const rbac::RBAC& from) {
  if (from.has_audit_logging_options()) return Unsupported("audit_logging_options");
  RbacRules to;
  switch (from.action()) {
    case rbac::RBAC::ALLOW:
      to.action = RbacRules::Action::kAllow;
      break;
    case rbac::RBAC::DENY:
      to.action = RbacRules::Action::kDeny;
      break;
    case rbac::RBAC::LOG:
      to.action = RbacRules::Action::kLog;
      break;
    default:
      return Invalid("action", "must be ALLOW, DENY or LOG");
  }
  const Place place{.towards_allow = to.action == RbacRules::Action::kAllow};
  // Protobuf's maps have no order; that of the names makes the reported policy a stable one.
  const std::map<std::string, rbac::Policy> sorted(from.policies().begin(), from.policies().end());
  for (const auto& [name, policy] : sorted) {
    absl::StatusOr<RbacPolicy> compiled = CompilePolicy(name, policy, place);
    if (!compiled.ok()) return Under(absl::StrCat("policies['", name, "']"), compiled.status());
    to.policies.push_back(*std::move(compiled));
  }
  return to;
}

absl::Status SetRules(absl::string_view field, const rbac::RBAC& from,
                      std::optional<RbacRules>& to) {
  absl::StatusOr<RbacRules> rules = CompileRules(from);
  if (!rules.ok()) return Under(field, rules.status());
  to = *std::move(rules);
  return absl::OkStatus();
}

bool AsksRemoteIp(const std::vector<RbacRule>& rules) {
  return std::any_of(rules.begin(), rules.end(), [](const RbacRule& rule) {
    return rule.kind == Kind::kRemoteIp || AsksRemoteIp(rule.rules);
  });
}

bool AsksRemoteIp(const std::optional<RbacRules>& rules) {
  return rules.has_value() &&
         std::any_of(rules->policies.begin(), rules->policies.end(),
                     [](const RbacPolicy& policy) { return AsksRemoteIp(policy.principals); });
}

// What both filters have under the same names.
template <typename Message>
absl::StatusOr<std::shared_ptr<RbacConfig>> CompileFilter(const Message& from) {
  if (from.has_matcher()) return Unsupported("matcher");
  if (from.has_shadow_matcher()) return Unsupported("shadow_matcher");
  auto to = std::make_shared<RbacConfig>();
  if (from.has_rules()) {
    absl::Status status = SetRules("rules", from.rules(), to->rules);
    if (!status.ok()) return status;
  }
  if (from.has_shadow_rules()) {
    absl::Status status = SetRules("shadow_rules", from.shadow_rules(), to->shadow_rules);
    if (!status.ok()) return status;
  }
  to->asks_remote_ip = AsksRemoteIp(to->rules) || AsksRemoteIp(to->shadow_rules);
  return to;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const RbacConfig>> CompileHttpRbac(const http_rbac::RBAC& from) {
  absl::StatusOr<std::shared_ptr<RbacConfig>> config = CompileFilter(from);
  if (!config.ok()) return config.status();
  (*config)->rules_stat_prefix = from.rules_stat_prefix();
  (*config)->shadow_stat_prefix = from.shadow_rules_stat_prefix();
  (*config)->counts_policies = from.track_per_rule_stats();
  return config;
}

absl::StatusOr<std::shared_ptr<const RbacConfig>> CompileRbacPerRoute(
    const http_rbac::RBACPerRoute& from) {
  if (!from.has_rbac()) return std::make_shared<const RbacConfig>();
  absl::StatusOr<std::shared_ptr<const RbacConfig>> config = CompileHttpRbac(from.rbac());
  if (!config.ok()) return Under("rbac", config.status());
  return config;
}

absl::StatusOr<std::shared_ptr<const RbacConfig>> CompileNetworkRbac(
    const network_rbac::RBAC& from) {
  if (from.enforcement_type() != network_rbac::RBAC::ONE_TIME_ON_FIRST_BYTE) {
    return Invalid("enforcement_type", "only ONE_TIME_ON_FIRST_BYTE is supported by this proxy");
  }
  if (from.has_delay_deny()) return Unsupported("delay_deny");
  absl::StatusOr<std::shared_ptr<RbacConfig>> config = CompileFilter(from);
  if (!config.ok()) return config.status();
  (*config)->stat_prefix = from.stat_prefix();
  return config;
}

absl::Status CompileAuthorization(const envoy::config::listener::v3::FilterChain& from,
                                  std::vector<std::shared_ptr<const RbacConfig>>& to) {
  for (int i = 0; i < from.filters_size(); ++i) {
    const google::protobuf::Any& any = from.filters(i).typed_config();
    if (!any.Is<network_rbac::RBAC>()) continue;
    const std::string path = absl::StrCat(Index("filters", i), ".typed_config");
    absl::StatusOr<network_rbac::RBAC> message = Unpack<network_rbac::RBAC>(any);
    if (!message.ok()) return Under(Index("filters", i), message.status());
    absl::StatusOr<std::shared_ptr<const RbacConfig>> config = CompileNetworkRbac(*message);
    if (!config.ok()) return Under(path, config.status());
    to.push_back(*std::move(config));
  }
  return absl::OkStatus();
}

}  // namespace weft
