// The rules of each kind; what Validate() picks from.
#ifndef WEFT_CONTROLPLANE_MODEL_VALIDATE_RULES_H_
#define WEFT_CONTROLPLANE_MODEL_VALIDATE_RULES_H_

#include "controlplane/model/checker.h"

namespace istio::networking::v1alpha3 {
class ConnectionPoolSettings;
class DestinationRule;
class Gateway;
class ServiceEntry;
class Sidecar;
class VirtualService;
class WorkloadEntry;
class WorkloadGroup;
}  // namespace istio::networking::v1alpha3
namespace istio::security::v1beta1 {
class AuthorizationPolicy;
class PeerAuthentication;
class PolicyTargetReference;
class RequestAuthentication;
}  // namespace istio::security::v1beta1
namespace istio::mesh::v1alpha1 {
class MeshConfig;
}
namespace istio::telemetry::v1alpha1 {
class Telemetry;
}
namespace weft::kubernetes {
class EndpointSlice;
class GatewayClassSpec;
class GatewaySpec;
class GrpcRouteSpec;
class HttpRouteSpec;
class Namespace;
class Pod;
class ReferenceGrantSpec;
class Secret;
class Service;
class TcpRouteSpec;
class TlsRouteSpec;
}  // namespace weft::kubernetes
namespace weft::v1alpha1 {
class LinkSpec;
}

namespace weft {

void CheckVirtualService(const istio::networking::v1alpha3::VirtualService& spec, Checker& check);
void CheckDestinationRule(const istio::networking::v1alpha3::DestinationRule& spec, Checker& check);
void CheckGateway(const istio::networking::v1alpha3::Gateway& spec, Checker& check);
void CheckPeerAuthentication(const istio::security::v1beta1::PeerAuthentication& spec,
                             Checker& check);
void CheckAuthorizationPolicy(const istio::security::v1beta1::AuthorizationPolicy& spec,
                              Checker& check);
void CheckRequestAuthentication(const istio::security::v1beta1::RequestAuthentication& spec,
                                Checker& check);
void CheckServiceEntry(const istio::networking::v1alpha3::ServiceEntry& spec, Checker& check);
void CheckSidecar(const istio::networking::v1alpha3::Sidecar& spec, Checker& check);
void CheckWorkloadEntry(const istio::networking::v1alpha3::WorkloadEntry& spec, Checker& check);
void CheckWorkloadGroup(const istio::networking::v1alpha3::WorkloadGroup& spec, Checker& check);
void CheckTelemetry(const istio::telemetry::v1alpha1::Telemetry& spec, Checker& check);
void CheckMeshConfig(const istio::mesh::v1alpha1::MeshConfig& config, Checker& check);
void CheckService(const kubernetes::Service& service, Checker& check);
void CheckEndpointSlice(const kubernetes::EndpointSlice& slice, Checker& check);
void CheckNamespace(const kubernetes::Namespace& name_space, Checker& check);
void CheckPod(const kubernetes::Pod& pod, Checker& check);
void CheckSecret(const kubernetes::Secret& secret, Checker& check);
void CheckGatewayClass(const kubernetes::GatewayClassSpec& spec, Checker& check);
void CheckKubernetesGateway(const kubernetes::GatewaySpec& spec, Checker& check);
void CheckHttpRoute(const kubernetes::HttpRouteSpec& spec, Checker& check);
void CheckGrpcRoute(const kubernetes::GrpcRouteSpec& spec, Checker& check);
void CheckTlsRoute(const kubernetes::TlsRouteSpec& spec, Checker& check);
void CheckTcpRoute(const kubernetes::TcpRouteSpec& spec, Checker& check);
void CheckReferenceGrant(const kubernetes::ReferenceGrantSpec& spec, Checker& check);
void CheckLink(const v1alpha1::LinkSpec& spec, Checker& check);

// All of it is in its name and annotations.
std::vector<Problem> CheckServiceExport(const Object& object);

// Parts of several kinds.

void CheckTarget(const istio::security::v1beta1::PolicyTargetReference& target, Checker& check);

// Whom a policy is for.
template <typename Policy>
void CheckPolicyTarget(const Policy& spec, Checker& check) {
  check.SelectorLabels("selector.matchLabels", spec.selector().match_labels());
  if (spec.has_target_ref()) {
    if (spec.has_selector()) check.Error("targetRef", "cannot be used together with 'selector'");
    const Checker::In in(check, "targetRef");
    CheckTarget(spec.target_ref(), check);
  }
  if (spec.has_selector() && !spec.target_refs().empty()) {
    check.Error("targetRefs", "cannot be used together with 'selector'");
  }
  for (int i = 0; i < spec.target_refs_size(); ++i) {
    const Checker::In in(check, "targetRefs", i);
    CheckTarget(spec.target_refs(i), check);
  }
}
void CheckConnectionPool(absl::string_view field,
                         const istio::networking::v1alpha3::ConnectionPoolSettings& pool,
                         Checker& check);
// A WorkloadEntry, or an endpoint of a ServiceEntry.
void CheckMachine(const istio::networking::v1alpha3::WorkloadEntry& spec, Checker& check);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_VALIDATE_RULES_H_
