#include <google/protobuf/util/json_util.h>
#include <sys/socket.h>

#include <algorithm>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/http_protocol_options.pb.h"
#include "proxy/config/compile.h"
#include "proxy/config/compile_address.h"
#include "proxy/config/compile_balancing.h"
#include "proxy/config/compile_endpoints.h"
#include "proxy/config/compile_health.h"
#include "proxy/config/compile_http2.h"
#include "proxy/config/compile_tls.h"
#include "proxy/config/fields.h"
#include "proxy/config/hash_table.h"
#include "proxy/config/subsets.h"

namespace weft {
namespace {

namespace cluster = envoy::config::cluster::v3;
namespace core = envoy::config::core::v3;
using envoy::extensions::upstreams::http::v3::HttpProtocolOptions;

constexpr char kHttpProtocolOptions[] = "envoy.extensions.upstreams.http.v3.HttpProtocolOptions";

absl::StatusOr<ClusterType> TypeOf(const cluster::Cluster& from) {
  if (from.has_cluster_type()) {
    return Invalid("cluster_type",
                   absl::StrCat("unsupported cluster type '", from.cluster_type().name(), "'"));
  }
  switch (from.type()) {
    case cluster::Cluster::STATIC:
      return ClusterType::kStatic;
    case cluster::Cluster::STRICT_DNS:
      return ClusterType::kStrictDns;
    case cluster::Cluster::LOGICAL_DNS:
      return ClusterType::kLogicalDns;
    case cluster::Cluster::EDS:
      return ClusterType::kEds;
    case cluster::Cluster::ORIGINAL_DST:
      return ClusterType::kOriginalDst;
    default:
      return Invalid("type", absl::StrCat("unknown value ", static_cast<int>(from.type())));
  }
}

absl::StatusOr<TransportSocketChoice> CompileChoice(
    const cluster::Cluster::TransportSocketMatch& from, const Secrets& secrets) {
  TransportSocketChoice to;
  to.name = from.name();
  for (const auto& [key, value] : from.match().fields()) {
    if (value.kind_case() != google::protobuf::Value::kStringValue) {
      return Invalid(absl::StrCat("match.", key), "only strings are supported");
    }
    to.match.emplace_back(key, value.string_value());
  }
  std::sort(to.match.begin(), to.match.end());
  absl::StatusOr<UpstreamSocket> socket = CompileUpstreamSocket(from.transport_socket(), secrets);
  if (!socket.ok()) return Under("transport_socket", socket.status());
  to.tls = std::move(socket->tls);
  to.proxy_protocol = socket->proxy_protocol;
  to.tunnel = std::move(socket->tunnel);
  return to;
}

absl::Status CompileTransportSockets(const cluster::Cluster& from, const Secrets& secrets,
                                     ClusterConfig& to) {
  if (from.has_transport_socket()) {
    absl::StatusOr<UpstreamSocket> socket = CompileUpstreamSocket(from.transport_socket(), secrets);
    if (!socket.ok()) return Under("transport_socket", socket.status());
    to.tls = std::move(socket->tls);
    to.proxy_protocol = socket->proxy_protocol;
    to.tunnel = std::move(socket->tunnel);
  }
  return CompileEach("transport_socket_matches", from.transport_socket_matches(),
                     to.transport_sockets, [&](const cluster::Cluster::TransportSocketMatch& one) {
                       return CompileChoice(one, secrets);
                     });
}

void CompileKeepalive(const core::TcpKeepalive& from, TcpKeepalive& to) {
  // The kernel takes no more than 32767 s and 127 probes.
  const auto set = [](const google::protobuf::UInt32Value& value, uint32_t most, int& field) {
    if (value.value() > 0) field = static_cast<int>(std::min(value.value(), most));
  };
  set(from.keepalive_time(), 32767, to.idle_seconds);
  set(from.keepalive_interval(), 32767, to.interval_seconds);
  set(from.keepalive_probes(), 127, to.probes);
}

absl::Status CompileBind(const core::BindConfig& from, ClusterConfig& to) {
  if (from.has_source_address()) {
    absl::StatusOr<Address> address = CompileSocketAddress(from.source_address());
    if (!address.ok()) return Under("source_address", address.status());
    to.source_addresses.push_back(*address);
  }
  for (int i = 0; i < from.extra_source_addresses_size(); ++i) {
    const core::ExtraSourceAddress& extra = from.extra_source_addresses(i);
    const std::string field = Index("extra_source_addresses", i);
    if (extra.has_socket_options()) {
      return Invalid(absl::StrCat(field, ".socket_options"), "is not supported by this proxy");
    }
    absl::StatusOr<Address> address = CompileSocketAddress(extra.address());
    if (!address.ok()) return Under(absl::StrCat(field, ".address"), address.status());
    to.source_addresses.push_back(*address);
  }
  for (int i = 0; i < from.socket_options_size(); ++i) {
    const core::SocketOption& option = from.socket_options(i);
    if (option.level() != SOL_SOCKET || option.name() != SO_MARK || !option.has_int_value()) {
      return Invalid(Index("socket_options", i), "only SO_MARK with int_value is supported");
    }
    to.mark = static_cast<uint32_t>(option.int_value());
  }
  return absl::OkStatus();
}

void CompileCommonHttp(const core::HttpProtocolOptions& from, ClusterConfig& to) {
  if (from.has_idle_timeout()) to.idle_timeout = ToTimeout(from.idle_timeout());
  if (from.has_max_requests_per_connection()) {
    to.max_requests_per_connection = from.max_requests_per_connection().value();
  }
}

absl::Status CompileUpstreamProtocol(const HttpProtocolOptions& from, ClusterConfig& to) {
  const auto http2 = [&](absl::string_view field, const core::Http2ProtocolOptions& options) {
    absl::Status status = CompileHttp2(options, to.http2);
    return status.ok() ? status : Under(absl::StrCat(field, ".http2_protocol_options"), status);
  };
  switch (from.upstream_protocol_options_case()) {
    case HttpProtocolOptions::kExplicitHttpConfig:
      to.protocol = from.explicit_http_config().has_http2_protocol_options()
                        ? UpstreamProtocol::kHttp2
                        : UpstreamProtocol::kHttp1;
      return http2("explicit_http_config", from.explicit_http_config().http2_protocol_options());
    case HttpProtocolOptions::kUseDownstreamProtocolConfig:
      to.protocol = UpstreamProtocol::kDownstream;
      return http2("use_downstream_protocol_config",
                   from.use_downstream_protocol_config().http2_protocol_options());
    case HttpProtocolOptions::kAutoConfig:
      to.protocol = UpstreamProtocol::kAlpn;
      return http2("auto_config", from.auto_config().http2_protocol_options());
    case HttpProtocolOptions::UPSTREAM_PROTOCOL_OPTIONS_NOT_SET:
      break;
  }
  return absl::OkStatus();
}

// How HTTP is spoken, in the present spelling or in the deprecated fields of the cluster itself.
absl::Status CompileProtocol(const cluster::Cluster& from, ClusterConfig& to) {
  if (from.has_http2_protocol_options()) {
    to.protocol = UpstreamProtocol::kHttp2;
    absl::Status status = CompileHttp2(from.http2_protocol_options(), to.http2);
    if (!status.ok()) return Under("http2_protocol_options", status);
  }
  if (from.has_max_requests_per_connection()) {
    to.max_requests_per_connection = from.max_requests_per_connection().value();
  }
  CompileCommonHttp(from.common_http_protocol_options(), to);
  auto it = from.typed_extension_protocol_options().find(kHttpProtocolOptions);
  if (it == from.typed_extension_protocol_options().end()) return absl::OkStatus();
  absl::StatusOr<HttpProtocolOptions> options = Unpack<HttpProtocolOptions>(it->second);
  if (!options.ok()) {
    return Under(absl::StrCat("typed_extension_protocol_options['", kHttpProtocolOptions, "']"),
                 options.status());
  }
  CompileCommonHttp(options->common_http_protocol_options(), to);
  absl::Status status = CompileUpstreamProtocol(*options, to);
  if (status.ok()) return status;
  return Under(absl::StrCat("typed_extension_protocol_options['", kHttpProtocolOptions, "']"),
               status);
}

absl::StatusOr<dns::LookupFamily> FamilyOf(const cluster::Cluster& from) {
  switch (from.dns_lookup_family()) {
    // Envoy's AUTO prefers IPv6; a name with both is mostly reached by IPv4, localhost above all.
    case cluster::Cluster::AUTO:
    case cluster::Cluster::V4_PREFERRED:
      return dns::LookupFamily::kV4Preferred;
    case cluster::Cluster::V4_ONLY:
      return dns::LookupFamily::kV4Only;
    case cluster::Cluster::V6_ONLY:
      return dns::LookupFamily::kV6Only;
    case cluster::Cluster::ALL:
      return dns::LookupFamily::kAll;
    default:
      return Invalid("dns_lookup_family",
                     absl::StrCat("unknown value ", static_cast<int>(from.dns_lookup_family())));
  }
}

absl::StatusOr<absl::Duration> RefreshInterval(absl::string_view field,
                                               const google::protobuf::Duration& from) {
  const absl::Duration interval = ToDuration(from);
  // Envoy's bound: less would be a flood of questions.
  if (interval <= absl::Milliseconds(1)) return Invalid(field, "must be above 1ms");
  return interval;
}

absl::Status CompileFailureRefresh(const cluster::Cluster::RefreshRate& from, DnsRefresh& to) {
  absl::StatusOr<absl::Duration> base = RefreshInterval("base_interval", from.base_interval());
  if (!base.ok()) return base.status();
  to.failure_base = *base;
  to.failure_max = 10 * *base;  // Envoy's default
  if (!from.has_max_interval()) return absl::OkStatus();
  absl::StatusOr<absl::Duration> most = RefreshInterval("max_interval", from.max_interval());
  if (!most.ok()) return most.status();
  if (*most < *base) return Invalid("max_interval", "must not be below base_interval");
  to.failure_max = *most;
  return absl::OkStatus();
}

absl::Status CompileDns(const cluster::Cluster& from, ClusterConfig& to) {
  if (!IsDns(to.type)) return absl::OkStatus();
  if (!from.dns_resolvers().empty()) {
    return Invalid("dns_resolvers", "is not supported; names are asked of /etc/resolv.conf's");
  }
  absl::StatusOr<dns::LookupFamily> family = FamilyOf(from);
  if (!family.ok()) return family.status();
  to.dns_family = *family;
  DnsRefresh& refresh = to.dns_refresh;
  refresh.respect_ttl = from.respect_dns_ttl();
  if (from.has_dns_refresh_rate()) {
    absl::StatusOr<absl::Duration> rate =
        RefreshInterval("dns_refresh_rate", from.dns_refresh_rate());
    if (!rate.ok()) return rate.status();
    refresh.rate = *rate;
  }
  refresh.failure_base = refresh.failure_max = refresh.rate;
  if (!from.has_dns_failure_refresh_rate()) return absl::OkStatus();
  absl::Status status = CompileFailureRefresh(from.dns_failure_refresh_rate(), refresh);
  return status.ok() ? status : Under("dns_failure_refresh_rate", status);
}

std::string MetadataJson(const core::Metadata& metadata) {
  std::string json;
  if (metadata.filter_metadata().empty()) return json;
  if (!google::protobuf::util::MessageToJsonString(metadata, &json).ok()) json.clear();
  return json;
}

absl::Status CompileHealth(const cluster::Cluster& from, ClusterConfig& to) {
  if (from.has_outlier_detection()) {
    absl::StatusOr<std::shared_ptr<const OutlierConfig>> outlier =
        CompileOutlier(from.outlier_detection());
    if (!outlier.ok()) return Under("outlier_detection", outlier.status());
    to.outlier = *std::move(outlier);
  }
  if (from.health_checks().empty()) return absl::OkStatus();
  if (from.health_checks_size() > 1) return Invalid("health_checks[1]", "only one is supported");
  if (to.type == ClusterType::kOriginalDst) {
    return Invalid("health_checks", "an ORIGINAL_DST cluster has no endpoints to check");
  }
  absl::StatusOr<std::shared_ptr<const HealthCheckConfig>> check =
      CompileHealthCheck(from.health_checks(0));
  if (!check.ok()) return Under("health_checks[0]", check.status());
  to.health_check = *std::move(check);
  return absl::OkStatus();
}

// Everything but the endpoints.
absl::Status CompileSettings(const cluster::Cluster& from, const Secrets& secrets,
                             ClusterConfig& to) {
  to.name = from.name();
  if (to.name.empty()) return Invalid("name", "must not be empty");
  absl::StatusOr<ClusterType> type = TypeOf(from);
  if (!type.ok()) return type.status();
  to.type = *type;
  absl::Status status = CompileBalancing(from, to);
  if (!status.ok()) return status;
  if (to.type == ClusterType::kEds) {
    const std::string& service = from.eds_cluster_config().service_name();
    to.eds_service_name = service.empty() ? to.name : service;
  }
  if (from.has_connect_timeout()) {
    to.connect_timeout = ToDuration(from.connect_timeout());
    if (to.connect_timeout <= absl::ZeroDuration()) {
      return Invalid("connect_timeout", "must be above 0");
    }
  }
  status = CompileDns(from, to);
  if (!status.ok()) return status;
  status = CompileHealth(from, to);
  if (!status.ok()) return status;
  status = CompileBind(from.upstream_bind_config(), to);
  if (!status.ok()) return Under("upstream_bind_config", status);
  status = CompileProtocol(from, to);
  if (!status.ok()) return status;
  status = CompileCircuitBreakers(from.circuit_breakers(), to);
  if (!status.ok()) return Under("circuit_breakers", status);
  to.metadata_json = MetadataJson(from.metadata());
  CompileKeepalive(from.upstream_connection_options().tcp_keepalive(), to.keepalive);
  return CompileTransportSockets(from, secrets, to);
}

// Endpoints start as failing their checks, until one says otherwise.
void SetEndpointSet(std::shared_ptr<EndpointSet> endpoints, ClusterConfig& to) {
  if (to.health_check != nullptr) {
    for (EndpointConfig& one : endpoints->endpoints) {
      const bool checked = one.check_target == nullptr || !one.check_target->disabled;
      if (checked) one.checked = CheckedHealth::kFailing;
    }
  }
  endpoints->tables = MakeHashTables(to, *endpoints, nullptr);
  if (to.subsets != nullptr) endpoints->subsets = MakeSubsets(to, *endpoints);
  to.endpoints = std::move(endpoints);
}

absl::Status SetEndpoints(const envoy::config::endpoint::v3::ClusterLoadAssignment& from,
                          ClusterConfig& to) {
  absl::StatusOr<std::shared_ptr<EndpointSet>> endpoints = CompileEndpoints(from, to);
  if (!endpoints.ok()) return endpoints.status();
  if (!IsDns(to.type)) {
    SetEndpointSet(*std::move(endpoints), to);
    return absl::OkStatus();
  }
  if (to.type == ClusterType::kLogicalDns && (*endpoints)->endpoints.size() != 1) {
    return Invalid("endpoints", "a LOGICAL_DNS cluster needs exactly one; STRICT_DNS takes many");
  }
  to.named = *std::move(endpoints);
  SetEndpointSet(ResolvedEndpoints(to, {}), to);
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ClusterConfig>> CompileCluster(
    const cluster::Cluster& from,
    const envoy::config::endpoint::v3::ClusterLoadAssignment* assignment, const Secrets& secrets) {
  auto to = std::make_shared<ClusterConfig>();
  absl::Status status = CompileSettings(from, secrets, *to);
  if (!status.ok()) return status;
  status = SetEndpoints(assignment != nullptr ? *assignment : from.load_assignment(), *to);
  if (!status.ok()) return assignment != nullptr ? status : Under("load_assignment", status);
  return to;
}

absl::StatusOr<std::shared_ptr<const ClusterConfig>> WithEndpoints(
    const ClusterConfig& cluster,
    const envoy::config::endpoint::v3::ClusterLoadAssignment& assignment) {
  auto to = std::make_shared<ClusterConfig>(cluster);
  absl::Status status = SetEndpoints(assignment, *to);
  if (!status.ok()) return status;
  return to;
}

std::shared_ptr<const ClusterConfig> WithAddresses(
    const std::shared_ptr<const ClusterConfig>& cluster, const KnownAddresses& known) {
  std::shared_ptr<EndpointSet> endpoints = ResolvedEndpoints(*cluster, known);
  if (SameAddresses(*endpoints, *cluster->endpoints)) return cluster;
  auto to = std::make_shared<ClusterConfig>(*cluster);
  SetEndpointSet(std::move(endpoints), *to);
  return to;
}

std::shared_ptr<const ClusterConfig> WithHealth(const std::shared_ptr<const ClusterConfig>& cluster,
                                                const KnownHealth& known) {
  if (cluster->health_check == nullptr) return cluster;
  std::shared_ptr<EndpointSet> changed;
  for (size_t i = 0; i < cluster->endpoints->endpoints.size(); ++i) {
    const EndpointConfig& one = cluster->endpoints->endpoints[i];
    auto found = known.find(one.key);
    if (one.checked == CheckedHealth::kNotChecked || found == known.end()) continue;
    if (found->second == one.checked) continue;
    if (changed == nullptr) changed = std::make_shared<EndpointSet>(*cluster->endpoints);
    changed->endpoints[i].checked = found->second;
  }
  if (changed == nullptr) return cluster;
  auto to = std::make_shared<ClusterConfig>(*cluster);
  to->endpoints = std::move(changed);
  return to;
}

}  // namespace weft
