#include "controlplane/model/decode.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/istio/mesh.pb.h"
#include "api/istio/networking.pb.h"
#include "api/istio/security.pb.h"
#include "api/istio/telemetry.pb.h"
#include "api/kubernetes/core.pb.h"
#include "api/kubernetes/gateway.pb.h"
#include "api/kubernetes/multicluster.pb.h"
#include "api/weft/kinds.pb.h"
#include "api/yaml/yaml_to_message.h"

namespace weft {
namespace {

using google::protobuf::Message;
namespace networking = istio::networking::v1alpha3;
namespace security = istio::security::v1beta1;

struct KindEntry {
  absl::string_view name;
  Kind kind;
};
constexpr std::array kKinds = {
    KindEntry{"Service", Kind::kService},
    KindEntry{"EndpointSlice", Kind::kEndpointSlice},
    KindEntry{"Pod", Kind::kPod},
    KindEntry{"Node", Kind::kNode},
    KindEntry{"Namespace", Kind::kNamespace},
    KindEntry{"VirtualService", Kind::kVirtualService},
    KindEntry{"DestinationRule", Kind::kDestinationRule},
    KindEntry{"Gateway", Kind::kGateway},
    KindEntry{"PeerAuthentication", Kind::kPeerAuthentication},
    KindEntry{"AuthorizationPolicy", Kind::kAuthorizationPolicy},
    KindEntry{"RequestAuthentication", Kind::kRequestAuthentication},
    KindEntry{"ServiceEntry", Kind::kServiceEntry},
    KindEntry{"Sidecar", Kind::kSidecar},
    KindEntry{"WorkloadEntry", Kind::kWorkloadEntry},
    KindEntry{"WorkloadGroup", Kind::kWorkloadGroup},
    KindEntry{"GatewayClass", Kind::kGatewayClass},
    KindEntry{"Gateway.gateway.networking.k8s.io", Kind::kKubernetesGateway},
    KindEntry{"HTTPRoute.gateway.networking.k8s.io", Kind::kHttpRoute},
    KindEntry{"GRPCRoute.gateway.networking.k8s.io", Kind::kGrpcRoute},
    KindEntry{"TLSRoute.gateway.networking.k8s.io", Kind::kTlsRoute},
    KindEntry{"TCPRoute.gateway.networking.k8s.io", Kind::kTcpRoute},
    KindEntry{"ReferenceGrant.gateway.networking.k8s.io", Kind::kReferenceGrant},
    KindEntry{"ServiceExport", Kind::kServiceExport},
    KindEntry{"ServiceImport", Kind::kNotUsed},  // weftd writes them, and reads none
    KindEntry{"Secret", Kind::kSecret},
    KindEntry{"Telemetry", Kind::kTelemetry},
    KindEntry{"Link.weft.io", Kind::kLink},
    KindEntry{"ConfigMap", Kind::kNotUsed},
    KindEntry{"CronJob", Kind::kNotUsed},
    KindEntry{"DaemonSet", Kind::kNotUsed},
    KindEntry{"Deployment", Kind::kNotUsed},
    KindEntry{"Endpoints", Kind::kNotUsed},
    KindEntry{"Event", Kind::kNotUsed},
    KindEntry{"HorizontalPodAutoscaler", Kind::kNotUsed},
    KindEntry{"Job", Kind::kNotUsed},
    KindEntry{"LimitRange", Kind::kNotUsed},
    KindEntry{"PersistentVolume", Kind::kNotUsed},
    KindEntry{"PersistentVolumeClaim", Kind::kNotUsed},
    KindEntry{"PodDisruptionBudget", Kind::kNotUsed},
    KindEntry{"ReplicaSet", Kind::kNotUsed},
    KindEntry{"ResourceQuota", Kind::kNotUsed},
    KindEntry{"ServiceAccount", Kind::kNotUsed},
    KindEntry{"StatefulSet", Kind::kNotUsed},
};

std::unique_ptr<Message> NewMessage(Kind kind) {
  switch (kind) {
    case Kind::kService:
      return std::make_unique<kubernetes::Service>();
    case Kind::kEndpointSlice:
      return std::make_unique<kubernetes::EndpointSlice>();
    case Kind::kPod:
      return std::make_unique<kubernetes::Pod>();
    case Kind::kNode:
      return std::make_unique<kubernetes::Node>();
    case Kind::kNamespace:
      return std::make_unique<kubernetes::Namespace>();
    case Kind::kVirtualService:
      return std::make_unique<networking::VirtualService>();
    case Kind::kDestinationRule:
      return std::make_unique<networking::DestinationRule>();
    case Kind::kGateway:
      return std::make_unique<networking::Gateway>();
    case Kind::kPeerAuthentication:
      return std::make_unique<security::PeerAuthentication>();
    case Kind::kAuthorizationPolicy:
      return std::make_unique<security::AuthorizationPolicy>();
    case Kind::kRequestAuthentication:
      return std::make_unique<security::RequestAuthentication>();
    case Kind::kServiceEntry:
      return std::make_unique<networking::ServiceEntry>();
    case Kind::kSidecar:
      return std::make_unique<networking::Sidecar>();
    case Kind::kWorkloadEntry:
      return std::make_unique<networking::WorkloadEntry>();
    case Kind::kWorkloadGroup:
      return std::make_unique<networking::WorkloadGroup>();
    case Kind::kGatewayClass:
      return std::make_unique<kubernetes::GatewayClassSpec>();
    case Kind::kKubernetesGateway:
      return std::make_unique<kubernetes::GatewaySpec>();
    case Kind::kHttpRoute:
      return std::make_unique<kubernetes::HttpRouteSpec>();
    case Kind::kGrpcRoute:
      return std::make_unique<kubernetes::GrpcRouteSpec>();
    case Kind::kTlsRoute:
      return std::make_unique<kubernetes::TlsRouteSpec>();
    case Kind::kTcpRoute:
      return std::make_unique<kubernetes::TcpRouteSpec>();
    case Kind::kReferenceGrant:
      return std::make_unique<kubernetes::ReferenceGrantSpec>();
    case Kind::kServiceExport:
      return std::make_unique<kubernetes::ServiceExportSpec>();
    case Kind::kSecret:
      return std::make_unique<kubernetes::Secret>();
    case Kind::kTelemetry:
      return std::make_unique<istio::telemetry::v1alpha1::Telemetry>();
    case Kind::kLink:
      return std::make_unique<v1alpha1::LinkSpec>();
    case Kind::kMeshConfig:
      return std::make_unique<istio::mesh::v1alpha1::MeshConfig>();
    case Kind::kNotUsed:
    case Kind::kUnknown:
      break;
  }
  return nullptr;
}

std::vector<absl::string_view> VersionsOf(Kind kind) {
  switch (kind) {
    case Kind::kVirtualService:
    case Kind::kDestinationRule:
    case Kind::kGateway:
    case Kind::kServiceEntry:
    case Kind::kSidecar:
    case Kind::kWorkloadEntry:
    case Kind::kWorkloadGroup:
      return {"networking.istio.io/v1", "networking.istio.io/v1beta1",
              "networking.istio.io/v1alpha3"};
    case Kind::kPeerAuthentication:
    case Kind::kAuthorizationPolicy:
    case Kind::kRequestAuthentication:
      return {"security.istio.io/v1", "security.istio.io/v1beta1"};
    case Kind::kGatewayClass:
    case Kind::kKubernetesGateway:
    case Kind::kHttpRoute:
    case Kind::kGrpcRoute:
    case Kind::kTlsRoute:
    case Kind::kTcpRoute:
    case Kind::kReferenceGrant:
      return {"gateway.networking.k8s.io/v1", "gateway.networking.k8s.io/v1beta1",
              "gateway.networking.k8s.io/v1alpha3", "gateway.networking.k8s.io/v1alpha2"};
    case Kind::kServiceExport:
      return {"multicluster.x-k8s.io/v1beta1", "multicluster.x-k8s.io/v1alpha1"};
    case Kind::kTelemetry:
      return {"telemetry.istio.io/v1", "telemetry.istio.io/v1alpha1"};
    case Kind::kLink:
      return {"weft.io/v1alpha1"};
    case Kind::kEndpointSlice:
      return {"discovery.k8s.io/v1"};
    default:
      return {"v1"};
  }
}

// Kinds of which the spec is all that is read, and every field of it has to be known.
bool IsConfig(Kind kind) {
  const std::vector<absl::string_view> versions = VersionsOf(kind);
  return absl::StrContains(versions.front(), ".istio.io/") ||
         absl::StartsWith(versions.front(), "gateway.networking.k8s.io/") ||
         absl::StartsWith(versions.front(), "weft.io/");
}

absl::Status CheckVersion(Kind kind, const std::string& version) {
  const std::vector<absl::string_view> known = VersionsOf(kind);
  if (std::find(known.begin(), known.end(), version) != known.end()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("apiVersion: unknown version '", version,
                                                 "'; expected ", absl::StrJoin(known, " or ")));
}

// Where a body knows its lines.
std::string InLine(const YamlNode& node) {
  return node.line() == 0 ? "" : absl::StrCat(" (line ", node.line(), ")");
}

// Beside the spec, only what every object has.
absl::Status CheckTopLevel(const YamlNode& body) {
  for (const auto& entry : body) {
    const std::string name(entry.first.Scalar());
    if (name == "apiVersion" || name == "kind" || name == "metadata" || name == "spec" ||
        name == "status") {
      continue;
    }
    return absl::InvalidArgumentError(absl::StrCat(
        name, InLine(entry.first), ": unknown field; fields of the kind stand under 'spec'"));
  }
  return absl::OkStatus();
}

// The text of one of a ConfigMap's entries is YAML, as a file of its own would be.
absl::Status FillMeshConfig(const YamlNode& body, Message* message) {
  const YamlNode mesh = body["data"]["mesh"];
  if (!mesh.IsScalar()) {
    return absl::InvalidArgumentError(
        "data.mesh: is missing; it holds the mesh-wide settings as YAML text");
  }
  const auto documents = ParseYamlDocuments(mesh.Scalar());
  if (!documents.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("data.mesh: ", documents.status().message()));
  }
  if (documents->empty()) return absl::OkStatus();
  if (documents->size() > 1) {
    return absl::InvalidArgumentError("data.mesh: holds more than one document");
  }
  return YamlToMessage(documents->front()->root(), UnknownFields::kReject, message, "data.mesh");
}

absl::Status Fill(const YamlNode& body, Kind kind, Message* message) {
  if (kind == Kind::kMeshConfig) return FillMeshConfig(body, message);
  if (kind == Kind::kServiceExport) {
    const YamlNode spec = body["spec"];
    if (!spec.IsDefined() || spec.IsNull()) return absl::OkStatus();
    return YamlToMessage(spec, UnknownFields::kSkip, message, "spec");
  }
  if (!IsConfig(kind)) return YamlToMessage(body, UnknownFields::kSkip, message);
  if (absl::Status status = CheckTopLevel(body); !status.ok()) return status;
  const YamlNode spec = body["spec"];
  if (!spec.IsDefined() || spec.IsNull())
    return absl::OkStatus();  // validation says what is missing
  return YamlToMessage(spec, UnknownFields::kReject, message, "spec");
}

}  // namespace

Kind KindOf(const ObjectKey& key) {
  if (key.kind == "ConfigMap" && key.namespace_ == kMeshConfigNamespace &&
      std::find(std::begin(kMeshConfigNames), std::end(kMeshConfigNames), key.name) !=
          std::end(kMeshConfigNames)) {
    return Kind::kMeshConfig;
  }
  const auto it = std::find_if(kKinds.begin(), kKinds.end(),
                               [&](const KindEntry& entry) { return entry.name == key.kind; });
  return it == kKinds.end() ? Kind::kUnknown : it->kind;
}

bool IsUsed(Kind kind) { return kind != Kind::kNotUsed && kind != Kind::kUnknown; }

absl::StatusOr<Object> Decode(const RawObject& raw) {
  const YamlNode& body = raw.body.node;
  Object object{KindOf(raw.key), raw.key, raw.origin, "", {}, {}, nullptr, 0};
  if (absl::Status status = CheckVersion(object.kind, raw.api_version); !status.ok()) return status;
  kubernetes::ObjectMeta metadata;
  if (absl::Status status =
          YamlToMessage(body["metadata"], UnknownFields::kSkip, &metadata, "metadata");
      !status.ok()) {
    return status;
  }
  object.creation_timestamp = metadata.creation_timestamp();
  object.generation = metadata.generation();
  object.labels = Labels(metadata.labels().begin(), metadata.labels().end());
  object.annotations = Labels(metadata.annotations().begin(), metadata.annotations().end());
  std::unique_ptr<Message> message = NewMessage(object.kind);
  if (absl::Status status = Fill(body, object.kind, message.get()); !status.ok()) return status;
  object.message = std::move(message);
  return object;
}

}  // namespace weft
