// DeltaSubscription: what one client wants of one resource type, what it has of it, and what to
// send next, in delta form.
//
// A pure state machine of the incremental xDS protocol (xDS protocol, "Incremental xDS" and "How
// the client specifies what resources to return"):
//  - A request says what is wanted in addition, and what no more; a response, what changed and what
//    is gone. "*" wants everything; so does a stream's first request that names nothing, for the
//    types where the protocol knows a wildcard.
//  - A stream's first request may say what the client still has, with versions. What is the same is
//    not sent again; what is no more is said to be gone, however long the client was away.
//  - A name that is subscribed to again is sent again: the client has forgotten it. One that is not
//    there is said to be gone, once; it is sent when it comes.
//  - A version is a hash of the resource's bytes, and so the same after a restart of the server.
//  - What a client refused is not sent again until it changes. A nonce nobody knows is ignored, but
//    not the subscriptions beside it: they are differences, and would be lost.
//
// Belongs to one stream; not thread-safe.
#ifndef WEFT_CONTROLPLANE_ADS_DELTA_SUBSCRIPTION_H_
#define WEFT_CONTROLPLANE_ADS_DELTA_SUBSCRIPTION_H_

#include <cstdint>
#include <deque>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "controlplane/ads/interest.h"
#include "controlplane/ads/subscription.h"

namespace weft {

// The part of a DeltaDiscoveryRequest that counts after the type and the node were looked at.
struct DeltaSubscriptionRequest {
  std::vector<absl::string_view> subscribe;
  std::vector<absl::string_view> unsubscribe;
  std::vector<std::pair<absl::string_view, absl::string_view>> initial_versions;  // in any order
  std::string nonce;
  std::optional<std::string> error;  // a NACK, and why
};

struct DeltaSubscriptionResponse {
  std::string version;
  std::string nonce;
  EncodedResources changed;
  std::vector<std::string> removed;
};

// Of a resource; says nothing but that bytes are the same. Its size is always the same.
std::string VersionOf(const std::string& bytes);
inline constexpr size_t kVersionSize = 16;

class DeltaSubscription {
 public:
  using Request = DeltaSubscriptionRequest;
  using Response = DeltaSubscriptionResponse;

  explicit DeltaSubscription(DeliveryRules rules) : rules_(rules) {}

  Received OnRequest(const DeltaSubscriptionRequest& request);

  // The response that brings the client from what it has to `current`, if one is due. Taking it
  // counts as sending it. `version` is for people to look at.
  std::optional<DeltaSubscriptionResponse> Next(const EncodedResources& current,
                                                const std::string& version);

  // The client is going to drop what it has of this name; so it is sent again.
  void Forget(const std::string& name) { interest_.Forget(name); }

  // For /debug/syncz. Empty before the first response, or the first answer.
  const std::string& sent_version() const { return sent_version_; }
  const std::string& acked_version() const { return acked_version_; }
  const std::string& last_error() const { return last_error_; }  // of a NACK, until the next ACK
  const Interest& interest() const { return interest_; }

 private:
  // Of a client that answers nothing, no more than these are waited for.
  static constexpr size_t kMostUnanswered = 64;

  // What a client that comes back says it has: the version as VersionOf() has it, or none of ours.
  using Had = std::pair<std::string, std::optional<uint64_t>>;

  void Subscribe(std::string name);
  void Unsubscribe(const std::string& name);
  void TakeInitialVersions(const EncodedResources& current);
  EncodedResources HeldOf(std::vector<Had> all, const EncodedResources& current) const;
  Received TakeAnswer(const DeltaSubscriptionRequest& request);

  const DeliveryRules rules_;
  Interest interest_;
  bool started_ = false;
  std::vector<Had> initial_versions_;  // until the first Next()
  // Asked for since the last Next(): an answer is due even if there is none of it.
  std::set<std::string> asked_;
  bool answer_due_ = false;

  uint64_t responses_ = 0;
  std::deque<std::pair<std::string, std::string>> unanswered_;  // nonce, version
  std::string sent_version_;
  std::string acked_version_;
  std::string last_error_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_DELTA_SUBSCRIPTION_H_
