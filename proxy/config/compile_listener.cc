#include <algorithm>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/http_inspector.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/original_dst.pb.h"
#include "api/envoy/tls_inspector.pb.h"
#include "proxy/config/compile.h"
#include "proxy/config/compile_address.h"
#include "proxy/config/compile_filters.h"
#include "proxy/config/compile_rbac.h"
#include "proxy/config/compile_tls.h"
#include "proxy/config/fields.h"
#include "proxy/config/jwt_config.h"

namespace weft {
namespace {

namespace core = envoy::config::core::v3;
namespace filters = envoy::extensions::filters::listener;
namespace listener = envoy::config::listener::v3;

// "*" alone matches every name, like no name at all.
absl::StatusOr<std::string> CompileServerName(const std::string& from) {
  std::string name = absl::AsciiStrToLower(from);
  if (absl::StartsWith(name, "*.")) name.erase(0, 1);
  if (name.empty() || absl::StrContains(name, "*")) {
    return Invalid("", absl::StrCat("'", from, "': expected a name or '*.SUFFIX'"));
  }
  return name;
}

// Fields that narrow a chain down in ways that are not evaluated: ignoring them would let the chain
// take connections it was not meant for.
absl::Status CheckUnsupported(const listener::FilterChainMatch& from) {
  if (!from.source_prefix_ranges().empty()) {
    return Invalid("source_prefix_ranges", "is not supported by this proxy");
  }
  if (!from.source_ports().empty()) {
    return Invalid("source_ports", "is not supported by this proxy");
  }
  if (!from.direct_source_prefix_ranges().empty()) {
    return Invalid("direct_source_prefix_ranges", "is not supported by this proxy");
  }
  if (from.source_type() != listener::FilterChainMatch::ANY) {
    return Invalid("source_type", "is not supported by this proxy");
  }
  if (!from.address_suffix().empty()) {
    return Invalid("address_suffix", "is not supported by this proxy");
  }
  return absl::OkStatus();
}

absl::StatusOr<FilterChainMatch> CompileMatch(const listener::FilterChainMatch& from) {
  absl::Status status = CheckUnsupported(from);
  if (!status.ok()) return status;
  FilterChainMatch to;
  if (from.has_destination_port()) {
    const uint32_t port = from.destination_port().value();
    if (port == 0 || port > 65535) return Invalid("destination_port", "must be 1 to 65535");
    to.destination_port = static_cast<uint16_t>(port);
  }
  status = CompileEach("prefix_ranges", from.prefix_ranges(), to.prefix_ranges, CompilePrefix);
  if (!status.ok()) return status;
  status = CompileEach("server_names", from.server_names(), to.server_names, CompileServerName);
  if (!status.ok()) return status;
  to.transport_protocol = from.transport_protocol();
  to.application_protocols.assign(from.application_protocols().begin(),
                                  from.application_protocols().end());
  return to;
}

absl::StatusOr<FilterChainConfig> CompileChain(const listener::FilterChain& from,
                                               const Secrets& secrets) {
  FilterChainConfig to;
  to.name = from.name();
  absl::StatusOr<FilterChainMatch> match = CompileMatch(from.filter_chain_match());
  if (!match.ok()) return Under("filter_chain_match", match.status());
  to.match = *std::move(match);
  if (from.has_transport_socket()) {
    absl::StatusOr<std::shared_ptr<const ServerTlsContext>> tls =
        CompileServerTls(from.transport_socket(), secrets);
    if (!tls.ok()) return Under("transport_socket", tls.status());
    to.tls = *std::move(tls);
  }
  absl::StatusOr<std::variant<HttpManagerConfig, TcpProxyConfig>> service =
      CompileFilters(from, secrets);
  if (!service.ok()) return service.status();
  to.service = *std::move(service);
  absl::Status status = CompileAuthorization(from, to.authorization);
  if (!status.ok()) return status;
  return to;
}

absl::Status CompileListenerFilters(const listener::Listener& from, ListenerConfig& to) {
  for (int i = 0; i < from.listener_filters_size(); ++i) {
    const google::protobuf::Any& any = from.listener_filters(i).typed_config();
    if (any.Is<filters::original_dst::v3::OriginalDst>()) {
      to.original_dst = true;
    } else if (any.Is<filters::tls_inspector::v3::TlsInspector>()) {
      to.tls_inspector = true;
    } else if (any.Is<filters::http_inspector::v3::HttpInspector>()) {
      to.http_inspector = true;
    } else {
      return Invalid(Index("listener_filters", i),
                     absl::StrCat("unsupported filter '", from.listener_filters(i).name(), "'"));
    }
  }
  return absl::OkStatus();
}

absl::Status CompileChains(const listener::Listener& from, const Secrets& secrets,
                           ListenerConfig& to) {
  absl::Status status =
      CompileEach("filter_chains", from.filter_chains(), to.chains,
                  [&](const listener::FilterChain& one) { return CompileChain(one, secrets); });
  if (!status.ok()) return status;
  if (from.has_default_filter_chain()) {
    absl::StatusOr<FilterChainConfig> chain = CompileChain(from.default_filter_chain(), secrets);
    if (!chain.ok()) return Under("default_filter_chain", chain.status());
    to.default_chain = *std::move(chain);
  }
  if (to.chains.empty() && !to.default_chain) return Invalid("filter_chains", "must not be empty");
  return absl::OkStatus();
}

// What the chains need from elsewhere in the Snapshot.
struct Needs {
  std::set<std::string> routes;
  std::set<std::string> clusters;
  std::vector<std::shared_ptr<const JwksSource>> jwks_sources;

  void Add(const HttpFilter& filter) {
    const auto* jwt = std::get_if<JwtFilterConfig>(&*filter.config);
    if (jwt == nullptr) return;
    for (const JwtProvider& provider : jwt->authn->providers) {
      if (provider.remote != nullptr) jwks_sources.push_back(provider.remote);
    }
  }

  void Add(const FilterChainConfig& chain) {
    if (const auto* http = std::get_if<HttpManagerConfig>(&chain.service)) {
      for (const HttpFilter& filter : http->filters) Add(filter);
      if (http->route_table == nullptr) {
        routes.insert(http->route_config_name);
      } else {
        clusters.insert(http->route_table->clusters.begin(), http->route_table->clusters.end());
      }
      return;
    }
    for (const WeightedTarget& target : std::get<TcpProxyConfig>(chain.service).clusters) {
      clusters.insert(target.cluster);
    }
  }
};

void CollectNeeds(ListenerConfig& to) {
  Needs needs;
  for (const FilterChainConfig& chain : to.chains) needs.Add(chain);
  if (to.default_chain) needs.Add(*to.default_chain);
  to.route_names.assign(needs.routes.begin(), needs.routes.end());
  to.clusters.assign(needs.clusters.begin(), needs.clusters.end());
  to.jwks_sources = std::move(needs.jwks_sources);
}

TrafficDirection DirectionOf(core::TrafficDirection direction) {
  switch (direction) {
    case core::INBOUND:
      return TrafficDirection::kInbound;
    case core::OUTBOUND:
      return TrafficDirection::kOutbound;
    default:
      return TrafficDirection::kUnspecified;
  }
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ListenerConfig>> CompileListener(
    const listener::Listener& from, const Secrets& secrets) {
  auto to = std::make_shared<ListenerConfig>();
  to->name = from.name();
  if (from.has_api_listener()) return Invalid("api_listener", "is for clients without a proxy");
  absl::StatusOr<Address> address = CompileAddress(from.address());
  if (!address.ok()) return Under("address", address.status());
  to->address = *address;
  if (to->name.empty()) to->name = address->ToString();
  if (!from.additional_addresses().empty()) {
    return Invalid("additional_addresses", "is not supported by this proxy");
  }
  if (from.has_bind_to_port()) to->bind_to_port = from.bind_to_port().value();
  to->use_original_dst = from.use_original_dst().value();
  to->original_dst = to->use_original_dst;
  absl::Status status = CompileListenerFilters(from, *to);
  if (!status.ok()) return status;
  if (from.has_listener_filters_timeout()) {
    to->listener_filters_timeout = ToTimeout(from.listener_filters_timeout());
  }
  to->continue_on_listener_filters_timeout = from.continue_on_listener_filters_timeout();
  to->direction = DirectionOf(from.traffic_direction());
  status = CompileChains(from, secrets, *to);
  if (!status.ok()) return status;
  CollectNeeds(*to);
  return to;
}

}  // namespace weft
