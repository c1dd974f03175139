#include "controlplane/translate/sidecar_index.h"

#include "api/istio/networking.pb.h"
#include "controlplane/translate/index.h"
#include "controlplane/translate/oldest_first.h"

namespace weft {

using istio::networking::v1alpha3::Sidecar;

SidecarIndex::SidecarIndex(const World& world) {
  for (const SidecarConfig* config : OldestFirst(world.sidecars)) {
    if (config->spec->workload_selector().labels().empty()) {
      defaults_.try_emplace(config->key.namespace_, config);
    } else {
      selecting_[config->key.namespace_].push_back(config);
    }
  }
  for (absl::string_view root : kRootNamespaces) {
    auto found = defaults_.find(std::string(root));
    if (found == defaults_.end()) continue;
    root_ = found->second;
    break;
  }
  for (const auto& [key, config] : world.sidecars) outbound_[&config] = Outbound(config);
}

const SidecarIndex::SidecarConfig* SidecarIndex::DefaultOf(
    absl::string_view workload_namespace) const {
  const auto found = defaults_.find(std::string(workload_namespace));
  return found == defaults_.end() ? root_ : found->second;
}

const SidecarIndex::SidecarConfig* SidecarIndex::For(absl::string_view workload_namespace,
                                                     const Labels& labels) const {
  const auto found = selecting_.find(std::string(workload_namespace));
  if (found != selecting_.end()) {
    for (const SidecarConfig* config : found->second) {
      if (Selects(config->spec->workload_selector().labels(), labels)) return config;
    }
  }
  return DefaultOf(workload_namespace);
}

std::string SidecarIndex::Outbound(const SidecarConfig& config) const {
  Sidecar outbound;
  for (const SidecarConfig* from : {&config, DefaultOf(config.key.namespace_), root_}) {
    if (from == nullptr) continue;
    if (outbound.egress().empty()) *outbound.mutable_egress() = from->spec->egress();
    if (!outbound.has_outbound_traffic_policy() && from->spec->has_outbound_traffic_policy()) {
      *outbound.mutable_outbound_traffic_policy() = from->spec->outbound_traffic_policy();
    }
  }
  return outbound.SerializeAsString();  // there are no maps in it: equal messages, equal bytes
}

const std::string& SidecarIndex::OutboundOf(absl::string_view workload_namespace,
                                            const Labels& labels) const {
  static const std::string kNone;
  const SidecarConfig* config = For(workload_namespace, labels);
  return config == nullptr ? kNone : outbound_.at(config);
}

}  // namespace weft
