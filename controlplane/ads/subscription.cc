#include "controlplane/ads/subscription.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

using Resource = std::shared_ptr<const std::string>;

bool SameBytes(const Resource& a, const Resource& b) { return a == b || *a == *b; }

}  // namespace

Subscription::Received Subscription::OnRequest(const SubscriptionRequest& request) {
  // A client that reconnects may bring the nonce of its last stream; before anything was sent on
  // this one, no nonce can be stale.
  const bool first = responses_ == 0;
  if (!first && !request.nonce.empty() && request.nonce != nonce_) return Received::kStale;
  SetNames(request.names);
  if (first || request.nonce.empty()) return Received::kSubscribed;
  if (request.error.has_value()) {
    last_error_ = *request.error;
    return Received::kNack;
  }
  last_error_.clear();
  acked_version_ = sent_version_;
  return Received::kAck;
}

void Subscription::SetNames(const std::vector<std::string>& names) {
  std::set<std::string> named(names.begin(), names.end());
  const bool all = named.erase("*") > 0 || (named.empty() && !ever_named_);
  const bool wildcard = rules_.wildcard && all;
  if (!named.empty()) ever_named_ = true;

  if (wildcard && !wildcard_) {
    sent_.clear();
    answer_due_ = true;
  }
  for (const std::string& name : named) {
    if (names_.contains(name)) continue;
    if (!wildcard) sent_.erase(name);
    answer_due_ = true;
  }
  if (!wildcard) {
    std::erase_if(sent_, [&](const auto& sent) { return !named.contains(sent.first); });
  }
  wildcard_ = wildcard;
  names_ = std::move(named);
}

EncodedResources Subscription::Wanted(const EncodedResources& current) const {
  if (wildcard_) return current;
  EncodedResources wanted;
  for (const std::string& name : names_) {
    auto found = current.find(name);
    if (found != current.end()) wanted.insert(*found);
  }
  return wanted;
}

std::optional<SubscriptionResponse> Subscription::Next(const EncodedResources& current,
                                                       const std::string& version) {
  EncodedResources wanted = Wanted(current);
  const bool answer_due = std::exchange(answer_due_, false);
  std::vector<std::string> changed;
  for (const auto& [name, resource] : wanted) {
    auto sent = sent_.find(name);
    if (sent == sent_.end() || !SameBytes(sent->second, resource)) changed.push_back(name);
  }
  // Nothing changed, and as many as before: so nothing went either.
  const bool same = changed.empty() && wanted.size() == sent_.size();
  // What is gone is forgotten, so that it is sent when it comes back.
  sent_ = std::move(wanted);
  if (rules_.full_state ? same && !answer_due : changed.empty()) return std::nullopt;

  SubscriptionResponse response = Respond(version);
  if (rules_.full_state) {
    response.resources = sent_;
  } else {
    for (const std::string& name : changed) response.resources.insert(*sent_.find(name));
  }
  response.changed = std::move(changed);
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
