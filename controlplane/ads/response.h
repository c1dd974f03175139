// A DiscoveryResponse or DeltaDiscoveryResponse on the wire, made around resources that are encoded
// already.
#ifndef WEFT_CONTROLPLANE_ADS_RESPONSE_H_
#define WEFT_CONTROLPLANE_ADS_RESPONSE_H_

#include <grpcpp/support/byte_buffer.h>

#include "controlplane/ads/client.h"

namespace weft {

grpc::ByteBuffer EncodeResponse(const AdsClient::Response& response);
grpc::ByteBuffer EncodeResponse(const DeltaAdsClient::Response& response);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_RESPONSE_H_
