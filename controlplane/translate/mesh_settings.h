// The mesh-wide settings in force, and the providers that they name. It borrows the World.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_MESH_SETTINGS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_MESH_SETTINGS_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "controlplane/model/world.h"

namespace istio::mesh::v1alpha1 {
class ExtensionProvider;
}

namespace weft {

// The access log that is there without being declared, as in Istio.
inline constexpr char kBuiltinLog[] = "envoy";

class MeshSettings {
 public:
  using MeshConfig = Config<istio::mesh::v1alpha1::MeshConfig>;
  using Provider = istio::mesh::v1alpha1::ExtensionProvider;

  explicit MeshSettings(const World& world);

  // Null: there is none, and all is as it is by default.
  const MeshConfig* config() const { return config_; }

  // Null if it is not declared.
  const Provider* Find(const std::string& provider) const;

  // Whether it is an access log, declared or builtin.
  bool IsLog(const std::string& provider) const;
  std::vector<std::string> Logs() const;
  // Those of workloads that no Telemetry says anything of.
  const std::vector<std::string>& default_logs() const { return default_logs_; }

  std::vector<std::string> Authorizers() const;

 private:
  const MeshConfig* config_ = nullptr;
  std::map<std::string, const Provider*> providers_;
  std::vector<std::string> default_logs_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_MESH_SETTINGS_H_
