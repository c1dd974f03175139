#include "proxy/xds/subscription.h"

#include <algorithm>

namespace weft {

bool Subscription::Wants(const std::string& name) const {
  return scope_ == Scope::kAll || std::binary_search(names_.begin(), names_.end(), name);
}

bool Subscription::SetNames(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  if (names == names_) return false;
  names_ = std::move(names);
  for (auto it = resources_.begin(); it != resources_.end();) {
    it = Wants(it->first) ? std::next(it) : resources_.erase(it);
  }
  must_send_ = true;
  return true;
}

void Subscription::OnStreamOpened() {
  stream_open_ = true;
  asked_on_stream_ = false;
  nonce_.clear();
  error_to_send_.reset();
  must_send_ = true;
}

std::optional<Subscription::Request> Subscription::NextRequest() {
  if (!stream_open_ || !must_send_) return std::nullopt;
  must_send_ = false;
  // An empty list means "all" to a server that never got names on this stream, so nothing is said
  // until there are some; after names it means "none any more".
  if (scope_ == Scope::kNamed && names_.empty() && !asked_on_stream_) return std::nullopt;
  asked_on_stream_ = true;
  Request request;
  request.version_info = version_;
  request.resource_names = names_;
  request.response_nonce = nonce_;
  request.error = std::exchange(error_to_send_, std::nullopt);
  return request;
}

ResourceMap Subscription::Merge(const Response& response) const {
  ResourceMap merged;
  if (scope_ == Scope::kNamed) merged = resources_;
  for (const auto& [name, bytes] : response.resources) {
    if (Wants(name)) merged[name] = bytes;
  }
  return merged;
}

void Subscription::Accept(const Response& response) {
  resources_ = Merge(response);
  version_ = response.version;
  nonce_ = response.nonce;
  last_error_.clear();
  error_to_send_.reset();
  must_send_ = true;
}

void Subscription::Reject(const Response& response, absl::string_view error) {
  nonce_ = response.nonce;
  last_error_ = std::string(error);
  error_to_send_ = last_error_;
  must_send_ = true;
}

std::vector<std::string> Subscription::missing() const {
  std::vector<std::string> missing;
  for (const std::string& name : names_) {
    if (resources_.find(name) == resources_.end()) missing.push_back(name);
  }
  return missing;
}

}  // namespace weft
