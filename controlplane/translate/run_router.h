// For tests: the edge of a mesh. Objects go the way they really go (simulated_mesh.h), and a router
// is asked what it does (sidecar.h).
#ifndef WEFT_CONTROLPLANE_TRANSLATE_RUN_ROUTER_H_
#define WEFT_CONTROLPLANE_TRANSLATE_RUN_ROUTER_H_

#include <memory>
#include <string>

#include "controlplane/translate/resources.h"
#include "controlplane/translate/sidecar.h"
#include "controlplane/translate/simulated_mesh.h"

namespace weft {

// In namespace "shop" HTTP services reviews and ratings (9080), a database db (3306 TCP, 443 TLS),
// greeter (50051 gRPC); in "edge" a router at 10.244.0.9, labelled istio=ingress and
// gateway-name=gw, behind a Service "ingress" (80 to 8080, 443 to 8443, 3306 to 13306).
class Edge {
 public:
  Edge();

  // What is said of the objects; "" if they are fine.
  std::string Apply(const std::string& yaml) { return mesh_.Apply(yaml); }
  SimulatedMesh& mesh() { return mesh_; }
  const ProxyView& view() const { return view_; }

  // Fails the test if the proxy refuses something, or waits for what does not come.
  std::unique_ptr<weft::Sidecar> Router() { return Run(view_); }
  // That at the address of another pod.
  std::unique_ptr<weft::Sidecar> RouterAt(const std::string& address);
  std::unique_ptr<weft::Sidecar> Sidecar(const std::string& name_space) {
    return Run(ClientIn(name_space));
  }

 private:
  std::unique_ptr<weft::Sidecar> Run(const ProxyView& view);

  SimulatedMesh mesh_;
  ProxyView view_;
};

// A Secret of type kubernetes.io/tls, new each time; with roots of its own if `roots` is not empty.
std::string SecretYaml(const std::string& name_space, const std::string& name,
                       const std::string& roots = "");
// A Secret of roots alone.
std::string RootsYaml(const std::string& name_space, const std::string& name);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_RUN_ROUTER_H_
