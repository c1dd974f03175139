// What clients ask over ADS, from bytes to what a subscription looks at.
#ifndef WEFT_CONTROLPLANE_ADS_REQUEST_H_
#define WEFT_CONTROLPLANE_ADS_REQUEST_H_

#include <string>

#include "api/envoy/discovery.pb.h"
#include "controlplane/ads/delta_subscription.h"
#include "controlplane/ads/subscription.h"

namespace weft {

// Both return false if the bytes are no such message.
//
// A request may have a thousand names and more: in the state-of-the-world form each ACK repeats all
// of them, in the other one who comes back says all that it has. `request` has them as places in
// `bytes`, which have to outlive it, and `message` has none.
bool ReadRequest(const std::string& bytes, envoy::service::discovery::v3::DiscoveryRequest* message,
                 SubscriptionRequest* request);
bool ReadRequest(const std::string& bytes,
                 envoy::service::discovery::v3::DeltaDiscoveryRequest* message,
                 DeltaSubscriptionRequest* request);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_REQUEST_H_
