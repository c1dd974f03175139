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

constexpr int kLocalityPlaces = 4;  // of ByLocality

constexpr char kRegion[] = "topology.kubernetes.io/region";
constexpr char kZone[] = "topology.kubernetes.io/zone";
constexpr char kNetwork[] = "topology.istio.io/network";
constexpr char kCluster[] = "topology.istio.io/cluster";

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

LocalityRules::LocalityRules(const LocalityLoadBalancerSetting* setting, const Service& service,
                             const World& world, const OutboundScope& client,
                             const std::vector<const Endpoint*>& endpoints)
    : service_(service), world_(world), client_(client) {
  if (setting != nullptr) {
    ApplySetting(*setting);
  } else if (service.prefers_close) {
    labels_ = {kNetwork, kRegion, kZone};
    by_locality_ = false;
  } else if (service.affinity == ServiceAffinity::kNone) {
    by_locality_ = false;
  }
  by_locality_ &= client.locality.stated() &&
                  std::all_of(endpoints.begin(), endpoints.end(),
                              [](const Endpoint* endpoint) { return endpoint->locality.stated(); });
}

void LocalityRules::ApplySetting(const LocalityLoadBalancerSetting& setting) {
  if (setting.has_enabled() && !setting.enabled()) {
    by_locality_ = false;
    return;
  }
  for (const auto& rule : setting.distribute()) {
    if (!client_.locality.stated() || !MatchesLocality(rule.from(), client_.locality)) continue;
    distribute_ = &rule;
    break;
  }
  falls_over_ = !setting.failover().empty() || !setting.failover_priority().empty();
  for (const auto& rule : setting.failover()) {
    if (rule.from() == client_.locality.region) failover_region_ = rule.to();
  }
  labels_.assign(setting.failover_priority().begin(), setting.failover_priority().end());
  // Labels alone take the place of localities; with a failover both count.
  by_locality_ = labels_.empty() || !setting.failover().empty();
}

Distance LocalityRules::DistanceTo(const Endpoint& endpoint) const {
  Distance distance;
  const auto peer = world_.peers.find(endpoint.cluster);
  const bool linked = peer != world_.peers.end();
  const bool other = client_.cluster.empty() ? linked : endpoint.cluster != client_.cluster;
  distance.draining = linked ? peer->second->draining : world_.self->draining;
  if (service_.affinity == ServiceAffinity::kLocal) distance.averse = other;
  if (service_.affinity == ServiceAffinity::kRemote) distance.averse = !other;
  if (linked && other) distance.cost = peer->second->cost;
  distance.place = PlaceOf(endpoint);
  return distance;
}

int LocalityRules::PlaceOf(const Endpoint& endpoint) const {
  if (distribute_ != nullptr && (!falls_over_ || GetsShare(endpoint.locality))) return 0;
  const int labels = ByLabels(endpoint);
  // Beyond all that a distribution names.
  const int first = distribute_ != nullptr ? 1 : 0;
  return first + (by_locality_ ? kLocalityPlaces * labels + ByLocality(endpoint.locality) : labels);
}

bool LocalityRules::GetsShare(const Locality& locality) const {
  return std::any_of(distribute_->to().begin(), distribute_->to().end(), [&](const auto& to) {
    return to.second > 0 && MatchesLocality(to.first, locality);
  });
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
  int left = static_cast<int>(labels_.size());
  for (const std::string& label : labels_) {
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
  if (key == kNetwork) return client_.cluster.empty() ? world_.self->network : client_.network;
  if (key == kCluster) return client_.cluster.empty() ? world_.self->cluster : client_.cluster;
  auto found = client_.labels.find(key);
  return found == client_.labels.end() ? "" : found->second;
}

std::string LocalityRules::LabelOf(const Endpoint& endpoint, const std::string& key) const {
  if (key == kRegion) return endpoint.locality.region;
  if (key == kZone) return endpoint.locality.zone;
  if (key == kNetwork) return endpoint.network.empty() ? world_.self->network : endpoint.network;
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
  // These come after all of the others, so only their proportions count.
  for (size_t i = 0; falls_over_ && i < localities.size(); ++i) {
    if (!taken[i]) shares[i] = localities[i].second;
  }
  return shares;
}

}  // namespace weft
