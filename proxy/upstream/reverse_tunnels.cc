#include "proxy/upstream/reverse_tunnels.h"

#include <utility>

namespace weft {

ReverseTunnels::Registration::Registration(ReverseTunnels& all, std::string trust_domain,
                                           H2Connection& connection)
    : all_(all), trust_domain_(std::move(trust_domain)), connection_(connection) {
  all_.by_trust_domain_[trust_domain_].push_back(&connection_);
}

ReverseTunnels::Registration::~Registration() {
  const auto found = all_.by_trust_domain_.find(trust_domain_);
  found->second.remove(&connection_);
  if (found->second.empty()) all_.by_trust_domain_.erase(found);
}

H2Connection* ReverseTunnels::Pick(const std::string& trust_domain) {
  const auto found = by_trust_domain_.find(trust_domain);
  if (found == by_trust_domain_.end()) return nullptr;
  std::list<H2Connection*>& connections = found->second;
  for (size_t i = 0; i < connections.size(); ++i) {
    connections.splice(connections.end(), connections, connections.begin());
    H2Connection* connection = connections.back();
    if (!connection->going_away() && connection->CanOpen()) return connection;
  }
  return nullptr;
}

std::map<std::string, uint64_t> ReverseTunnels::Counts() const {
  std::map<std::string, uint64_t> counts;
  for (const auto& [trust_domain, connections] : by_trust_domain_) {
    counts[trust_domain] = connections.size();
  }
  return counts;
}

}  // namespace weft
