#include "proxy/config/snapshot.h"

#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft {

std::shared_ptr<const BalancingOptions> DefaultBalancing() {
  static const auto* options = [] {
    auto defaults = std::make_shared<BalancingOptions>();
    defaults->zone_aware.emplace();
    return new std::shared_ptr<const BalancingOptions>(std::move(defaults));
  }();
  return *options;
}

std::shared_ptr<const EndpointSet> NoEndpoints() {
  static const auto* endpoints =
      new std::shared_ptr<const EndpointSet>(std::make_shared<EndpointSet>());
  return *endpoints;
}

const ClusterConfig* Snapshot::FindCluster(absl::string_view name) const {
  auto it = clusters.find(name);
  return it == clusters.end() ? nullptr : it->second.get();
}

std::shared_ptr<const RouteTable> Snapshot::FindRoutes(const HttpManagerConfig& http) const {
  if (http.route_table != nullptr) return http.route_table;
  auto it = routes.find(http.route_config_name);
  return it == routes.end() ? nullptr : it->second;
}

std::string ListenerKey(const Address& address) {
  const uint16_t port = address.port();
  const char port_bytes[2] = {static_cast<char>(port >> 8), static_cast<char>(port & 0xff)};
  return absl::StrCat(address.ip_bytes(), absl::string_view(port_bytes, 2));
}

bool IpPrefix::Contains(absl::string_view ip) const {
  if (ip.size() != bytes.size()) return false;
  const size_t whole = length / 8;
  if (std::memcmp(ip.data(), bytes.data(), whole) != 0) return false;
  const uint32_t rest = length % 8;
  if (rest == 0) return true;
  const auto mask = static_cast<unsigned char>(0xff << (8 - rest));
  return ((static_cast<unsigned char>(ip[whole]) ^ static_cast<unsigned char>(bytes[whole])) &
          mask) == 0;
}

}  // namespace weft
