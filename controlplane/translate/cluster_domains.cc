#include "controlplane/translate/cluster_domains.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft {
namespace {

bool Matches(absl::string_view pattern, absl::string_view name) {
  if (pattern == "*") return true;
  if (absl::StartsWith(pattern, "*")) return absl::EndsWith(name, pattern.substr(1));
  if (absl::EndsWith(pattern, "*")) {
    return absl::StartsWith(name, pattern.substr(0, pattern.size() - 1));
  }
  return name == pattern;
}

bool MatchesAny(const std::vector<std::string>& patterns, const std::string& name) {
  return std::any_of(patterns.begin(), patterns.end(),
                     [&](const std::string& pattern) { return Matches(pattern, name); });
}

}  // namespace

ClusterDomains::ClusterDomains(const World& world) : own_trust_domain_(world.self->trust_domain) {
  clusters_[own_trust_domain_].insert(world.self->cluster);
  for (const auto& [name, peer] : world.peers) clusters_[peer->trust_domain].insert(name);
}

std::set<std::string> ClusterDomains::CertainlyOf(const std::vector<std::string>& patterns) const {
  std::set<std::string> domains;
  for (const auto& [domain, clusters] : clusters_) {
    if (std::all_of(clusters.begin(), clusters.end(),
                    [&](const std::string& cluster) { return MatchesAny(patterns, cluster); })) {
      domains.insert(domain);
    }
  }
  return domains;
}

std::set<std::string> ClusterDomains::PossiblyOf(const std::vector<std::string>& patterns) const {
  std::set<std::string> domains;
  for (const auto& [domain, clusters] : clusters_) {
    if (std::any_of(clusters.begin(), clusters.end(),
                    [&](const std::string& cluster) { return MatchesAny(patterns, cluster); })) {
      domains.insert(domain);
    }
  }
  return domains;
}

std::string ClusterDomains::WhyUnclear(const std::string& pattern) const {
  bool known = false;
  for (const auto& [domain, clusters] : clusters_) {
    for (const std::string& cluster : clusters) {
      if (!Matches(pattern, cluster)) continue;
      known = true;
      if (CertainlyOf({pattern}).contains(domain)) continue;
      return absl::StrCat("cluster '", cluster, "' shares the trust domain '", domain, "' with ",
                          "others (", absl::StrJoin(clusters, ", "),
                          "): its callers cannot be told from theirs, so whatever allows less "
                          "is done");
    }
  }
  return known ? "" : absl::StrCat("no cluster '", pattern, "' is linked: no caller is of it");
}

}  // namespace weft
