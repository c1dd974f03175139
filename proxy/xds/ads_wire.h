// The discovery messages of ADS as the subscription state machine sees them. Pure; keeps the
// generated protobuf headers in one .cc file.
#ifndef WEFT_PROXY_XDS_ADS_WIRE_H_
#define WEFT_PROXY_XDS_ADS_WIRE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proxy/xds/subscription.h"

namespace weft {

// A serialized DiscoveryRequest; `node` is a serialized Node, or empty to leave it out.
std::string EncodeDiscoveryRequest(const std::string& type_url, Subscription::Request request,
                                   absl::string_view node);

struct DiscoveryUpdate {
  std::string type_url;
  Subscription::Response response;
  // Why the resources cannot be used whatever they say: of another type, unreadable, twice there.
  // The response is to be rejected with it.
  absl::Status problem;
};

// Error: the bytes are no DiscoveryResponse, so the stream is of no more use.
absl::StatusOr<DiscoveryUpdate> DecodeDiscoveryResponse(absl::string_view bytes);

}  // namespace weft

#endif  // WEFT_PROXY_XDS_ADS_WIRE_H_
