#include "controlplane/translate/check_telemetry.h"

#include <map>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/istio/mesh.pb.h"
#include "api/istio/telemetry.pb.h"
#include "controlplane/translate/policy_target.h"

namespace weft {
namespace {

using TelemetryConfig = TelemetryIndex::TelemetryConfig;

Problem Warning(const char* code, const ObjectKey& key, const std::string& origin,
                std::string field, std::string message) {
  return {Severity::kWarning, code, key, origin, std::move(field), std::move(message)};
}

// Of those for a whole namespace only the oldest counts.
void CheckDefaults(const TelemetryIndex& telemetries, std::vector<Problem>& problems) {
  for (const auto& [name_space, configs] : telemetries.defaults()) {
    for (size_t i = 1; i < configs.size(); ++i) {
      problems.push_back(Warning("IST0160", configs[i]->key, configs[i]->origin, "spec",
                                 absl::StrCat("has no effect: ", ToString(configs.front()->key),
                                              " has no selector either, and is older")));
    }
  }
}

// Of those that select one workload, too.
void CheckSelecting(const TranslationIndex& index, std::vector<Problem>& problems) {
  std::map<std::pair<const TelemetryConfig*, const TelemetryConfig*>, std::string> contended;
  VisitWorkloads(index.world(), [&](const std::string&, const Workload& workload) {
    const auto found = index.telemetries().selecting().find(workload.namespace_);
    if (found == index.telemetries().selecting().end() || found->second.size() < 2) return;
    const TelemetryConfig* first = nullptr;
    for (const TelemetryConfig* config : found->second) {
      if (!IsFor(*config, workload.namespace_, workload.labels)) continue;
      if (first == nullptr) {
        first = config;
      } else {
        contended.try_emplace({config, first}, workload.name);
      }
    }
  });
  for (const auto& [pair, workload] : contended) {
    const auto& [younger, older] = pair;
    problems.push_back(
        Warning("IST0159", younger->key, younger->origin,
                HasTargets(*younger->spec) ? "spec.targetRefs" : "spec.selector",
                absl::StrCat("has no effect on '", workload, "': ", ToString(older->key),
                             " selects it too, and is older")));
  }
}

std::string WhyNoLog(const MeshSettings& settings, const std::string& provider) {
  return absl::StrCat("'", provider, "' is no access log, so nothing is written; there is ",
                      absl::StrJoin(settings.Logs(), ", "),
                      ", and what the mesh config's extensionProviders declare as "
                      "envoyFileAccessLog");
}

void CheckProviders(const TranslationIndex& index, std::vector<Problem>& problems) {
  const MeshSettings& settings = index.mesh();
  for (const auto& [name, config] : index.world().telemetries) {
    for (int i = 0; i < config.spec->access_logging_size(); ++i) {
      const auto& logging = config.spec->access_logging(i);
      for (int j = 0; j < logging.providers_size(); ++j) {
        if (settings.IsLog(logging.providers(j).name())) continue;
        problems.push_back(
            Warning("", config.key, config.origin,
                    absl::StrCat("spec.accessLogging[", i, "].providers[", j, "].name"),
                    WhyNoLog(settings, logging.providers(j).name())));
      }
    }
  }
  if (settings.config() == nullptr) return;
  const auto& defaults = settings.config()->spec->default_providers().access_logging();
  for (int i = 0; i < defaults.size(); ++i) {
    if (settings.IsLog(defaults[i])) continue;
    problems.push_back(Warning("", settings.config()->key, settings.config()->origin,
                               absl::StrCat("data.mesh.defaultProviders.accessLogging[", i, "]"),
                               WhyNoLog(settings, defaults[i])));
  }
}

}  // namespace

std::vector<Problem> CheckTelemetries(const TranslationIndex& index) {
  std::vector<Problem> problems;
  CheckDefaults(index.telemetries(), problems);
  CheckSelecting(index, problems);
  CheckProviders(index, problems);
  return problems;
}

}  // namespace weft
