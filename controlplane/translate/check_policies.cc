#include "controlplane/translate/check_policies.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/istio/security.pb.h"
#include "controlplane/translate/authorizers.h"
#include "controlplane/translate/cluster_domains.h"

namespace weft {
namespace {

using Strings = google::protobuf::RepeatedPtrField<std::string>;

using istio::security::v1beta1::AuthorizationPolicy;
using PolicyConfig = TranslationIndex::AuthorizationPolicyConfig;
// Of each policy, what is wrong by field; one example each.
using Findings = std::map<const PolicyConfig*, std::map<std::string, std::string>>;

// A port without HTTP; 0: the workload has none.
uint16_t PortWithoutHttp(const TranslationIndex& index, const std::string& cluster,
                         const Workload& workload) {
  ProxyView view;
  view.cluster = cluster;
  view.address = workload.address;
  view.other_address = workload.other_address;
  for (const auto& [port, inbound] : index.InboundPortsOf(view)) {
    if (!IsHttp(inbound.protocol)) return port;
  }
  return 0;
}

// Where CUSTOM policies deny what they select though their own provider could be asked.
Findings DeniedThoughCustom(const TranslationIndex& index) {
  Findings findings;
  VisitWorkloads(index.world(), [&](const std::string& cluster, const Workload& workload) {
    const auto names = AuthorizersNamed(index, workload.namespace_, workload.labels);
    if (names.empty()) return;
    const uint16_t port = PortWithoutHttp(index, cluster, workload);
    if (names.size() == 1 && port == 0) return;
    for (const auto* config :
         index.AuthorizationPoliciesFor(workload.namespace_, workload.labels)) {
      if (config->spec->action() != AuthorizationPolicy::CUSTOM || IsOnTrial(*config)) continue;
      if (names.size() > 1) {
        findings[config].try_emplace(
            "provider.name",
            absl::StrCat("a workload has one authorizer, and the policies that select '",
                         workload.name, "' name ", absl::StrJoin(names, ", "),
                         ". What the rules select there is denied"));
      } else {
        findings[config].try_emplace(
            "action", absl::StrCat("port ", port, " of '", workload.name,
                                   "' has no HTTP to ask an authorizer about: what the rules "
                                   "select there is denied"));
      }
    }
  });
  return findings;
}

class PolicyCheck {
 public:
  explicit PolicyCheck(const TranslationIndex& index)
      : index_(index), clusters_(index.world()), denied_(DeniedThoughCustom(index)) {}

  void Check(const TranslationIndex::AuthorizationPolicyConfig& config) {
    config_ = &config;
    if (config.spec->action() == AuthorizationPolicy::CUSTOM) CheckCustom();
    for (int i = 0; i < config.spec->rules_size(); ++i) {
      const auto& rule = config.spec->rules(i);
      const std::string at = absl::StrCat("rules[", i, "]");
      for (int j = 0; j < rule.from_size(); ++j) {
        const std::string source = absl::StrCat(at, ".from[", j, "].source");
        CheckNames(absl::StrCat(source, ".clusters"), rule.from(j).source().clusters());
        CheckNames(absl::StrCat(source, ".notClusters"), rule.from(j).source().not_clusters());
      }
      for (int j = 0; j < rule.when_size(); ++j) {
        if (rule.when(j).key() != "source.cluster") continue;
        const std::string when = absl::StrCat(at, ".when[", j, "]");
        CheckNames(absl::StrCat(when, ".values"), rule.when(j).values());
        CheckNames(absl::StrCat(when, ".notValues"), rule.when(j).not_values());
      }
    }
  }

  std::vector<Problem> Take() && { return std::move(problems_); }

 private:
  void Warn(std::string field, std::string why) {
    problems_.push_back({Severity::kWarning, "", config_->key, config_->origin,
                         absl::StrCat("spec.", field), std::move(why)});
  }

  void CheckCustom() {
    const absl::StatusOr<Authorizer> found =
        FindAuthorizer(index_, config_->spec->provider().name());
    if (!found.ok()) {
      return Warn("provider.name",
                  absl::StrCat(found.status().message(), ". What the rules select is denied"));
    }
    const auto denied = denied_.find(config_);
    if (denied == denied_.end()) return;
    for (const auto& [field, why] : denied->second) Warn(field, why);
  }

  void CheckNames(const std::string& field, const Strings& names) {
    for (int i = 0; i < names.size(); ++i) {
      const std::string why = clusters_.WhyUnclear(names[i]);
      if (why.empty()) continue;
      Warn(absl::StrCat(field, "[", i, "]"), why);
    }
  }

  const TranslationIndex& index_;
  const ClusterDomains clusters_;
  const Findings denied_;
  std::vector<Problem> problems_;
  const TranslationIndex::AuthorizationPolicyConfig* config_ = nullptr;  // the one being checked
};

}  // namespace

std::vector<Problem> CheckPolicies(const TranslationIndex& index) {
  PolicyCheck check(index);
  for (const auto& [key, config] : index.world().authorization_policies) check.Check(config);
  return std::move(check).Take();
}

}  // namespace weft
