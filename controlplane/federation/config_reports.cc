#include "controlplane/federation/config_reports.h"

#include <map>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

using State = ConfigReport::State;

// The first one of each object.
std::map<ObjectKey, std::string> ByKey(const std::vector<Problem>& problems, Severity least) {
  std::map<ObjectKey, std::string> by_key;
  for (const Problem& problem : problems) {
    if (problem.severity < least) continue;
    by_key.emplace(problem.key, problem.field.empty()
                                    ? problem.message
                                    : absl::StrCat(problem.field, ": ", problem.message));
  }
  return by_key;
}

}  // namespace

ConfigReports ReportsOn(const std::string& cluster, const PeerConfigs& configs,
                        const ConfigFindings& findings) {
  const auto references = ByKey(findings.references, Severity::kError);
  const auto hosts = ByKey(findings.hosts, Severity::kInfo);
  static const std::map<ObjectKey, std::string> kNone;
  const auto conflicts_of = findings.conflicts->find(cluster);
  const auto& conflicts = conflicts_of == findings.conflicts->end() ? kNone : conflicts_of->second;
  ConfigReports reports;
  for (const auto& [key, config] : configs.objects) {
    ConfigReport& report = reports[key];
    report.revision = config->revision;
    const auto say = [&](State state, std::string why) {
      report.state = state;
      report.message = std::move(why);
    };
    if (const auto found = conflicts.find(key); found != conflicts.end()) {
      say(State::kConflict, found->second);
    } else if (const auto dangling = references.find(key); dangling != references.end()) {
      say(State::kRejected, dangling->second);
    } else if (const auto refused = RefusalsOf(config->names, findings.refusals);
               !refused.empty()) {
      say(State::kRejected, QuoteOf(refused));
    } else if (const auto taken = hosts.find(key); taken != hosts.end()) {
      say(State::kConflict, taken->second);
    }
  }
  for (const auto& [key, report] : configs.refused) reports[key] = report;
  return reports;
}

}  // namespace weft
