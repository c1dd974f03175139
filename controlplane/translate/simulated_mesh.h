// For tests: a control plane from YAML. Objects go the way they really go: decoded, validated,
// registered, merged, translated, checked.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_SIMULATED_MESH_H_
#define WEFT_CONTROLPLANE_TRANSLATE_SIMULATED_MESH_H_

#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "controlplane/federation/exports.h"
#include "controlplane/federation/remote_view.h"
#include "controlplane/model/gateway_api.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/registry.h"
#include "controlplane/translate/resources.h"
#include "controlplane/translate/router_credentials.h"
#include "controlplane/translate/simulated_proxy.h"
#include "controlplane/translations.h"

namespace weft {

// Cluster "east", network "net-east", with a gateway at 172.16.0.1:15443, and with a peer "west"
// whose gateway is 172.16.0.2:15443 on "net-west", and which has nothing at first.
class SimulatedMesh {
 public:
  SimulatedMesh();

  // What is said of the objects; "" if they are fine. An object with deletionTimestamp goes.
  std::string Apply(const std::string& yaml);

  // What west exports from now on.
  std::string WestExports(const std::vector<ExportedService>& services);

  // The same of cluster "north", which has no control plane of its own; it is there once there is
  // any.
  std::string ApplyRemote(const std::string& yaml);

  const std::shared_ptr<const World>& world() const { return world_; }
  // Of the Gateway API's objects.
  const std::vector<GatewayApiStatus>& statuses() const { return gateway_api_.statuses(); }
  // The Secrets that routers need.
  std::set<SecretName> SecretsNamed();
  std::shared_ptr<const Resources> ResourcesFor(const ProxyView& view);
  // What such a proxy does. Fails the test if the resources do not fit together.
  std::unique_ptr<SimulatedProxy> ProxyFor(const ProxyView& view);
  OutboundScope ScopeOf(const ProxyView& view);

 private:
  std::string Build(std::vector<Problem> problems);

  Registry registry_;
  PeerExports west_;
  std::optional<RemoteView> remote_;
  GatewayApiMerge gateway_api_;
  std::shared_ptr<const World> world_;
  Translations translations_;
};

// A sidecar in "default" at 10.244.0.200.
ProxyView ClientIn(const std::string& name_space, Labels labels = {});
// The same in cluster "north", on "net-north".
ProxyView RemoteClientIn(const std::string& name_space, Labels labels = {});

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_SIMULATED_MESH_H_
