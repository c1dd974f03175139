#include "controlplane/ads/subscription.h"

#include <xxhash.h>

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

uint64_t HashOf(const std::vector<absl::string_view>& names) {
  uint64_t hash = names.size();
  for (const absl::string_view name : names) {
    hash = XXH3_64bits_withSeed(name.data(), name.size(), hash);
  }
  return hash;
}

}  // namespace

Received Subscription::OnRequest(const SubscriptionRequest& request) {
  // A client that reconnects may bring the nonce of its last stream; before anything was sent on
  // this one, no nonce can be stale.
  const bool first = responses_ == 0;
  if (!first && !request.nonce.empty() && request.nonce != nonce_) return Received::kStale;
  TakeNames(request.names);
  if (first || request.nonce.empty()) return Received::kSubscribed;
  if (request.error.has_value()) {
    last_error_ = *request.error;
    return Received::kNack;
  }
  last_error_.clear();
  acked_version_ = sent_version_;
  return Received::kAck;
}

void Subscription::TakeNames(const std::vector<absl::string_view>& names) {
  const uint64_t hash = HashOf(names);
  if (names_hash_ == hash) return;
  SetNames(names);
  names_hash_ = hash;
}

void Subscription::SetNames(const std::vector<absl::string_view>& names) {
  std::set<std::string> named(names.begin(), names.end());
  const bool all = named.erase("*") > 0 || (named.empty() && !ever_named_);
  const bool wildcard = rules_.wildcard && all;
  if (!named.empty()) ever_named_ = true;

  const bool was_wildcard = interest_.wildcard();
  std::vector<std::string> added;
  for (const std::string& name : named) {
    if (!interest_.names().Contains(name)) added.push_back(name);
  }
  const bool same_names = added.empty() && named.size() == interest_.names().size();
  if (same_names && wildcard == was_wildcard) return;

  if (!same_names) interest_.SetNames({named.begin(), named.end()});
  interest_.SetWildcard(wildcard);
  if (wildcard && !was_wildcard) {
    interest_.ForgetAll();
    answer_due_ = true;
  }
  if (added.empty()) return;
  answer_due_ = true;
  if (wildcard) return;
  for (const std::string& name : added) interest_.Forget(name);
}

std::optional<SubscriptionResponse> Subscription::Next(const EncodedResources& current,
                                                       const std::string& version) {
  Interest::Difference difference = interest_.Advance(current);
  const bool answer_due = std::exchange(answer_due_, false);
  const bool due = rules_.full_state
                       ? answer_due || !difference.changed.empty() || !difference.gone.empty()
                       : !difference.changed.empty();
  if (!due) return std::nullopt;

  SubscriptionResponse response = Respond(version);
  response.changed = std::move(difference.changed);
  response.resources = rules_.full_state ? interest_.sent() : response.changed;
  return response;
}

SubscriptionResponse Subscription::Respond(const std::string& version) {
  nonce_ = absl::StrCat(++responses_);
  sent_version_ = version;
  SubscriptionResponse response;
  response.version = version;
  response.nonce = nonce_;
  return response;
}

}  // namespace weft
