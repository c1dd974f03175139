// The discovery messages of ADS as the subscription state machine sees them.
// Pure; keeps the generated protobuf headers in one .cc file.
#ifndef WEFT_PROXY_XDS_ADS_WIRE_H_
#define WEFT_PROXY_XDS_ADS_WIRE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proxy/xds/subscription.h"

namespace weft {

// A serialized DiscoveryRequest; `node` is a serialized Node, or empty to leave
// it out.
std::string EncodeDiscoveryRequest(const std::string& type_url, Subscription::Request request,
                                   absl::string_view node);

struct DiscoveryUpdate {
  std::string type_url;
  Subscription::Response response;
  // Why the resources cannot be used whatever they say: of another type,
  // unreadable, twice there. The response is to be rejected with it.
  absl::Status problem;
};

// Every named type of xDS has its name in field 1 (EDS: cluster_name), so no type has to be known
// here. False if the bytes are no message.
bool ReadResourceName(const std::string& bytes, std::string& name);

// Error: the bytes are no DiscoveryResponse, so the stream is of no more use.
absl::StatusOr<DiscoveryUpdate> DecodeDiscoveryResponse(absl::string_view bytes);

// The same in delta form.
std::string EncodeDeltaDiscoveryRequest(const std::string& type_url, Subscription::Request request,
                                        absl::string_view node);
absl::StatusOr<DiscoveryUpdate> DecodeDeltaDiscoveryResponse(absl::string_view bytes);

}  // namespace weft

#endif  // WEFT_PROXY_XDS_ADS_WIRE_H_
