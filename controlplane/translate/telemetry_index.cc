#include "controlplane/translate/telemetry_index.h"

#include <set>

#include "api/istio/telemetry.pb.h"
#include "controlplane/translate/index.h"
#include "controlplane/translate/oldest_first.h"
#include "controlplane/translate/policy_target.h"

namespace weft {
namespace {

namespace telemetry = istio::telemetry::v1alpha1;
using telemetry::AccessLogging;
using Names = std::vector<std::string>;

bool Concerns(const AccessLogging& logging, telemetry::WorkloadMode mode) {
  return logging.match().mode() == telemetry::CLIENT_AND_SERVER || logging.match().mode() == mode;
}

Names ProvidersOf(const AccessLogging& logging) {
  Names names;
  for (const auto& provider : logging.providers()) names.push_back(provider.name());
  return names;
}

// The providers that count: those of the nearest Telemetry that names any.
template <typename Chain>
std::set<std::string> NearestProviders(const Chain& chain, telemetry::WorkloadMode mode,
                                       const Names& by_default) {
  std::set<std::string> nearest(by_default.begin(), by_default.end());
  for (const auto* config : chain) {
    std::set<std::string> named;
    for (const AccessLogging& logging : config->spec->access_logging()) {
      if (!Concerns(logging, mode)) continue;
      for (std::string& name : ProvidersOf(logging)) named.insert(std::move(name));
    }
    if (!named.empty()) nearest = std::move(named);
  }
  return nearest;
}

// In Istio's way: an entry without providers is about those of the entry before.
template <typename Chain>
std::string Merge(const Chain& chain, telemetry::WorkloadMode mode, const Names& by_default) {
  std::map<std::string, AccessLogging> merged;
  bool stated = false;
  const std::set<std::string> counting = NearestProviders(chain, mode, by_default);
  Names inherited = by_default;
  for (const auto* config : chain) {
    for (const AccessLogging& logging : config->spec->access_logging()) {
      stated = true;
      if (!logging.providers().empty()) inherited = ProvidersOf(logging);
      if (!Concerns(logging, mode)) continue;
      for (const std::string& name : inherited) {
        if (!counting.contains(name)) continue;
        if (logging.disabled()) {
          merged.erase(name);
          continue;
        }
        AccessLogging& one = merged[name];
        one.Clear();
        if (logging.has_filter()) *one.mutable_filter() = logging.filter();
      }
    }
  }
  if (!stated) {
    for (const std::string& name : by_default) merged[name];
  }
  telemetry::Telemetry result;
  for (auto& [name, logging] : merged) {
    logging.add_providers()->set_name(name);
    *result.add_access_logging() = std::move(logging);
  }
  return result.SerializeAsString();  // there are no maps in it: equal messages, equal bytes
}

}  // namespace

TelemetryIndex::TelemetryIndex(const World& world, const MeshSettings& settings)
    : settings_(settings) {
  for (const TelemetryConfig* config : OldestFirst(world.telemetries)) {
    (NamesWorkloads(*config->spec) ? selecting_ : defaults_)[config->key.namespace_].push_back(
        config);
  }
  for (absl::string_view root : kRootNamespaces) {
    const auto found = defaults_.find(std::string(root));
    if (found == defaults_.end()) continue;
    root_ = found->second.front();
    break;
  }
  default_logs_ = Make({});
  for (const auto& [name_space, configs] : defaults_) {
    logs_[configs.front()] = Make({root_, configs.front()});
  }
  for (const auto& [name_space, configs] : selecting_) {
    for (const TelemetryConfig* config : configs) {
      logs_[config] = Make({root_, DefaultOf(name_space), config});
    }
  }
}

const TelemetryIndex::TelemetryConfig* TelemetryIndex::DefaultOf(
    absl::string_view workload_namespace) const {
  const auto found = defaults_.find(std::string(workload_namespace));
  return found == defaults_.end() ? root_ : found->second.front();
}

TelemetryIndex::Logs TelemetryIndex::Make(const Chain& chain) const {
  Chain distinct;
  for (const TelemetryConfig* config : chain) {
    if (config != nullptr && (distinct.empty() || distinct.back() != config)) {
      distinct.push_back(config);
    }
  }
  return {Merge(distinct, telemetry::CLIENT, settings_.default_logs()),
          Merge(distinct, telemetry::SERVER, settings_.default_logs())};
}

const TelemetryIndex::Logs& TelemetryIndex::LogsOf(absl::string_view workload_namespace,
                                                   const Labels& labels) const {
  const auto found = selecting_.find(std::string(workload_namespace));
  if (found != selecting_.end()) {
    for (const TelemetryConfig* config : found->second) {
      if (IsFor(*config, workload_namespace, labels)) return logs_.at(config);
    }
  }
  const TelemetryConfig* nearest = DefaultOf(workload_namespace);
  return nearest == nullptr ? default_logs_ : logs_.at(nearest);
}

const std::string& TelemetryIndex::ClientLogsOf(absl::string_view workload_namespace,
                                                const Labels& labels) const {
  return LogsOf(workload_namespace, labels).client;
}

const std::string& TelemetryIndex::ServerLogsOf(absl::string_view workload_namespace,
                                                const Labels& labels) const {
  return LogsOf(workload_namespace, labels).server;
}

}  // namespace weft
