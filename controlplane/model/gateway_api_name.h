// How what is made of the Gateway API (gateway_api.h) is told from what users wrote: by its kind,
// which is that of the object it was made of.
#ifndef WEFT_CONTROLPLANE_MODEL_GATEWAY_API_NAME_H_
#define WEFT_CONTROLPLANE_MODEL_GATEWAY_API_NAME_H_

#include "absl/strings/match.h"
#include "controlplane/model/world.h"

namespace weft {

inline constexpr absl::string_view kGatewayApiGroup = "gateway.networking.k8s.io";

// Then path prefixes end where a segment does, and a Gateway selects workloads of its own namespace
// only.
inline bool IsOfGatewayApi(const ObjectKey& key) {
  return absl::EndsWith(key.kind, kGatewayApiGroup);
}

// On the pods of a Gateway, and so in the selectors of the Services in front of them: its name.
inline constexpr char kGatewayNameLabel[] = "gateway.networking.k8s.io/gateway-name";

// On a Gateway of the Gateway API, instead of a selector: the hosts of the Services in front of its
// workloads, separated by commas.
inline constexpr char kGatewayServicesAnnotation[] = "weft.io/gateway-services";

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_GATEWAY_API_NAME_H_
