#include "controlplane/config_distribution.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "certs/file.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

// Asking all proxies costs as many as there are.
constexpr absl::Duration kRefusalsLook = absl::Seconds(1);

Distribution::Records Load(const std::string& file) {
  std::ifstream in(file, std::ios::binary);
  if (!in) return {};  // nothing was distributed yet
  const std::string bytes((std::istreambuf_iterator<char>(in)), std::istreambuf_iterator<char>());
  auto records = DecodeRecords(bytes);
  if (records.ok()) return *std::move(records);
  Log(LogLevel::kWarning, "distribution_lost",
      {{"file", file}, {"reason", std::string(records.status().message())}});
  return {};
}

}  // namespace

ConfigDistribution::ConfigDistribution(std::string own_cluster, std::string data_folder,
                                       Refusals refusals)
    : file_(absl::StrCat(data_folder, "/distribution.pb")),
      refusals_(std::move(refusals)),
      distribution_(std::move(own_cluster), Load(file_)) {}

void ConfigDistribution::OnWorld(std::vector<Problem> references, std::vector<Problem> hosts) {
  findings_.references = std::move(references);
  findings_.hosts = std::move(hosts);
  findings_changed_ = true;
}

bool ConfigDistribution::Look(const Links& links, std::shared_ptr<const ConfigConflicts> conflicts,
                              absl::Duration now) {
  findings_changed_ |= findings_.conflicts != conflicts;
  findings_.conflicts = std::move(conflicts);
  Distribution::Heard heard;
  for (const auto& [cluster, link] : links) heard[cluster] = link->config_reports();
  distribution_.Advance(heard, now);
  Save();
  AskProxies(now);
  Report(links);
  for (const auto& [cluster, link] : links) {
    link->TellConfigs({distribution_.TextsFor(cluster), received_.at(cluster)});
  }
  if (logged_ == distribution_.statuses_version()) return false;
  logged_ = distribution_.statuses_version();
  LogStatuses();
  return true;
}

void ConfigDistribution::AskProxies(absl::Duration now) {
  const bool any = std::any_of(reported_.begin(), reported_.end(),
                               [](const auto& entry) { return !entry.second->objects.empty(); });
  if (!any || now < refusals_due_) return;
  refusals_due_ = now + kRefusalsLook;
  std::vector<ProxyRefusal> refusals = refusals_();
  if (refusals == findings_.refusals) return;
  findings_.refusals = std::move(refusals);
  findings_changed_ = true;
}

// Where nothing has changed, there is nothing else to report.
void ConfigDistribution::Report(const Links& links) {
  const auto is_gone = [&](const auto& entry) { return !links.contains(entry.first); };
  std::erase_if(reported_, is_gone);
  std::erase_if(received_, is_gone);
  for (const auto& [cluster, link] : links) {
    const std::shared_ptr<const PeerConfigs> configs = link->state().configs;
    const bool same_configs = std::exchange(reported_[cluster], configs) == configs;
    if (same_configs && !findings_changed_) continue;
    ConfigReports reports = ReportsOn(cluster, *configs, findings_);
    std::shared_ptr<const ConfigReports>& known = received_[cluster];
    if (known != nullptr && *known == reports) continue;
    LogReports(cluster, known == nullptr ? ConfigReports() : *known, reports);
    known = std::make_shared<const ConfigReports>(std::move(reports));
  }
  findings_changed_ = false;
}

void ConfigDistribution::LogReports(const std::string& cluster, const ConfigReports& before,
                                    const ConfigReports& now) const {
  for (const auto& [key, report] : now) {
    const auto known = before.find(key);
    if (known != before.end() && known->second == report) continue;
    const bool applied = report.state == ConfigReport::State::kApplied;
    Log(applied ? LogLevel::kInfo : LogLevel::kWarning, "config_of_peer",
        {{"peer", cluster},
         {"object", ToString(key)},
         {"revision", report.revision},
         {"state", std::string(NameOf(report.state))},
         {"reason", report.message}});
  }
  for (const auto& [key, report] : before) {
    if (now.contains(key)) continue;
    Log(LogLevel::kInfo, "config_of_peer_gone", {{"peer", cluster}, {"object", ToString(key)}});
  }
}

void ConfigDistribution::LogStatuses() {
  std::map<ObjectKey, std::string> now;
  for (const auto& [key, status] : distribution_.statuses()) {
    std::string& text = now[key];
    text = absl::StrCat(status.condition.reason, " ", status.revision);
    if (const auto known = told_.find(key); known != told_.end() && known->second == text) continue;
    Log(status.condition.reason == "RolledBack" ? LogLevel::kWarning : LogLevel::kInfo,
        "config_distribution",
        {{"object", ToString(key)},
         {"revision", status.revision},
         {"state", status.condition.reason},
         {"message", status.condition.message}});
  }
  told_ = std::move(now);
}

void ConfigDistribution::Save() {
  if (saved_ == distribution_.records_version()) return;
  saved_ = distribution_.records_version();
  absl::Status saved =
      certs::WriteFileAtomically(file_, EncodeRecords(distribution_.records()), 0600);
  if (saved.ok()) return;
  Log(LogLevel::kWarning, "distribution_not_saved", {{"reason", std::string(saved.message())}});
}

}  // namespace weft
