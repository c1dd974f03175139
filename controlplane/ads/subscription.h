// Subscription: what one client wants of one resource type, what it was sent, and what to send
// next.
//
// A pure state machine of the xDS transport protocol, state of the world (xDS protocol, "How the
// client specifies what resources to return" and "ACK/NACK and versioning"):
//  - The first request carries no nonce. A request with a nonce answers the response of that nonce:
//    an ACK, or with an error a NACK. A nonce that is not the last one is stale, and all of that
//    request is ignored: the answer to the newer response repeats everything it said.
//  - No names means everything, but only if the client never named any, and only for the types
//  where
//    the protocol knows a wildcard.
//  - Names that were added are sent even if unchanged since: the client has forgotten them.
//  - What a client refused is not sent again until it changes. Versions are opaque.
//
// The same in delta form is delta_subscription.h.
//
// Belongs to one stream; not thread-safe.
#ifndef WEFT_CONTROLPLANE_ADS_SUBSCRIPTION_H_
#define WEFT_CONTROLPLANE_ADS_SUBSCRIPTION_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "controlplane/ads/interest.h"
#include "controlplane/translate/resources.h"

namespace weft {

// How the protocol treats a type.
struct DeliveryRules {
  // Each response is the whole state: what is absent from it is gone (LDS, CDS, NDS). Otherwise a
  // response holds only what changed (RDS, EDS, SDS).
  bool full_state = false;
  // A first request without names asks for everything.
  bool wildcard = false;
};

// What a request did.
enum class Received {
  kSubscribed,  // the first request, or one that answers nothing
  kAck,
  kNack,
  kStale,  // answers another response than it should: that part of it is ignored
};

// The part of a DiscoveryRequest that counts after the type and the node were looked at.
struct SubscriptionRequest {
  std::vector<absl::string_view> names;
  std::string nonce;
  std::optional<std::string> error;  // a NACK, and why
};

struct SubscriptionResponse {
  std::string version;
  std::string nonce;
  EncodedResources resources;  // what to send: all that is wanted, or what changed of it
  EncodedResources changed;    // those of them that the client did not have like this
};

class Subscription {
 public:
  using Request = SubscriptionRequest;
  using Response = SubscriptionResponse;

  explicit Subscription(DeliveryRules rules) : rules_(rules) {}

  // kStale: all of the request is ignored.
  Received OnRequest(const SubscriptionRequest& request);

  // The response that brings the client from what it was sent to `current`, if one is due. Taking
  // it counts as sending it. `version` is any text that differs between different states.
  std::optional<SubscriptionResponse> Next(const EncodedResources& current,
                                           const std::string& version);

  // The client is going to drop what it has of this name; so it is sent again.
  void Forget(const std::string& name) { interest_.Forget(name); }

  // For /debug/syncz. Empty before the first response, or the first answer.
  const std::string& sent_version() const { return sent_version_; }
  const std::string& acked_version() const { return acked_version_; }
  const std::string& last_error() const { return last_error_; }  // of a NACK, until the next ACK
  const Interest& interest() const { return interest_; }

 private:
  void TakeNames(const std::vector<absl::string_view>& names);
  void SetNames(const std::vector<absl::string_view>& names);
  SubscriptionResponse Respond(const std::string& version);

  const DeliveryRules rules_;
  Interest interest_;
  // Of the names that were last taken, in the order they came in. An ACK repeats them.
  std::optional<uint64_t> names_hash_;
  bool ever_named_ = false;
  // A full-state response is due even if nothing changed: absence is an answer too.
  bool answer_due_ = false;

  uint64_t responses_ = 0;
  std::string nonce_;  // of the last response
  std::string sent_version_;
  std::string acked_version_;
  std::string last_error_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_SUBSCRIPTION_H_
