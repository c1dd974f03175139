#include "controlplane/model/validate.h"

#include "api/istio/mesh.pb.h"
#include "api/istio/networking.pb.h"
#include "api/istio/security.pb.h"
#include "api/istio/telemetry.pb.h"
#include "api/kubernetes/core.pb.h"
#include "api/kubernetes/gateway.pb.h"
#include "api/weft/kinds.pb.h"
#include "controlplane/model/validate_rules.h"

namespace weft {
namespace {

namespace networking = istio::networking::v1alpha3;
namespace security = istio::security::v1beta1;

template <typename Message>
std::vector<Problem> Check(const Object& object, absl::string_view root,
                           void (*rules)(const Message&, Checker&)) {
  Checker check(object, root);
  rules(static_cast<const Message&>(*object.message), check);
  return check.Take();
}

}  // namespace

std::vector<Problem> Validate(const Object& object) {
  switch (object.kind) {
    case Kind::kService:
      return Check<kubernetes::Service>(object, "", CheckService);
    case Kind::kEndpointSlice:
      return Check<kubernetes::EndpointSlice>(object, "", CheckEndpointSlice);
    case Kind::kPod:
      return Check<kubernetes::Pod>(object, "", CheckPod);
    case Kind::kVirtualService:
      return Check<networking::VirtualService>(object, "spec", CheckVirtualService);
    case Kind::kDestinationRule:
      return Check<networking::DestinationRule>(object, "spec", CheckDestinationRule);
    case Kind::kGateway:
      return Check<networking::Gateway>(object, "spec", CheckGateway);
    case Kind::kPeerAuthentication:
      return Check<security::PeerAuthentication>(object, "spec", CheckPeerAuthentication);
    case Kind::kAuthorizationPolicy:
      return Check<security::AuthorizationPolicy>(object, "spec", CheckAuthorizationPolicy);
    case Kind::kRequestAuthentication:
      return Check<security::RequestAuthentication>(object, "spec", CheckRequestAuthentication);
    case Kind::kServiceEntry:
      return Check<networking::ServiceEntry>(object, "spec", CheckServiceEntry);
    case Kind::kSidecar:
      return Check<networking::Sidecar>(object, "spec", CheckSidecar);
    case Kind::kWorkloadEntry:
      return Check<networking::WorkloadEntry>(object, "spec", CheckWorkloadEntry);
    case Kind::kWorkloadGroup:
      return Check<networking::WorkloadGroup>(object, "spec", CheckWorkloadGroup);
    case Kind::kSecret:
      return Check<kubernetes::Secret>(object, "", CheckSecret);
    case Kind::kGatewayClass:
      return Check<kubernetes::GatewayClassSpec>(object, "spec", CheckGatewayClass);
    case Kind::kKubernetesGateway:
      return Check<kubernetes::GatewaySpec>(object, "spec", CheckKubernetesGateway);
    case Kind::kHttpRoute:
      return Check<kubernetes::HttpRouteSpec>(object, "spec", CheckHttpRoute);
    case Kind::kGrpcRoute:
      return Check<kubernetes::GrpcRouteSpec>(object, "spec", CheckGrpcRoute);
    case Kind::kTlsRoute:
      return Check<kubernetes::TlsRouteSpec>(object, "spec", CheckTlsRoute);
    case Kind::kTcpRoute:
      return Check<kubernetes::TcpRouteSpec>(object, "spec", CheckTcpRoute);
    case Kind::kReferenceGrant:
      return Check<kubernetes::ReferenceGrantSpec>(object, "spec", CheckReferenceGrant);
    case Kind::kTelemetry:
      return Check<istio::telemetry::v1alpha1::Telemetry>(object, "spec", CheckTelemetry);
    case Kind::kLink:
      return Check<v1alpha1::LinkSpec>(object, "", CheckLink);
    case Kind::kMeshConfig:
      return Check<istio::mesh::v1alpha1::MeshConfig>(object, "data.mesh", CheckMeshConfig);
    case Kind::kNamespace:
      return Check<kubernetes::Namespace>(object, "", CheckNamespace);
    case Kind::kServiceExport:
      return CheckServiceExport(object);
    case Kind::kNode:
    case Kind::kNotUsed:
    case Kind::kUnknown:
      break;
  }
  return {};
}

}  // namespace weft
