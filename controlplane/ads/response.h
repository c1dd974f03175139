// A DiscoveryResponse or DeltaDiscoveryResponse on the wire, made around resources that are encoded
// already, whose bytes it shares.
#ifndef WEFT_CONTROLPLANE_ADS_RESPONSE_H_
#define WEFT_CONTROLPLANE_ADS_RESPONSE_H_

#include "controlplane/ads/client.h"
#include "controlplane/transport/grpc_call.h"

namespace weft {

GrpcPieces EncodeResponse(const AdsClient::Response& response);
GrpcPieces EncodeResponse(const DeltaAdsClient::Response& response);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_RESPONSE_H_
