#include "controlplane/translate/locality.h"

#include <algorithm>
#include <map>

#include "absl/strings/str_split.h"
#include "api/istio/networking.pb.h"

namespace weft {
namespace {

using istio::networking::v1alpha3::LocalityLoadBalancerSetting;

// Shares are parts of a hundred of this many, so that small ones of many localities are told apart.
constexpr uint64_t kScale = 10000;

constexpr char kRegion[] = "topology.kubernetes.io/region";
constexpr char kZone[] = "topology.kubernetes.io/zone";
constexpr char kNetwork[] = "topology.istio.io/network";
constexpr char kCluster[] = "topology.istio.io/cluster";

bool IsOff(const LocalityLoadBalancerSetting* setting) {
  return setting != nullptr && setting->has_enabled() && !setting->enabled();
}

}  // namespace

bool MatchesLocality(const std::string& pattern, const Locality& locality) {
  const std::vector<std::string> parts = absl::StrSplit(pattern, '/');
  const std::string* const known[] = {&locality.region, &locality.zone};
  for (size_t i = 0; i < parts.size() && i < 2; ++i) {
    if (parts[i] == "*") return true;
    if (parts[i] != *known[i]) return false;
  }
  // Sub-zones are not known here, so that none is a certain one.
  return parts.size() < 3 || parts[2] == "*" || parts[2].empty();
}

LocalityRules::LocalityRules(const LocalityLoadBalancerSetting* setting,
                             const ClusterIdentity& self, const OutboundScope& client,
                             const std::vector<const Endpoint*>& endpoints)
    : setting_(setting), self_(self), client_(client) {
  if (IsOff(setting)) return;
  if (setting != nullptr) {
    for (const auto& rule : setting->distribute()) {
      if (!client.locality.stated() || !MatchesLocality(rule.from(), client.locality)) continue;
      distribute_ = &rule;
      return;
    }
    if (!setting->failover_priority().empty()) {
      order_ = Order::kByLabels;
      return;
    }
    for (const auto& rule : setting->failover()) {
      if (rule.from() == client.locality.region) failover_region_ = rule.to();
    }
  }
  const bool all_stated =
      std::all_of(endpoints.begin(), endpoints.end(),
                  [](const Endpoint* endpoint) { return endpoint->locality.stated(); });
  if (client.locality.stated() && all_stated) order_ = Order::kByLocality;
}

int LocalityRules::DistanceTo(const Endpoint& endpoint) const {
  switch (order_) {
    case Order::kByLocality:
      return ByLocality(endpoint.locality);
    case Order::kByLabels:
      return ByLabels(endpoint);
    case Order::kNone:
      break;
  }
  return 0;
}

// 0 in the same zone, 1 in the same region, 2 where that fails over to, 3 elsewhere.
int LocalityRules::ByLocality(const Locality& locality) const {
  if (locality.region == client_.locality.region) {
    return locality.zone == client_.locality.zone ? 0 : 1;
  }
  return !failover_region_.empty() && locality.region == failover_region_ ? 2 : 3;
}

// The fewer of the labels are the client's too, from the first on without a gap, the farther.
int LocalityRules::ByLabels(const Endpoint& endpoint) const {
  int left = setting_->failover_priority_size();
  for (const std::string& label : setting_->failover_priority()) {
    const size_t equals = label.find('=');
    const std::string key = label.substr(0, equals);
    const std::string wanted =
        equals == std::string::npos ? ClientLabel(key) : label.substr(equals + 1);
    if (LabelOf(endpoint, key) != wanted) break;
    --left;
  }
  return left;
}

std::string LocalityRules::ClientLabel(const std::string& key) const {
  if (key == kRegion) return client_.locality.region;
  if (key == kZone) return client_.locality.zone;
  if (key == kNetwork) return client_.cluster.empty() ? self_.network : client_.network;
  if (key == kCluster) return client_.cluster.empty() ? self_.cluster : client_.cluster;
  auto found = client_.labels.find(key);
  return found == client_.labels.end() ? "" : found->second;
}

std::string LocalityRules::LabelOf(const Endpoint& endpoint, const std::string& key) const {
  if (key == kRegion) return endpoint.locality.region;
  if (key == kZone) return endpoint.locality.zone;
  if (key == kNetwork) return endpoint.network.empty() ? self_.network : endpoint.network;
  if (key == kCluster) return endpoint.cluster;
  auto found = endpoint.labels.find(key);
  return found == endpoint.labels.end() ? "" : found->second;
}

std::optional<std::vector<uint32_t>> LocalityRules::Distribute(
    const std::vector<std::pair<Locality, uint32_t>>& localities) const {
  if (distribute_ == nullptr) return std::nullopt;
  std::vector<uint32_t> shares(localities.size(), 0);
  std::vector<bool> taken(localities.size(), false);
  // The longer a pattern, the more exactly it says where; protobuf's maps are in no order.
  std::vector<std::pair<std::string, uint32_t>> patterns(distribute_->to().begin(),
                                                         distribute_->to().end());
  std::sort(patterns.begin(), patterns.end(), [](const auto& a, const auto& b) {
    return a.first.size() != b.first.size() ? a.first.size() > b.first.size() : a.first < b.first;
  });
  for (const auto& [pattern, percent] : patterns) {
    std::vector<size_t> members;
    uint64_t total = 0;
    for (size_t i = 0; i < localities.size(); ++i) {
      if (taken[i] || !MatchesLocality(pattern, localities[i].first)) continue;
      taken[i] = true;
      members.push_back(i);
      total += localities[i].second;
    }
    for (size_t i : members) {
      const uint64_t share = kScale * percent * localities[i].second / std::max<uint64_t>(total, 1);
      // What gets anything at all gets at least the smallest share there is.
      shares[i] = percent == 0 ? 0 : static_cast<uint32_t>(std::max<uint64_t>(share, 1));
    }
  }
  return shares;
}

}  // namespace weft
