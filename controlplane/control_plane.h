// ControlPlane: one cluster's weftd, put together: the engine's thread, discovery, the peer API,
// the CA, and the ports they are reached at.
#ifndef WEFT_CONTROLPLANE_CONTROL_PLANE_H_
#define WEFT_CONTROLPLANE_CONTROL_PLANE_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/model/registry.h"
#include "controlplane/model/world.h"
#include "controlplane/sources/kubernetes/kubeconfig.h"
#include "controlplane/webhook/inject.h"
#include "proxy/net/address.h"

namespace weft {

struct ControlPlaneOptions {
  ClusterIdentity self;  // roots_pem is filled in from the data folder
  ExportPolicy exports = ExportPolicy::kNone;
  std::vector<std::string> registry_folders;
  std::optional<Kubeconfig> registry_server;            // an API server instead of folders
  absl::Duration registry_silence = absl::Seconds(90);  // of a watch, after which it is made anew
  absl::Duration remote_expiry = absl::Minutes(5);      // of what was known of another API server
  bool allow_remote_exec = false;                       // to the kubeconfigs in Secrets
  std::string data_folder;
  std::string ca_folder;       // of a CA that others made (ca/ca_source.h); may be empty
  std::string token_key;       // of workload tokens of our own, itself; empty: none are
  std::string token_audience;  // what tokens of the API server are to be meant for
  // Need not be there yet. Empty: links are objects of the API server, if there is one.
  std::string peers_folder;
  std::vector<GatewayAddress> gateways;  // as peers reach them

  Address xds;         // TLS; 15012
  Address xds_plain;   // loopback; 15010
  Address peer;        // TLS; 15013
  Address monitoring;  // 15014
  Address debug;       // loopback; unspecified: none
  Address webhook;     // HTTPS; 15017; unspecified: none
  // What the injecting webhook gives pods; the cluster's own part is filled in from `self`.
  webhook::InjectConfig injection;
};

class ControlPlane {
 public:
  // Makes or loads the root, listens everywhere, and starts. Errors say what and where.
  static absl::StatusOr<std::unique_ptr<ControlPlane>> Start(ControlPlaneOptions options);
  // Ends all connections and threads.
  ~ControlPlane();
  ControlPlane(const ControlPlane&) = delete;
  ControlPlane& operator=(const ControlPlane&) = delete;

  // With the ports the kernel chose, where 0 was asked for.
  Address xds() const;
  Address xds_plain() const;
  Address peer() const;
  Address monitoring() const;
  Address debug() const;
  Address webhook() const;
  const std::string& roots_pem() const;

 private:
  struct Running;
  explicit ControlPlane(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_CONTROL_PLANE_H_
