#include "controlplane/translate/check_policies.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/istio/security.pb.h"
#include "controlplane/translate/cluster_domains.h"

namespace weft {
namespace {

using Strings = google::protobuf::RepeatedPtrField<std::string>;

class PolicyCheck {
 public:
  explicit PolicyCheck(const TranslationIndex& index) : clusters_(index.world()) {}

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

  std::vector<Problem> Take() && { return std::move(problems_); }

 private:
  void CheckNames(const std::string& field, const Strings& names) {
    for (int i = 0; i < names.size(); ++i) {
      const std::string why = clusters_.WhyUnclear(names[i]);
      if (why.empty()) continue;
      problems_.push_back({Severity::kWarning, "", config_->key, config_->origin,
                           absl::StrCat("spec.", field, "[", i, "]"), why});
    }
  }

  const ClusterDomains clusters_;
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
