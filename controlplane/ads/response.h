// A DiscoveryResponse or DeltaDiscoveryResponse as a message for the wire, made around resources
// that are encoded already, whose bytes it shares.
#ifndef WEFT_CONTROLPLANE_ADS_RESPONSE_H_
#define WEFT_CONTROLPLANE_ADS_RESPONSE_H_

#include <memory>

#include "controlplane/ads/client.h"
#include "controlplane/transport/grpc_call.h"

namespace weft {

std::unique_ptr<GrpcPayload> EncodeResponse(const AdsClient::Response& response);
std::unique_ptr<GrpcPayload> EncodeResponse(const DeltaAdsClient::Response& response);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_RESPONSE_H_
