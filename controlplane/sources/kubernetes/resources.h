// Which resources of an API server the mesh reads: those whose kinds the Registry makes something
// of (model/decode.h), so a kind that is taught to it is watched without more.
#ifndef WEFT_CONTROLPLANE_SOURCES_KUBERNETES_RESOURCES_H_
#define WEFT_CONTROLPLANE_SOURCES_KUBERNETES_RESOURCES_H_

#include <string>
#include <vector>

namespace weft {

struct WatchedResource {
  std::string group;  // "" is the core
  // By preference; the first that the server has is read. What they hold is the same.
  std::vector<std::string> versions;
  std::string plural;
  std::string kind;
  // Whether the source waits for it although it may not read it (403): without it the mesh would
  // be wrong (no endpoints) or open (no policies), rather than poorer.
  bool needed = false;
  // Only the object of this namespace and name, by a field selector: so a Role that names it
  // (resourceNames) is enough to read it. Empty: all there are.
  std::string namespace_ = {};
  std::string name = {};
  // Only objects with these labels, of one namespace if that is given: "istio/multiCluster=true".
  std::string label_selector = {};

  // As kubectl says: "virtualservices.networking.istio.io", "configmaps weft-system/weft",
  // "secrets weft-system (istio/multiCluster=true)".
  std::string Name() const;
};

std::vector<WatchedResource> WatchedResources();

// One Secret. There is no watch of all of them: what nobody names is none of our business.
WatchedResource WatchedSecret(const std::string& namespace_, const std::string& name);

// What of another cluster makes endpoints of its services; its config is its own.
std::vector<WatchedResource> RemoteClusterResources();

// The Secrets in weftd's namespace that name other clusters, with how to reach their API servers.
// No other Secret there is read.
WatchedResource RemoteClusterSecrets();

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_KUBERNETES_RESOURCES_H_
