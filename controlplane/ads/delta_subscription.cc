#include "controlplane/ads/delta_subscription.h"

#include <xxhash.h>

#include <algorithm>
#include <memory>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

constexpr char kEverything[] = "*";

// Stands for what a client has and we do not: no resource is like it.
const EncodedResource& SomethingElse() {
  static const EncodedResource kNone = std::make_shared<const std::string>();
  return kNone;
}

std::optional<uint64_t> HashIn(absl::string_view version) {
  uint64_t hash = 0;
  if (version.size() != kVersionSize || !absl::SimpleHexAtoi(version, &hash)) return std::nullopt;
  return hash;
}

uint64_t HashOf(const std::string& bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

}  // namespace

std::string VersionOf(const std::string& bytes) {
  return absl::StrCat(absl::Hex(HashOf(bytes), absl::kZeroPad16));
}

Received DeltaSubscription::OnRequest(const DeltaSubscriptionRequest& request) {
  const bool first = !std::exchange(started_, true);
  if (first) {
    initial_versions_.reserve(request.initial_versions.size());
    for (const auto& [name, version] : request.initial_versions) {
      initial_versions_.emplace_back(name, HashIn(version));
    }
    if (rules_.wildcard && request.subscribe.empty()) Subscribe(kEverything);
  }
  for (const absl::string_view name : request.subscribe) Subscribe(std::string(name));
  for (const absl::string_view name : request.unsubscribe) Unsubscribe(std::string(name));
  // A client that reconnects may bring the nonce of its last stream.
  if (first || request.nonce.empty()) return Received::kSubscribed;
  return TakeAnswer(request);
}

void DeltaSubscription::Subscribe(std::string name) {
  if (name == kEverything) {
    if (!rules_.wildcard || interest_.wildcard()) return;
    interest_.SetWildcard(true);
    answer_due_ = true;
    return;
  }
  // Also one that it has, or has as part of everything.
  interest_.AddName(name);
  interest_.Forget(name);
  asked_.insert(std::move(name));
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

// What a client that comes back has: as it is now, or something else, which is then replaced or
// removed. After a restart that is nearly all there is, so it is made from that, and shared.
EncodedResources DeltaSubscription::HeldOf(std::vector<Had> all,
                                           const EncodedResources& current) const {
  std::sort(all.begin(), all.end());
  std::vector<const EncodedResources::value_type*> same;
  std::vector<const std::string*> missing;
  std::vector<const std::string*> other;
  auto had = all.begin();
  for (const auto& entry : current) {
    const auto& [name, resource] = entry;
    for (; had != all.end() && had->first < name; ++had) other.push_back(&had->first);
    if (had == all.end() || had->first != name) {
      missing.push_back(&name);
      continue;
    }
    if (had->second == HashOf(*resource)) {
      same.push_back(&entry);
    } else {
      other.push_back(&name);
    }
    ++had;
  }
  for (; had != all.end(); ++had) other.push_back(&had->first);
  EncodedResources held;
  if (missing.size() < same.size()) {
    held = current;
    for (const std::string* name : missing) held.erase(*name);
  } else {
    for (const auto* entry : same) held.emplace(entry->first, entry->second);
  }
  for (const std::string* name : other) held[*name] = SomethingElse();
  return held;
}

void DeltaSubscription::TakeInitialVersions(const EncodedResources& current) {
  std::vector<Had> all = std::exchange(initial_versions_, {});
  std::erase_if(all, [&](const Had& had) { return !interest_.Wants(had.first); });
  if (all.empty()) return;
  // There is something to say of it only if it is not what it was.
  for (const Had& had : all) asked_.erase(had.first);
  answer_due_ = false;
  interest_.Remember(HeldOf(std::move(all), current));
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
