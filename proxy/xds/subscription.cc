#include "proxy/xds/subscription.h"

#include <algorithm>
#include <utility>

namespace weft {

bool Subscription::Wants(const std::string& name) const {
  return scope_ == Scope::kAll || std::binary_search(names_.begin(), names_.end(), name);
}

bool Subscription::SetNames(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names == names_) return false;
  const std::vector<std::string> before = std::exchange(names_, std::move(names));
  for (const std::string& name : before) {
    if (Wants(name)) continue;
    held_.erase(name);
    if (asked_.count(name) != 0) forgotten_.insert(name);
  }
  must_send_ = names_changed_ = true;
  return true;
}

void Subscription::OnStreamOpened() {
  stream_open_ = true;
  asked_on_stream_ = false;
  nonce_.clear();
  error_to_send_.reset();
  asked_.clear();
  forgotten_.clear();
  must_send_ = names_changed_ = true;
}

std::optional<Subscription::Request> Subscription::NextRequest() {
  if (!stream_open_ || !must_send_) return std::nullopt;
  must_send_ = false;
  // An empty list means "all" to a server that never got names on this stream,
  // so nothing is said until there are some; after names it means "none any
  // more".
  if (scope_ == Scope::kNamed && names_.empty() && !asked_on_stream_) return std::nullopt;
  Request request;
  request.response_nonce = nonce_;
  request.error = std::exchange(error_to_send_, std::nullopt);
  if (form_ == Form::kStateOfTheWorld) {
    FillNames(request);
  } else {
    FillChanges(request);
  }
  asked_on_stream_ = true;
  return request;
}

void Subscription::FillNames(Request& request) {
  request.version_info = version_;
  request.resource_names.assign(names_.begin(), names_.end());
}

void Subscription::FillChanges(Request& request) {
  if (!asked_on_stream_) request.initial_versions = held_;
  // A nonce acknowledges one response; said again it would be stale.
  nonce_.clear();
  // Most requests only acknowledge.
  if (!std::exchange(names_changed_, false)) return;
  for (const std::string& name : names_) {
    if (asked_.insert(name).second || forgotten_.count(name) != 0) {
      request.subscribe.push_back(name);
    }
  }
  forgotten_.clear();
  for (auto it = asked_.begin(); it != asked_.end();) {
    if (Wants(*it)) {
      ++it;
      continue;
    }
    request.unsubscribe.push_back(*it);
    it = asked_.erase(it);
  }
}

void Subscription::Accept(const Response& response) {
  if (form_ == Form::kStateOfTheWorld && scope_ == Scope::kAll) held_.clear();
  for (const Resource& resource : response.resources) {
    if (Wants(resource.name)) held_[resource.name] = resource.version;
  }
  for (const std::string& name : response.removed) held_.erase(name);
  version_ = response.version;
  nonce_ = response.nonce;
  answered_ = true;
  last_error_.clear();
  error_to_send_.reset();
  must_send_ = true;
}

// The versions of what it brought are not kept, of none of it: the server sends
// that again on the next stream. What it took away is gone all the same.
void Subscription::Reject(const Response& response, absl::string_view error) {
  for (const std::string& name : response.removed) held_.erase(name);
  nonce_ = response.nonce;
  last_error_ = std::string(error);
  error_to_send_ = last_error_;
  must_send_ = true;
}

std::vector<std::string> Subscription::missing() const {
  std::vector<std::string> missing;
  for (const std::string& name : names_) {
    if (held_.find(name) == held_.end()) missing.push_back(name);
  }
  return missing;
}

}  // namespace weft
