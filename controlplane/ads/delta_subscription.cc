#include "controlplane/ads/delta_subscription.h"

#include <xxhash.h>

#include <algorithm>
#include <memory>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

constexpr char kEverything[] = "*";

// Stands for what a client has and we do not: no resource is like it.
const EncodedResource& SomethingElse() {
  static const EncodedResource kNone = std::make_shared<const std::string>();
  return kNone;
}

}  // namespace

std::string VersionOf(const std::string& bytes) {
  return absl::StrCat(absl::Hex(XXH3_64bits(bytes.data(), bytes.size()), absl::kZeroPad16));
}

Received DeltaSubscription::OnRequest(const DeltaSubscriptionRequest& request) {
  const bool first = !std::exchange(started_, true);
  if (first) {
    initial_versions_ = request.initial_versions;
    if (rules_.wildcard && request.subscribe.empty()) Subscribe(kEverything);
  }
  for (const std::string& name : request.subscribe) Subscribe(name);
  for (const std::string& name : request.unsubscribe) Unsubscribe(name);
  // A client that reconnects may bring the nonce of its last stream.
  if (first || request.nonce.empty()) return Received::kSubscribed;
  return TakeAnswer(request);
}

void DeltaSubscription::Subscribe(const std::string& name) {
  if (name == kEverything) {
    if (!rules_.wildcard || interest_.wildcard()) return;
    interest_.SetWildcard(true);
    answer_due_ = true;
    return;
  }
  // Also one that it has, or has as part of everything.
  interest_.AddName(name);
  interest_.Forget(name);
  asked_.insert(name);
}

void DeltaSubscription::Unsubscribe(const std::string& name) {
  if (name == kEverything) return interest_.SetWildcard(false);
  asked_.erase(name);
  if (!interest_.RemoveName(name)) return;
  interest_.Forget(name);
  // It has dropped what everything still includes; and if that is no more, it is to know.
  if (interest_.wildcard()) asked_.insert(name);
}

Received DeltaSubscription::TakeAnswer(const DeltaSubscriptionRequest& request) {
  const auto answered = std::find_if(unanswered_.begin(), unanswered_.end(),
                                     [&](const auto& sent) { return sent.first == request.nonce; });
  if (answered == unanswered_.end()) return Received::kStale;
  const std::string version = answered->second;
  unanswered_.erase(unanswered_.begin(), std::next(answered));
  if (request.error.has_value()) {
    last_error_ = *request.error;
    return Received::kNack;
  }
  last_error_.clear();
  acked_version_ = version;
  return Received::kAck;
}

// What the client has of old: as it is now, or something else, which is then replaced or removed.
void DeltaSubscription::TakeInitialVersions(const EncodedResources& current) {
  for (const auto& [name, version] : std::exchange(initial_versions_, {})) {
    if (!interest_.Wants(name)) continue;
    const auto found = current.find(name);
    const bool same = found != current.end() && VersionOf(*found->second) == version;
    interest_.Remember(name, same ? found->second : SomethingElse());
    // There is something to say of it only if it is not what it was.
    asked_.erase(name);
    answer_due_ = false;
  }
}

std::optional<DeltaSubscriptionResponse> DeltaSubscription::Next(const EncodedResources& current,
                                                                 const std::string& version) {
  TakeInitialVersions(current);
  Interest::Difference difference = interest_.Advance(current);
  DeltaSubscriptionResponse response;
  response.removed = std::move(difference.gone);
  for (const std::string& name : std::exchange(asked_, {})) {
    if (!current.contains(name)) response.removed.push_back(name);
  }
  std::sort(response.removed.begin(), response.removed.end());
  const bool answer_due = std::exchange(answer_due_, false);
  if (difference.changed.empty() && response.removed.empty() && !answer_due) return std::nullopt;

  response.changed = std::move(difference.changed);
  response.version = sent_version_ = version;
  response.nonce = absl::StrCat(++responses_);
  unanswered_.emplace_back(response.nonce, version);
  if (unanswered_.size() > kMostUnanswered) unanswered_.pop_front();
  return response;
}

}  // namespace weft
