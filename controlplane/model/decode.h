// From a RawObject to the typed message of its kind.
//
// Kubernetes kinds are read leniently: only a part of their fields is known here, and an API server
// has checked them already. Istio's, Gateway API's and our own are read strictly, since nobody else
// catches a misspelt field. Pure.
#ifndef WEFT_CONTROLPLANE_MODEL_DECODE_H_
#define WEFT_CONTROLPLANE_MODEL_DECODE_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controlplane/model/raw_object.h"
#include "controlplane/model/world.h"

namespace google::protobuf {
class Message;
}  // namespace google::protobuf

namespace weft {

enum class Kind {
  kService,
  kEndpointSlice,
  kPod,
  kNode,
  kNamespace,
  kVirtualService,
  kDestinationRule,
  kGateway,
  kPeerAuthentication,
  kAuthorizationPolicy,
  kRequestAuthentication,
  kServiceEntry,
  kSidecar,
  kWorkloadEntry,
  kWorkloadGroup,
  kGatewayClass,
  kKubernetesGateway,
  kHttpRoute,
  kGrpcRoute,
  kTlsRoute,
  kTcpRoute,
  kReferenceGrant,
  kServiceExport,
  kSecret,  // only those for TLS are of use; from an API server only those that are named
  kTelemetry,
  kLink,
  kMeshConfig,  // the ConfigMaps that hold one; all others are not used
  kNotUsed,     // ordinary kinds that are of no interest here: Deployment, CronJob, …
  kUnknown,
};

// The ConfigMaps that may hold the mesh-wide settings, under `mesh`; the first one counts.
inline constexpr absl::string_view kMeshConfigNamespace = "weft-system";
inline constexpr absl::string_view kMeshConfigNames[] = {"weft", "istio"};

Kind KindOf(const ObjectKey& key);
// Whether it becomes a part of the World.
bool IsUsed(Kind kind);

struct Object {
  Kind kind = Kind::kUnknown;
  ObjectKey key;
  std::string origin;
  std::string creation_timestamp;
  Labels labels;
  Labels annotations;
  // The whole object for Kubernetes kinds (weft.kubernetes.Service, …), the spec for Istio's, the
  // Gateway API's, ServiceExports and our own, what is in it for a mesh config; never null.
  std::shared_ptr<const google::protobuf::Message> message;
  int64_t generation = 0;
};

// `raw` is of a kind that is used. The error names the field, and has no object in it.
absl::StatusOr<Object> Decode(const RawObject& raw);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_DECODE_H_
