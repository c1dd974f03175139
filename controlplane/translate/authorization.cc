#include "controlplane/translate/authorization.h"

#include <algorithm>
#include <array>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/envoy/http_rbac.pb.h"
#include "api/envoy/network_rbac.pb.h"
#include "api/envoy/rbac.pb.h"
#include "api/istio/security.pb.h"
#include "controlplane/translate/authorization_rule.h"
#include "controlplane/translate/authorizers.h"
#include "controlplane/translate/cluster_domains.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/external_authorization.h"

namespace weft {
namespace {

namespace rbac = envoy::config::rbac::v3;
using envoy::config::listener::v3::Filter;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
using istio::security::v1beta1::AuthorizationPolicy;
using HttpRbac = envoy::extensions::filters::http::rbac::v3::RBAC;
using PolicyConfig = TranslationIndex::AuthorizationPolicyConfig;
using Policies = std::vector<const PolicyConfig*>;

// The policies of one action become one filter.
struct Stage {
  AuthorizationPolicy::Action action;
  rbac::RBAC::Action verdict;
  const char* suffix;         // of the names by which denials are logged
  const char* shadow_prefix;  // of the counters of policies on trial
  const char* prefix = "";    // of those names
};
constexpr std::array kStages = {
    Stage{AuthorizationPolicy::CUSTOM, rbac::RBAC::DENY, "-deny-due-to-bad-CUSTOM-action",
          "istio_dry_run_custom_"},
    Stage{AuthorizationPolicy::AUDIT, rbac::RBAC::LOG, "", "istio_dry_run_audit_"},
    Stage{AuthorizationPolicy::DENY, rbac::RBAC::DENY, "", "istio_dry_run_deny_"},
    Stage{AuthorizationPolicy::ALLOW, rbac::RBAC::ALLOW, "", "istio_dry_run_allow_"},
};
// Of CUSTOM policies whose authorizer can be asked: which requests that is to be.
constexpr Stage kSelecting = {AuthorizationPolicy::CUSTOM, rbac::RBAC::DENY, "", kAuthzShadowPrefix,
                              kAuthzPolicyPrefix};

Policies Select(const Policies& policies, AuthorizationPolicy::Action action, bool on_trial) {
  Policies selected;
  std::copy_if(policies.begin(), policies.end(), std::back_inserter(selected),
               [&](const PolicyConfig* config) {
                 return config->spec->action() == action && IsOnTrial(*config) == on_trial;
               });
  return selected;
}

// A policy without rules matches nothing: of ALLOW that denies everything.
void AddRules(const PolicyConfig& config, const Stage& stage, const ClusterDomains& clusters,
              bool tcp, rbac::RBAC& to) {
  const RuleContext context{clusters, config.key.namespace_,
                            stage.action == AuthorizationPolicy::ALLOW, tcp};
  for (int i = 0; i < config.spec->rules_size(); ++i) {
    auto policy = TranslateRule(config.spec->rules(i), context);
    if (!policy.has_value()) continue;
    const std::string name = absl::StrCat(stage.prefix, "ns[", config.key.namespace_, "]-policy[",
                                          config.key.name, "]-rule[", i, "]", stage.suffix);
    (*to.mutable_policies())[name] = *std::move(policy);
  }
}

// What both filters have under the same names.
template <typename Rbac>
Rbac RbacOf(const Policies& policies, const Stage& stage, const ClusterDomains& clusters,
            bool tcp) {
  Rbac filter;
  const auto fill = [&](const Policies& selected, rbac::RBAC& to) {
    to.set_action(stage.verdict);
    for (const PolicyConfig* config : selected) AddRules(*config, stage, clusters, tcp, to);
  };
  const Policies enforced = Select(policies, stage.action, /*on_trial=*/false);
  const Policies on_trial = Select(policies, stage.action, /*on_trial=*/true);
  if (!enforced.empty()) fill(enforced, *filter.mutable_rules());
  if (!on_trial.empty()) {
    fill(on_trial, *filter.mutable_shadow_rules());
    filter.set_shadow_rules_stat_prefix(stage.shadow_prefix);
  }
  return filter;
}

HttpFilter Packed(const HttpRbac& rbac) {
  HttpFilter filter;
  filter.set_name("envoy.filters.http.rbac");
  *filter.mutable_typed_config() = PackAny(rbac);
  return filter;
}

HttpFilter HttpFilterFor(const Policies& policies, const Stage& stage,
                         const ClusterDomains& clusters) {
  return Packed(RbacOf<HttpRbac>(policies, stage, clusters, /*tcp=*/false));
}

// What the policies select is asked about, instead of being denied. Those on trial are counted by a
// filter of their own, as one filter has one set of shadow rules.
void AddCustom(const Policies& policies, const Authorizer& authorizer,
               const ClusterDomains& clusters, std::vector<HttpFilter>& to) {
  HttpRbac on_trial = RbacOf<HttpRbac>(policies, kStages[0], clusters, /*tcp=*/false);
  on_trial.clear_rules();
  if (on_trial.has_shadow_rules()) to.push_back(Packed(on_trial));
  HttpRbac selecting;
  selecting.mutable_shadow_rules()->set_action(kSelecting.verdict);
  for (const PolicyConfig* config : Select(policies, kSelecting.action, /*on_trial=*/false)) {
    AddRules(*config, kSelecting, clusters, /*tcp=*/false, *selecting.mutable_shadow_rules());
  }
  selecting.set_shadow_rules_stat_prefix(kSelecting.shadow_prefix);
  to.push_back(Packed(selecting));
  to.push_back(ExtAuthzFilterFor(authorizer));
}

Filter NetworkFilterFor(const Policies& policies, const Stage& stage,
                        const ClusterDomains& clusters) {
  auto rbac = RbacOf<envoy::extensions::filters::network::rbac::v3::RBAC>(policies, stage, clusters,
                                                                          /*tcp=*/true);
  rbac.set_stat_prefix("tcp.");
  Filter filter;
  filter.set_name("envoy.filters.network.rbac");
  *filter.mutable_typed_config() = PackAny(rbac);
  return filter;
}

bool AnyAsksPath(const Policies& policies) {
  return std::any_of(policies.begin(), policies.end(), [](const PolicyConfig* config) {
    const auto& rules = config->spec->rules();
    return std::any_of(rules.begin(), rules.end(), AsksPath);
  });
}

}  // namespace

AuthorizationFilters AuthorizationFiltersFor(const TranslationIndex& index,
                                             const std::string& workload_namespace,
                                             const Labels& labels) {
  AuthorizationFilters filters;
  const Policies policies = index.AuthorizationPoliciesFor(workload_namespace, labels);
  if (policies.empty()) return filters;
  const ClusterDomains clusters(index.world());
  const absl::StatusOr<Authorizer> authorizer =
      AuthorizerOf(index, AuthorizersNamed(index, workload_namespace, labels));
  for (const Stage& stage : kStages) {
    if (std::none_of(policies.begin(), policies.end(), [&](const PolicyConfig* config) {
          return config->spec->action() == stage.action;
        })) {
      continue;
    }
    if (stage.action == AuthorizationPolicy::CUSTOM && authorizer.ok()) {
      AddCustom(policies, *authorizer, clusters, filters.http);
    } else {
      filters.http.push_back(HttpFilterFor(policies, stage, clusters));
    }
    filters.tcp.push_back(NetworkFilterFor(policies, stage, clusters));
  }
  filters.asks_path = AnyAsksPath(policies);
  return filters;
}

}  // namespace weft
