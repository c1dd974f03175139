// Which Telemetries a workload follows, and which access logs they come to. Arranged once per
// World; it borrows the World.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_TELEMETRY_INDEX_H_
#define WEFT_CONTROLPLANE_TRANSLATE_TELEMETRY_INDEX_H_

#include <map>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "controlplane/model/world.h"
#include "controlplane/translate/mesh_settings.h"

namespace weft {

class TelemetryIndex {
 public:
  using TelemetryConfig = Config<istio::telemetry::v1alpha1::Telemetry>;

  // `settings` must outlive this.
  TelemetryIndex(const World& world, const MeshSettings& settings);

  // What a workload logs of the requests and connections that it makes (client) or takes (server):
  // a Telemetry of nothing but `accessLogging`, an entry for each provider with its filter, in
  // order of names, serialized; empty if nothing is logged. Workloads for which it is equal are
  // sent the same.
  const std::string& ClientLogsOf(absl::string_view workload_namespace, const Labels& labels) const;
  const std::string& ServerLogsOf(absl::string_view workload_namespace, const Labels& labels) const;

  // Of each namespace those without and with a selector or targets, oldest first: of the former the
  // first counts, of the latter the first that is for a workload.
  using ByNamespace = std::map<std::string, std::vector<const TelemetryConfig*>>;
  const ByNamespace& defaults() const { return defaults_; }
  const ByNamespace& selecting() const { return selecting_; }

 private:
  struct Logs {
    std::string client;
    std::string server;
  };
  // From the mesh's to the workload's own; each may be there or not.
  using Chain = std::vector<const TelemetryConfig*>;

  const TelemetryConfig* DefaultOf(absl::string_view workload_namespace) const;
  const Logs& LogsOf(absl::string_view workload_namespace, const Labels& labels) const;
  Logs Make(const Chain& chain) const;

  const MeshSettings& settings_;
  ByNamespace defaults_;
  ByNamespace selecting_;
  const TelemetryConfig* root_ = nullptr;
  std::map<const TelemetryConfig*, Logs> logs_;  // by the nearest to the workload
  Logs default_logs_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_TELEMETRY_INDEX_H_
