#include "controlplane/federation/merge_configs.h"

#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"
#include "api/istio/security.pb.h"

namespace weft {
namespace {

template <typename Spec>
Config<Spec> ConfigFrom(const std::string& cluster, const Object& object) {
  Config<Spec> config;
  config.key = object.key;
  config.origin = object.origin;
  config.creation_timestamp = object.creation_timestamp;
  config.spec = std::static_pointer_cast<const Spec>(object.message);
  config.annotations = object.annotations;
  config.cluster = cluster;
  return config;
}

}  // namespace

void ConfigMerge::Apply(const World& local, const std::map<std::string, PeerState>& peers,
                        World& world) {
  Received received;
  for (const auto& [cluster, state] : peers) {
    if (state.configs != nullptr && !state.configs->objects.empty()) {
      received.emplace(cluster, state.configs);
    }
  }
  received_changed_ = received != received_;
  if (!received_changed_ && received.empty()) return;
  received_ = std::move(received);
  if (received_changed_) {
    first_.clear();
    for (const auto& [cluster, configs] : received_) {
      for (const auto& [key, config] : configs->objects) {
        const auto [at, added] = first_.try_emplace(key, cluster, config);
        if (added) continue;
        const Object& first = at->second.second->object;
        if (std::tie(config->object.creation_timestamp, cluster) <
            std::tie(first.creation_timestamp, at->second.first)) {
          at->second = {cluster, config};
        }
      }
    }
  }
  Merge("VirtualService", local.virtual_services, &Maps::virtual_services);
  Merge("DestinationRule", local.destination_rules, &Maps::destination_rules);
  Merge("AuthorizationPolicy", local.authorization_policies, &Maps::authorization_policies);
  world.virtual_services = merged_.virtual_services;
  world.destination_rules = merged_.destination_rules;
  world.authorization_policies = merged_.authorization_policies;
  FindConflicts();
}

template <typename Spec>
void ConfigMerge::Merge(const char* kind, const Configs<Spec>& local, Configs<Spec> Maps::* map) {
  if (!received_changed_ && local.SharesAllWith(local_.*map)) return;
  local_.*map = local;
  merged_.*map = local;
  for (const auto& [key, chosen] : first_) {
    const std::pair name(key.namespace_, key.name);
    if (key.kind != kind || local.contains(name)) continue;
    (merged_.*map)[name] = ConfigFrom<Spec>(chosen.first, chosen.second->object);
  }
}

void ConfigMerge::FindConflicts() {
  ConfigConflicts conflicts;
  const auto is_ours = [&](const ObjectKey& key) {
    const std::pair name(key.namespace_, key.name);
    if (key.kind == "VirtualService") return local_.virtual_services.contains(name);
    if (key.kind == "DestinationRule") return local_.destination_rules.contains(name);
    return local_.authorization_policies.contains(name);
  };
  for (const auto& [cluster, configs] : received_) {
    for (const auto& [key, config] : configs->objects) {
      const std::string& counts = first_.at(key).first;
      if (is_ours(key)) {
        conflicts[cluster][key] = "the cluster has an object of this name itself, which counts";
      } else if (counts != cluster) {
        conflicts[cluster][key] = absl::StrCat("cluster ", counts,
                                               " distributes an older object of this name, which "
                                               "counts");
      }
    }
  }
  if (conflicts == *conflicts_) return;
  conflicts_ = std::make_shared<const ConfigConflicts>(std::move(conflicts));
}

}  // namespace weft
