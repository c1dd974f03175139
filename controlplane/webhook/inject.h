// Sidecar injection: from a pod as its author wrote it to the pod that runs in the mesh.
//
// Place: called by weftd's webhook on a real cluster and by the sandbox, on the same values. Pure
// function; idempotent: an injected pod injected again is the same.
#ifndef CONTROLPLANE_WEBHOOK_INJECT_H_
#define CONTROLPLANE_WEBHOOK_INJECT_H_

#include <map>
#include <string>

#include "absl/status/statusor.h"

namespace weft::kubernetes {
class Pod;
}

namespace weft::webhook {

inline constexpr char kInitContainer[] = "weft-init";
inline constexpr char kProxyContainer[] = "weft-proxy";
inline constexpr char kTokenVolume[] = "weft-token";
inline constexpr char kRootVolume[] = "weft-ca-root";  // also the name of the config map
inline constexpr char kStatusAnnotation[] = "sidecar.istio.io/status";
// Who is asked to inject cannot wait for a sidecar of its own.
inline constexpr char kControlPlaneNamespace[] = "weft-system";
inline constexpr char kControlPlaneApp[] = "weftd";  // its pods' label `app`

struct InjectConfig {
  bool default_inject = false;  // for namespaces and pods that say nothing
  std::string revision = "default";
  std::string image = "weft/proxy";
  std::string cluster;
  std::string network;
  std::string mesh_id;
  std::string trust_domain;
  std::string discovery_address;           // HOST:PORT of weftd's mTLS port
  std::string token_audience = "weft-ca";  // of the token a proxy shows weftd's CA
  int concurrency = 1;                     // workers of a sidecar
  // The sidecar as an init container that goes on running (Kubernetes from 1.29 on): it is there
  // before the pod's own init containers, and goes after its last container. The annotation
  // sidecar.istio.io/nativeSidecar says otherwise for a pod.
  bool native_sidecar = false;
};

// Whether a pod gets a sidecar: istio-injection and istio.io/rev of its namespace,
// sidecar.istio.io/inject of its own. InvalidArgument names a label of an unknown value.
absl::StatusOr<bool> ShouldInject(const kubernetes::Pod& pod,
                                  const std::map<std::string, std::string>& namespace_labels,
                                  const InjectConfig& config);

// The pod with its sidecar, or unchanged where it should get none. A pod annotated
// `inject.istio.io/templates: gateway` is a gateway: its container weft-proxy is completed, nothing
// is captured. `workload` is the name of the pod's owner.
absl::StatusOr<kubernetes::Pod> InjectSidecar(
    const kubernetes::Pod& pod, const std::map<std::string, std::string>& namespace_labels,
    const std::string& workload, const InjectConfig& config);

// Whether the pod was injected before, and all that its status annotation names is there.
bool IsInjectedAsStated(const kubernetes::Pod& pod);

}  // namespace weft::webhook

#endif  // CONTROLPLANE_WEBHOOK_INJECT_H_
