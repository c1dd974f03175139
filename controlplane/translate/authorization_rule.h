// One rule of an AuthorizationPolicy as a policy of Envoy's RBAC: which field becomes which
// matcher.
//
// As Istio documents it: fields of a source, an operation or the conditions are all to hold, values
// of one field are alternatives. What only requests have (paths, methods, hosts, headers, tokens) a
// TCP connection cannot be asked: a rule that allows and asks it is left out there, and one that
// denies is read without it, so that in both cases less gets in.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_AUTHORIZATION_RULE_H_
#define WEFT_CONTROLPLANE_TRANSLATE_AUTHORIZATION_RULE_H_

#include <optional>
#include <string>

#include "controlplane/translate/cluster_domains.h"

namespace envoy::config::rbac::v3 {
class Policy;
}
namespace istio::security::v1beta1 {
class Rule;
}

namespace weft {

// Under which key of its metadata the JWT filter shows a verified token's claims.
inline constexpr char kTokenPayload[] = "payload";

struct RuleContext {
  const ClusterDomains& clusters;
  const std::string& policy_namespace;
  bool allow = false;  // the rule's action is ALLOW: to match is to get in
  bool tcp = false;
};

// nullopt: on TCP nothing can match it.
std::optional<envoy::config::rbac::v3::Policy> TranslateRule(
    const istio::security::v1beta1::Rule& rule, const RuleContext& context);

// Whether it asks for the path, so that the path had better be in one form.
bool AsksPath(const istio::security::v1beta1::Rule& rule);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_AUTHORIZATION_RULE_H_
