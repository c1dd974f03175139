// Rules of PeerAuthentication, AuthorizationPolicy and RequestAuthentication.
#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/time.h"
#include "api/istio/security.pb.h"
#include "certs/jwks.h"
#include "controlplane/model/gateway_api_name.h"
#include "controlplane/model/jwks_uri.h"
#include "controlplane/model/validate_rules.h"

namespace weft {
namespace {

namespace security = istio::security::v1beta1;
using security::AuthorizationPolicy;
using security::JWTRule;
using security::Operation;
using security::RequestAuthentication;
using Strings = google::protobuf::RepeatedPtrField<std::string>;

std::string At(absl::string_view field, int index) { return absl::StrCat(field, "[", index, "]"); }

// ---- Values.

using CheckValue = void (*)(const std::string& field, const std::string& value, Checker& check);

void CheckValues(absl::string_view field, const Strings& values, Checker& check, CheckValue rule) {
  for (int i = 0; i < values.size(); ++i) {
    if (values[i].empty()) {
      check.Error(At(field, i), "is empty");
    } else {
      rule(At(field, i), values[i], check);
    }
  }
}

// Istio's values: "exact", "prefix*", "*suffix" and "*".
void CheckPattern(const std::string& field, const std::string& value, Checker& check) {
  const size_t star = value.find('*', value[0] == '*' ? 1 : 0);
  if (star == std::string::npos || (star + 1 == value.size() && value[0] != '*')) return;
  check.Warning(field, absl::StrCat("'", value,
                                    "': '*' is a wildcard alone, at the start or at the end; "
                                    "elsewhere it is only itself"));
}

void CheckPrincipal(const std::string& field, const std::string& value, Checker& check) {
  CheckPattern(field, value, check);
  if (absl::StartsWith(value, "spiffe://")) {
    check.Warning(field, absl::StrCat("'", value, "' is written without its 'spiffe://'"));
  }
}

// Of namespaces '*' is a wildcard anywhere; other values have no form.
void CheckAnything(const std::string&, const std::string&, Checker&) {}

void CheckServiceAccount(const std::string& field, const std::string& value, Checker& check) {
  if (absl::StrContains(value, '*')) {
    return check.Error(field, absl::StrCat("'", value, "': wildcards are not allowed here"));
  }
  const size_t slash = value.find('/');
  if (slash == 0 || slash + 1 == value.size() ||
      (slash != std::string::npos && value.find('/', slash + 1) != std::string::npos)) {
    check.Error(field, absl::StrCat("'", value, "' is neither NAME nor NAMESPACE/NAME"));
  }
}

void CheckIpBlock(const std::string& field, const std::string& value, Checker& check) {
  const size_t slash = value.find('/');
  const std::string address = value.substr(0, slash);
  if (!IsIp(address)) {
    return check.Error(field, absl::StrCat("'", value, "' is neither an IP nor a CIDR block"));
  }
  if (slash == std::string::npos) return;
  const int most = absl::StrContains(address, ':') ? 128 : 32;
  int length = 0;
  if (!absl::SimpleAtoi(value.substr(slash + 1), &length) || length < 0 || length > most) {
    check.Error(field, absl::StrCat("'", value, "': the length is out of range 0..", most));
  }
}

void CheckPortText(const std::string& field, const std::string& value, Checker& check) {
  int port = 0;
  if (!absl::SimpleAtoi(value, &port)) {
    return check.Error(field, absl::StrCat("'", value, "' is not a port"));
  }
  check.RequiredPort(field, port);
}

// "{*}" is one segment, "{**}" any number of them; either is a segment by itself.
void CheckPathTemplate(const std::string& field, const std::string& value, Checker& check) {
  bool after_rest = false;
  for (absl::string_view segment : absl::StrSplit(value, '/')) {
    const bool one = segment == "{*}";
    const bool rest = segment == "{**}";
    if ((one || rest) && after_rest) {
      return check.Error(field, absl::StrCat("'", value, "': '{**}' must be the last operator"));
    }
    after_rest = after_rest || rest;
    if (!one && !rest && segment.find_first_of("*{}") != absl::string_view::npos) {
      return check.Error(field, absl::StrCat("'", value, "': '", segment,
                                             "' is neither '{*}', '{**}' nor a segment without "
                                             "'*', '{' and '}'"));
    }
  }
}

void CheckPath(const std::string& field, const std::string& value, Checker& check) {
  if (absl::StrContains(value, "{*}") || absl::StrContains(value, "{**}")) {
    return CheckPathTemplate(field, value, check);
  }
  CheckPattern(field, value, check);
}

// ---- AuthorizationPolicy.

void CheckSource(const security::Source& source, Checker& check) {
  CheckValues("principals", source.principals(), check, CheckPrincipal);
  CheckValues("notPrincipals", source.not_principals(), check, CheckPrincipal);
  CheckValues("requestPrincipals", source.request_principals(), check, CheckPattern);
  CheckValues("notRequestPrincipals", source.not_request_principals(), check, CheckPattern);
  CheckValues("namespaces", source.namespaces(), check, CheckAnything);
  CheckValues("notNamespaces", source.not_namespaces(), check, CheckAnything);
  CheckValues("ipBlocks", source.ip_blocks(), check, CheckIpBlock);
  CheckValues("notIpBlocks", source.not_ip_blocks(), check, CheckIpBlock);
  CheckValues("remoteIpBlocks", source.remote_ip_blocks(), check, CheckIpBlock);
  CheckValues("notRemoteIpBlocks", source.not_remote_ip_blocks(), check, CheckIpBlock);
  CheckValues("serviceAccounts", source.service_accounts(), check, CheckServiceAccount);
  CheckValues("notServiceAccounts", source.not_service_accounts(), check, CheckServiceAccount);
  CheckValues("trustDomains", source.trust_domains(), check, CheckPattern);
  CheckValues("notTrustDomains", source.not_trust_domains(), check, CheckPattern);
  CheckValues("clusters", source.clusters(), check, CheckPattern);
  CheckValues("notClusters", source.not_clusters(), check, CheckPattern);
  if (!source.service_accounts().empty() &&
      (!source.principals().empty() || !source.namespaces().empty())) {
    check.Error("serviceAccounts", "cannot be used together with 'principals' or 'namespaces'");
  }
}

void CheckOperation(const Operation& operation, Checker& check) {
  CheckValues("hosts", operation.hosts(), check, CheckPattern);
  CheckValues("notHosts", operation.not_hosts(), check, CheckPattern);
  CheckValues("ports", operation.ports(), check, CheckPortText);
  CheckValues("notPorts", operation.not_ports(), check, CheckPortText);
  CheckValues("methods", operation.methods(), check, CheckPattern);
  CheckValues("notMethods", operation.not_methods(), check, CheckPattern);
  CheckValues("paths", operation.paths(), check, CheckPath);
  CheckValues("notPaths", operation.not_paths(), check, CheckPath);
}

struct ConditionKey {
  absl::string_view name;
  CheckValue rule;
};
constexpr ConditionKey kConditionKeys[] = {
    {"source.ip", CheckIpBlock},
    {"remote.ip", CheckIpBlock},
    {"source.namespace", CheckAnything},
    {"source.principal", CheckPrincipal},
    {"source.serviceAccount", CheckServiceAccount},
    {"source.trustDomain", CheckPattern},
    {"source.cluster", CheckPattern},
    {"request.auth.principal", CheckPattern},
    {"request.auth.audiences", CheckPattern},
    {"request.auth.presenter", CheckPattern},
    {"destination.ip", CheckIpBlock},
    {"destination.port", CheckPortText},
    {"connection.sni", CheckPattern},
};

// What stands in the brackets of "request.headers[x]"; empty if that is not the key's form.
std::string NameIn(const std::string& key, absl::string_view attribute) {
  if (!absl::StartsWith(key, absl::StrCat(attribute, "[")) || key.back() != ']') return "";
  return key.substr(attribute.size() + 1, key.size() - attribute.size() - 2);
}

// The rule for the key's values; null if there is no such key, which is told.
CheckValue RuleOfKey(const std::string& key, Checker& check) {
  for (const ConditionKey& known : kConditionKeys) {
    if (known.name == key) return known.rule;
  }
  if (const std::string header = NameIn(key, "request.headers"); !header.empty()) {
    check.HeaderName("key", header);
    return CheckPattern;
  }
  if (const std::string claim = NameIn(key, "request.auth.claims"); !claim.empty()) {
    for (absl::string_view name : absl::StrSplit(claim, "][")) {
      if (name.empty() || name.find_first_of("[]") != absl::string_view::npos) {
        check.Error("key", absl::StrCat("'", key, "' does not name a claim as in [a] or [a][b]"));
        break;
      }
    }
    return CheckPattern;
  }
  if (absl::StartsWith(key, "experimental.envoy.filters.")) {
    check.Error("key", absl::StrCat("'", key, "': weft-proxy has no metadata of such a filter"));
    return nullptr;
  }
  std::string known = "request.headers[NAME], request.auth.claims[NAME]";
  for (const ConditionKey& one : kConditionKeys) absl::StrAppend(&known, ", ", one.name);
  check.Error("key", key.empty() ? absl::StrCat("is missing; there is ", known)
                                 : absl::StrCat("'", key, "' is not known; there is ", known));
  return nullptr;
}

void CheckCondition(const security::Condition& condition, Checker& check) {
  const CheckValue rule = RuleOfKey(condition.key(), check);
  if (condition.values().empty() && condition.not_values().empty()) {
    check.Error("", "needs 'values' or 'notValues'");
  }
  if (rule == nullptr) return;
  CheckValues("values", condition.values(), check, rule);
  CheckValues("notValues", condition.not_values(), check, rule);
}

// A source or an operation that says nothing is more likely a slip than a wish.
bool SaysNothing(const google::protobuf::Message& message) { return message.ByteSizeLong() == 0; }

void CheckRule(const security::Rule& rule, Checker& check) {
  for (int i = 0; i < rule.from_size(); ++i) {
    const Checker::In in(check, "from", i);
    if (SaysNothing(rule.from(i).source())) check.Error("source", "says nothing");
    const Checker::In source(check, "source");
    CheckSource(rule.from(i).source(), check);
  }
  for (int i = 0; i < rule.to_size(); ++i) {
    const Checker::In in(check, "to", i);
    if (SaysNothing(rule.to(i).operation())) check.Error("operation", "says nothing");
    const Checker::In operation(check, "operation");
    CheckOperation(rule.to(i).operation(), check);
  }
  for (int i = 0; i < rule.when_size(); ++i) {
    const Checker::In in(check, "when", i);
    CheckCondition(rule.when(i), check);
  }
}

void CheckAction(const AuthorizationPolicy& spec, Checker& check) {
  const bool custom = spec.action() == AuthorizationPolicy::CUSTOM;
  if (spec.rules().empty() && (custom || spec.action() == AuthorizationPolicy::DENY)) {
    check.Error("rules", absl::StrCat(AuthorizationPolicy::Action_Name(spec.action()),
                                      " without rules never applies; add an empty rule '{}' to "
                                      "mean every request"));
  }
  if (!custom) {
    if (spec.has_provider()) check.Error("provider", "is for the action CUSTOM only");
    return;
  }
  if (spec.provider().name().empty()) check.Error("provider.name", "is missing for CUSTOM");
}

// ---- RequestAuthentication.

// Headers that a message's framing or routing lives on are not to be had.
void CheckHeaderToSet(absl::string_view field, const std::string& name, Checker& check) {
  const std::string lower = absl::AsciiStrToLower(name);
  if (absl::StartsWith(lower, ":") || lower == "host" || lower == "content-length" ||
      lower == "transfer-encoding") {
    return check.Error(field, absl::StrCat("'", name, "' cannot be set"));
  }
  check.HeaderName(field, name);
}

void CheckOutputs(const JWTRule& rule, Checker& check) {
  if (!rule.output_payload_to_header().empty()) {
    CheckHeaderToSet("outputPayloadToHeader", rule.output_payload_to_header(), check);
  }
  std::set<std::string> headers;
  for (int i = 0; i < rule.output_claim_to_headers_size(); ++i) {
    const security::ClaimToHeader& output = rule.output_claim_to_headers(i);
    const Checker::In in(check, "outputClaimToHeaders", i);
    if (output.header().empty()) {
      check.Error("header", "is missing");
    } else {
      CheckHeaderToSet("header", output.header(), check);
    }
    if (output.claim().empty()) check.Error("claim", "is missing");
    if (!headers.insert(absl::AsciiStrToLower(output.header())).second) {
      check.Error("header", absl::StrCat("'", output.header(), "' is there twice"));
    }
  }
}

void CheckKeys(const JWTRule& rule, Checker& check) {
  if (!rule.jwks().empty() && !rule.jwks_uri().empty()) {
    check.Error("jwks", "cannot be used together with 'jwksUri'");
  }
  if (!rule.jwks().empty()) {
    const auto keys = certs::Jwks::Parse(rule.jwks());
    if (!keys.ok()) check.Error("jwks", std::string(keys.status().message()));
    return;
  }
  if (rule.jwks_uri().empty()) {
    const auto discovery = ParseJwksUri(DiscoveryUriOf(rule.issuer()));
    if (discovery.ok()) return;
    check.Warning("", absl::StrCat("has neither 'jwks' nor 'jwksUri', and the issuer is not asked "
                                   "for its keys: ",
                                   discovery.status().message(), ". Its tokens are refused"));
    return;
  }
  const auto uri = ParseJwksUri(rule.jwks_uri());
  if (!uri.ok()) return check.Error("jwksUri", std::string(uri.status().message()));
}

void CheckTimeout(const std::string& timeout, Checker& check) {
  check.Duration("timeout", timeout);
  absl::Duration duration;
  if (absl::ParseDuration(timeout, &duration) && duration == absl::ZeroDuration()) {
    check.Error("timeout", "must be above 0");
  }
}

void CheckJwtRule(const JWTRule& rule, Checker& check) {
  if (rule.issuer().empty()) check.Error("issuer", "is missing");
  CheckValues("audiences", rule.audiences(), check, CheckAnything);
  CheckKeys(rule, check);
  for (int i = 0; i < rule.from_headers_size(); ++i) {
    const Checker::In in(check, "fromHeaders", i);
    if (rule.from_headers(i).name().empty()) {
      check.Error("name", "is missing");
    } else {
      check.HeaderName("name", rule.from_headers(i).name());
    }
  }
  CheckValues("fromParams", rule.from_params(), check, CheckAnything);
  CheckValues("fromCookies", rule.from_cookies(), check, CheckAnything);
  CheckValues("spaceDelimitedClaims", rule.space_delimited_claims(), check, CheckAnything);
  CheckOutputs(rule, check);
  CheckTimeout(rule.timeout(), check);
}

}  // namespace

void CheckTarget(const security::PolicyTargetReference& target, Checker& check) {
  if (target.name().empty()) check.Error("name", "is missing");
  if (!target.namespace_().empty()) {
    check.Error("namespace", "is not taken: a target is in the policy's own namespace");
  }
  if (target.group() != kGatewayApiGroup || target.kind() != "Gateway") {
    check.Warning(
        "kind", absl::StrCat("'", target.group(), target.group().empty() ? "" : "/", target.kind(),
                             "' selects no proxy: a target is a Gateway "
                             "of gateway.networking.k8s.io; sidecars are selected by "
                             "'selector'"));
  }
}

void CheckPeerAuthentication(const security::PeerAuthentication& spec, Checker& check) {
  check.SelectorLabels("selector.matchLabels", spec.selector().match_labels());
  if (!spec.port_level_mtls().empty() && spec.selector().match_labels().empty()) {
    check.Error("portLevelMtls", "needs a selector: ports are those of a workload");
  }
  for (const auto& [port, mtls] : spec.port_level_mtls()) {
    check.RequiredPort(absl::StrCat("portLevelMtls[", port, "]"), port);
  }
}

void CheckAuthorizationPolicy(const AuthorizationPolicy& spec, Checker& check) {
  CheckPolicyTarget(spec, check);
  CheckAction(spec, check);
  for (int i = 0; i < spec.rules_size(); ++i) {
    const Checker::In in(check, "rules", i);
    CheckRule(spec.rules(i), check);
  }
}

void CheckRequestAuthentication(const RequestAuthentication& spec, Checker& check) {
  CheckPolicyTarget(spec, check);
  for (int i = 0; i < spec.jwt_rules_size(); ++i) {
    const Checker::In in(check, "jwtRules", i);
    CheckJwtRule(spec.jwt_rules(i), check);
  }
}

}  // namespace weft
