// AdsClient: what one proxy subscribed to over one ADS stream, of all types, and what to send it
// next; in either form of the protocol; in the order that never leaves a reference dangling at the
// receiver: secrets, clusters, endpoints, listeners, routes, then the name table.
//
// Pure; belongs to one stream; not thread-safe.
#ifndef WEFT_CONTROLPLANE_ADS_CLIENT_H_
#define WEFT_CONTROLPLANE_ADS_CLIENT_H_

#include <array>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "controlplane/ads/delta_subscription.h"
#include "controlplane/ads/subscription.h"
#include "controlplane/translate/resources.h"

namespace weft {

struct ResourceType {
  absl::string_view name;  // "cds", for logs and metrics
  absl::string_view url;
  EncodedResources Resources::* resources;
  DeliveryRules rules;
};
// In the order of a push.
absl::Span<const ResourceType> ResourceTypes();
// Null for a type that weftd does not serve.
const ResourceType* FindResourceType(absl::string_view url);

// Of is Subscription or DeltaSubscription.
template <typename Of>
class BasicAdsClient {
 public:
  Received OnRequest(const ResourceType& type, const typename Of::Request& request);

  struct Response {
    const ResourceType* type;
    typename Of::Response body;
  };
  // All that is due now to bring the client to `resources`.
  std::vector<Response> Next(const Resources& resources, const std::string& version);

  // Null if the client never asked for the type.
  const Of* Find(const ResourceType& type) const;

 private:
  static constexpr size_t kTypes = 6;
  std::array<std::optional<Of>, kTypes> subscriptions_;
};

using AdsClient = BasicAdsClient<Subscription>;
using DeltaAdsClient = BasicAdsClient<DeltaSubscription>;

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_CLIENT_H_
