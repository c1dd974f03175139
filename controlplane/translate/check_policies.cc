#include "controlplane/translate/check_policies.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "api/istio/security.pb.h"
#include "controlplane/translate/cluster_domains.h"

namespace weft {
namespace {

using Strings = google::protobuf::RepeatedPtrField<std::string>;

class PolicyCheck {
 public:
  PolicyCheck(const TranslationIndex& index, std::vector<Finding>& findings)
      : clusters_(index.world()), findings_(findings) {}

  void Check(const TranslationIndex::AuthorizationPolicyConfig& config) {
    config_ = &config;
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

 private:
  void CheckNames(const std::string& field, const Strings& names) {
    for (int i = 0; i < names.size(); ++i) {
      const std::string why = clusters_.WhyUnclear(names[i]);
      if (why.empty()) continue;
      findings_.push_back({Finding::Severity::kUnclear, config_->key, config_->origin,
                           absl::StrCat(field, "[", i, "]: ", why)});
    }
  }

  const ClusterDomains clusters_;
  std::vector<Finding>& findings_;
  const TranslationIndex::AuthorizationPolicyConfig* config_ = nullptr;  // the one being checked
};

}  // namespace

void AddPolicyFindings(const TranslationIndex& index, std::vector<Finding>& findings) {
  PolicyCheck check(index, findings);
  for (const auto& [key, config] : index.world().authorization_policies) check.Check(config);
}

}  // namespace weft
