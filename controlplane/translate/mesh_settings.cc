#include "controlplane/translate/mesh_settings.h"

#include "api/istio/mesh.pb.h"
#include "controlplane/model/decode.h"

namespace weft {

MeshSettings::MeshSettings(const World& world) {
  for (absl::string_view name : kMeshConfigNames) {
    const auto found =
        world.mesh_configs.find({std::string(kMeshConfigNamespace), std::string(name)});
    if (found == world.mesh_configs.end()) continue;
    config_ = &found->second;
    break;
  }
  if (config_ == nullptr) return;
  for (const Provider& provider : config_->spec->extension_providers()) {
    providers_.emplace(provider.name(), &provider);
  }
  const auto& named = config_->spec->default_providers().access_logging();
  default_logs_.assign(named.begin(), named.end());
  if (default_logs_.empty() && !config_->spec->access_log_file().empty()) {
    default_logs_.push_back(kBuiltinLog);
  }
}

const MeshSettings::Provider* MeshSettings::Find(const std::string& provider) const {
  const auto found = providers_.find(provider);
  return found == providers_.end() ? nullptr : found->second;
}

bool MeshSettings::IsLog(const std::string& provider) const {
  const Provider* declared = Find(provider);
  return declared != nullptr ? declared->has_envoy_file_access_log() : provider == kBuiltinLog;
}

std::vector<std::string> MeshSettings::Logs() const {
  std::vector<std::string> logs;
  if (Find(kBuiltinLog) == nullptr) logs.push_back(kBuiltinLog);
  for (const auto& [name, provider] : providers_) {
    if (provider->has_envoy_file_access_log()) logs.push_back(name);
  }
  return logs;
}

std::vector<std::string> MeshSettings::Authorizers() const {
  std::vector<std::string> authorizers;
  for (const auto& [name, provider] : providers_) {
    if (provider->has_envoy_ext_authz_http() || provider->has_envoy_ext_authz_grpc()) {
      authorizers.push_back(name);
    }
  }
  return authorizers;
}

}  // namespace weft
