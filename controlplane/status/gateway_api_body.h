// The status of a Gateway API object as it is to be written: what weftd has to say, among what
// others said.
//
// Fields that the API defaults are stated, so that what was written is known again. For .cc files
// only: it includes nlohmann's JSON. Pure.
#ifndef WEFT_CONTROLPLANE_STATUS_GATEWAY_API_BODY_H_
#define WEFT_CONTROLPLANE_STATUS_GATEWAY_API_BODY_H_

#include <nlohmann/json.hpp>

#include "absl/time/time.h"
#include "controlplane/model/gateway_api_status.h"

namespace weft {

// Those fields of a status that are ours to write. `present` is the status as it is. Of a route's
// parents the entries of other controllers are left as they are; so are others' conditions.
nlohmann::json GatewayApiBody(const nlohmann::json& present, const GatewayApiStatus& wanted,
                              absl::Time now);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_GATEWAY_API_BODY_H_
