#include "proxy/config/compile_endpoints.h"

#include <google/protobuf/struct.pb.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/config/compile_address.h"
#include "proxy/config/compile_subsets.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace core = envoy::config::core::v3;
namespace endpoint = envoy::config::endpoint::v3;

// Envoy's bound: priorities are small numbers, and a hole costs an empty entry here.
constexpr uint32_t kMaxPriority = 128;
// A gateway speaks for many pods; a number above this is a mistake, not a cluster.
constexpr double kMaxFanout = 1e6;

const google::protobuf::Struct* FindMetadata(const core::Metadata& metadata,
                                             const std::string& filter) {
  auto it = metadata.filter_metadata().find(filter);
  return it == metadata.filter_metadata().end() ? nullptr : &it->second;
}

bool Satisfies(const google::protobuf::Struct* metadata, const TransportSocketChoice& choice) {
  for (const auto& [key, value] : choice.match) {
    if (metadata == nullptr) return false;
    auto it = metadata->fields().find(key);
    if (it == metadata->fields().end() || it->second.string_value() != value) return false;
  }
  return true;
}

void ChooseTransportSocket(const core::Metadata& metadata, const ClusterConfig& cluster,
                           EndpointConfig& to) {
  const google::protobuf::Struct* wanted = FindMetadata(metadata, "envoy.transport_socket_match");
  for (const TransportSocketChoice& choice : cluster.transport_sockets) {
    if (!Satisfies(wanted, choice)) continue;
    to.tls = choice.tls;
    to.proxy_protocol = choice.proxy_protocol;
    to.tunnel = choice.tunnel;
    absl::StrAppend(&to.key, "/", choice.name);
    return;
  }
  to.tls = cluster.tls;
  to.proxy_protocol = cluster.proxy_protocol;
  to.tunnel = cluster.tunnel;
}

EndpointHealth HealthOf(core::HealthStatus status) {
  switch (status) {
    case core::UNHEALTHY:
    case core::TIMEOUT:
      return EndpointHealth::kUnhealthy;
    case core::DRAINING:
      return EndpointHealth::kDraining;
    case core::DEGRADED:
      return EndpointHealth::kDegraded;
    default:
      return EndpointHealth::kHealthy;
  }
}

uint32_t FanoutOf(const core::Metadata& metadata) {
  const google::protobuf::Struct* weft = FindMetadata(metadata, "weft");
  if (weft == nullptr) return 1;
  auto it = weft->fields().find("fanout");
  if (it == weft->fields().end()) return 1;
  const double fanout = it->second.number_value();
  return fanout >= 1 ? static_cast<uint32_t>(std::min(fanout, kMaxFanout)) : 1;
}

absl::Status CompileEndpointAddress(const endpoint::Endpoint& from, ClusterType type,
                                    EndpointConfig& to) {
  to.host_name = from.hostname();
  if (type == ClusterType::kStrictDns || type == ClusterType::kLogicalDns) {
    const core::SocketAddress& host = from.address().socket_address();
    if (host.address().empty()) return Invalid("address.socket_address", "needs a host to resolve");
    if (host.port_value() > 65535) {
      return Invalid("address.socket_address.port_value", "is above 65535");
    }
    to.port = static_cast<uint16_t>(host.port_value());
    to.host_name = host.address();
    // The key comes with the address (resolved_endpoints.cc). An address needs no resolving.
    absl::StatusOr<Address> address = Address::Ip(to.host_name, to.port);
    if (address.ok()) to.address = *address;
    return absl::OkStatus();
  }
  absl::StatusOr<Address> address = CompileAddress(from.address());
  if (!address.ok()) return Under("address", address.status());
  to.address = *address;
  to.port = address->port();
  to.key = address->ToString();
  return absl::OkStatus();
}

absl::Status CompileCheckTarget(const endpoint::Endpoint::HealthCheckConfig& from,
                                EndpointConfig& to) {
  auto target = std::make_shared<CheckTarget>();
  if (from.port_value() > 65535) return Invalid("port_value", "is above 65535");
  target->port = static_cast<uint16_t>(from.port_value());
  target->host_name = from.hostname();
  target->disabled = from.disable_active_health_check();
  if (from.has_address()) {
    absl::StatusOr<Address> address = CompileAddress(from.address());
    if (!address.ok()) return Under("address", address.status());
    target->address = *address;
  }
  to.check_target = std::move(target);
  return absl::OkStatus();
}

absl::StatusOr<EndpointConfig> CompileEndpoint(const endpoint::LbEndpoint& from,
                                               const ClusterConfig& cluster) {
  if (!from.has_endpoint()) return Invalid("endpoint", "must be set");
  EndpointConfig to;
  absl::Status status = CompileEndpointAddress(from.endpoint(), cluster.type, to);
  if (!status.ok()) return Under("endpoint", status);
  if (from.has_load_balancing_weight()) {
    to.weight = from.load_balancing_weight().value();
    if (to.weight == 0) return Invalid("load_balancing_weight", "must be at least 1");
  }
  if (cluster.health_check != nullptr && from.endpoint().has_health_check_config()) {
    status = CompileCheckTarget(from.endpoint().health_check_config(), to);
    if (!status.ok()) return Under("endpoint.health_check_config", status);
  }
  to.health = HealthOf(from.health_status());
  if (cluster.subsets != nullptr) to.labels = CompileLabels(from.metadata(), *cluster.subsets);
  to.fanout = FanoutOf(from.metadata());
  ChooseTransportSocket(from.metadata(), cluster, to);
  return to;
}

absl::Status CompileLocality(const endpoint::LocalityLbEndpoints& from,
                             const ClusterConfig& cluster, EndpointSet& to) {
  if (from.priority() > kMaxPriority) {
    return Invalid("priority", absl::StrCat("must be at most ", kMaxPriority));
  }
  LocalityConfig locality;
  locality.locality = {from.locality().region(), from.locality().zone(),
                       from.locality().sub_zone()};
  locality.weight = from.load_balancing_weight().value();
  locality.first = to.endpoints.size();
  locality.count = from.lb_endpoints_size();
  absl::Status status =
      CompileEach("lb_endpoints", from.lb_endpoints(), to.endpoints,
                  [&](const endpoint::LbEndpoint& one) { return CompileEndpoint(one, cluster); });
  if (!status.ok()) return status;
  if (to.priorities.size() <= from.priority()) to.priorities.resize(from.priority() + 1);
  to.priorities[from.priority()].localities.push_back(std::move(locality));
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<EndpointSet>> CompileEndpoints(
    const endpoint::ClusterLoadAssignment& from, const ClusterConfig& cluster) {
  auto to = std::make_shared<EndpointSet>();
  if (from.policy().has_overprovisioning_factor()) {
    to->overprovisioning_factor = from.policy().overprovisioning_factor().value();
    if (to->overprovisioning_factor == 0) {
      return Invalid("policy.overprovisioning_factor", "must be above 0");
    }
  }
  for (int i = 0; i < from.endpoints_size(); ++i) {
    absl::Status status = CompileLocality(from.endpoints(i), cluster, *to);
    if (!status.ok()) return Under(Index("endpoints", i), status);
  }
  return to;
}

}  // namespace weft
