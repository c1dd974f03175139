#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <sys/socket.h>

#include <algorithm>
#include <set>
#include <utility>

#include "absl/hash/hash.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/http_inspector.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/original_dst.pb.h"
#include "api/envoy/proxy_protocol.pb.h"
#include "api/envoy/tls_inspector.pb.h"
#include "api/weft/tunnel.pb.h"
#include "proxy/config/compile.h"
#include "proxy/config/compile_address.h"
#include "proxy/config/compile_filters.h"
#include "proxy/config/compile_rbac.h"
#include "proxy/config/compile_tls.h"
#include "proxy/config/fields.h"
#include "proxy/config/jwt_config.h"
#include "proxy/tls/tls_context.h"

namespace weft {
namespace {

// Connections to one gateway: more than it has workers are of no use.
constexpr uint32_t kMostDialed = 16;
constexpr int kMostDialedGateways = 64;

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

absl::StatusOr<uint16_t> CompilePort(uint32_t port) {
  if (port == 0 || port > 65535) return Invalid("", "must be 1 to 65535");
  return static_cast<uint16_t>(port);
}

absl::Status CompileSource(const listener::FilterChainMatch& from, FilterChainMatch& to) {
  // Ignoring what is not evaluated would let the chain take connections it was not meant for.
  if (!from.address_suffix().empty() || from.has_suffix_len()) {
    return Invalid("address_suffix", "is not supported by this proxy");
  }
  absl::Status status =
      CompileEach("direct_source_prefix_ranges", from.direct_source_prefix_ranges(),
                  to.direct_source_prefix_ranges, CompilePrefix);
  if (!status.ok()) return status;
  status = CompileEach("source_prefix_ranges", from.source_prefix_ranges(), to.source_prefix_ranges,
                       CompilePrefix);
  if (!status.ok()) return status;
  switch (from.source_type()) {
    case listener::FilterChainMatch::ANY:
      break;
    case listener::FilterChainMatch::SAME_IP_OR_LOOPBACK:
      to.source_type = SourceType::kSameIpOrLoopback;
      break;
    case listener::FilterChainMatch::EXTERNAL:
      to.source_type = SourceType::kExternal;
      break;
    default:
      return Invalid("source_type", "unknown value");
  }
  return CompileEach("source_ports", from.source_ports(), to.source_ports, CompilePort);
}

absl::StatusOr<FilterChainMatch> CompileMatch(const listener::FilterChainMatch& from) {
  FilterChainMatch to;
  absl::Status status = CompileSource(from, to);
  if (!status.ok()) return status;
  if (from.has_destination_port()) {
    absl::StatusOr<uint16_t> port = CompilePort(from.destination_port().value());
    if (!port.ok()) return Under("destination_port", port.status());
    to.destination_port = *port;
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

// Equal for equal messages, also where maps in them come in another order.
uint64_t FingerprintOf(const google::protobuf::Message& message) {
  std::string bytes;
  {
    google::protobuf::io::StringOutputStream stream(&bytes);
    google::protobuf::io::CodedOutputStream coded(&stream);
    coded.SetSerializationDeterministic(true);
    message.SerializeToCodedStream(&coded);
  }
  return absl::HashOf(bytes);
}

absl::StatusOr<FilterChainConfig> CompileChain(const listener::FilterChain& from,
                                               const Secrets& secrets) {
  FilterChainConfig to;
  to.name = from.name();
  to.fingerprint = FingerprintOf(from);
  if (from.use_proxy_proto().value()) {
    return Invalid("use_proxy_proto", "is deprecated; use the proxy_protocol listener filter");
  }
  if (from.has_transport_socket_connect_timeout()) {
    to.handshake_timeout = ToTimeout(from.transport_socket_connect_timeout());
  }
  absl::StatusOr<FilterChainMatch> match = CompileMatch(from.filter_chain_match());
  if (!match.ok()) return Under("filter_chain_match", match.status());
  to.match = *std::move(match);
  if (from.has_transport_socket()) {
    absl::StatusOr<std::shared_ptr<const ServerTlsContext>> tls =
        CompileServerTls(from.transport_socket(), secrets);
    if (!tls.ok()) return Under("transport_socket", tls.status());
    to.tls = *std::move(tls);
  }
  absl::StatusOr<decltype(FilterChainConfig::service)> service = CompileFilters(from, secrets);
  if (!service.ok()) return service.status();
  to.service = *std::move(service);
  if (std::holds_alternative<ReverseTunnelConfig>(to.service) &&
      (to.tls == nullptr || !to.tls->requires_client_certificate())) {
    return Invalid("transport_socket",
                   "must be TLS with require_client_certificate where reverse_tunnel is");
  }
  absl::Status status = CompileAuthorization(from, to.authorization);
  if (!status.ok()) return status;
  status = CompileConnectionLimit(from, to.connection_limit);
  if (!status.ok()) return status;
  return to;
}

absl::Status CompileProxyProtocol(const google::protobuf::Any& any, ProxyProtocolRules& to) {
  using filters::proxy_protocol::v3::ProxyProtocol;
  absl::StatusOr<ProxyProtocol> from = Unpack<ProxyProtocol>(any);
  if (!from.ok()) return from.status();
  if (!from->rules().empty()) return Invalid("rules", "TLVs are not read by this proxy");
  if (from->has_pass_through_tlvs()) {
    return Invalid("pass_through_tlvs", "TLVs are not read by this proxy");
  }
  to.optional = from->allow_requests_without_proxy_protocol();
  for (const int version : from->disallowed_versions()) {
    (version == core::ProxyProtocolConfig::V1 ? to.version_1 : to.version_2) = false;
  }
  if (!to.version_1 && !to.version_2) return Invalid("disallowed_versions", "leaves none");
  return absl::OkStatus();
}

absl::Status CompileDial(const google::protobuf::Any& any, const Secrets& secrets,
                         ListenerConfig& to) {
  absl::StatusOr<proxy::v1::Dial> from = Unpack<proxy::v1::Dial>(any);
  if (!from.ok()) return from.status();
  if (from->connections() < 1 || from->connections() > kMostDialed) {
    return Invalid("connections", absl::StrCat("must be 1 to ", kMostDialed));
  }
  if (from->gateways_size() < 1 || from->gateways_size() > kMostDialedGateways) {
    return Invalid("gateways", absl::StrCat("must be 1 to ", kMostDialedGateways));
  }
  auto dial = std::make_shared<DialConfig>();
  absl::Status status = CompileEach(
      "gateways", from->gateways(), dial->gateways,
      [](const core::Address& address) { return CompileSocketAddress(address.socket_address()); });
  if (!status.ok()) return status;
  auto tls = CompileDialTls(from->tls(), from->connections(), secrets);
  if (!tls.ok()) return Under("tls", tls.status());
  dial->tls = *std::move(tls);
  to.dial = std::move(dial);
  to.bind_to_port = false;
  return absl::OkStatus();
}

// What was dialed is served by the one chain there is, which has nothing to match or to terminate.
// It is kept though nobody uses it, and the other side is noticed when it is gone.
absl::Status CheckDialed(ListenerConfig& to) {
  if (to.dial == nullptr) return absl::OkStatus();
  if (!to.filters.empty()) return Invalid("listener_filters", "none may stand beside Dial");
  if (to.chains.size() != 1 || to.default_chain.has_value()) {
    return Invalid("filter_chains", "exactly one is needed where Dial is");
  }
  FilterChainConfig& chain = to.chains.front();
  if (chain.tls != nullptr) {
    return Invalid("filter_chains[0].transport_socket", "Dial has it in its own tls");
  }
  auto* http = std::get_if<HttpManagerConfig>(&chain.service);
  if (http == nullptr || http->codec != CodecType::kHttp2) {
    return Invalid("filter_chains[0].filters",
                   "what Dial dials is served by an HTTP connection manager of codec_type HTTP2");
  }
  http->idle_timeout = absl::InfiniteDuration();
  Http2Options& http2 = http->http2;
  http2.keepalive_interval = std::min(http2.keepalive_interval, kGatewayPingInterval);
  http2.keepalive_timeout = std::min(http2.keepalive_timeout, kGatewayPingTimeout);
  return absl::OkStatus();
}

// Ignoring that a filter is to be left out in cases would run it there.
absl::Status CompileListenerFilters(const listener::Listener& from, const Secrets& secrets,
                                    ListenerConfig& to) {
  for (int i = 0; i < from.listener_filters_size(); ++i) {
    const listener::ListenerFilter& one = from.listener_filters(i);
    const google::protobuf::Any& any = one.typed_config();
    const std::string path = Index("listener_filters", i);
    if (one.has_filter_disabled()) {
      return Invalid(absl::StrCat(path, ".filter_disabled"), "is not supported by this proxy");
    }
    if (any.Is<filters::original_dst::v3::OriginalDst>()) {
      to.filters.push_back(ListenerFilter::kOriginalDst);
    } else if (any.Is<filters::tls_inspector::v3::TlsInspector>()) {
      to.filters.push_back(ListenerFilter::kTlsInspector);
    } else if (any.Is<filters::http_inspector::v3::HttpInspector>()) {
      to.filters.push_back(ListenerFilter::kHttpInspector);
    } else if (any.Is<filters::proxy_protocol::v3::ProxyProtocol>()) {
      absl::Status status = CompileProxyProtocol(any, to.proxy_protocol);
      if (!status.ok()) return Under(absl::StrCat(path, ".typed_config"), status);
      to.filters.push_back(ListenerFilter::kProxyProtocol);
    } else if (any.Is<proxy::v1::Dial>()) {
      absl::Status status = CompileDial(any, secrets, to);
      if (!status.ok()) return Under(absl::StrCat(path, ".typed_config"), status);
    } else {
      return Invalid(path, absl::StrCat("unsupported filter '", one.name(), "'"));
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<SocketOption> CompileSocketOption(const core::SocketOption& from) {
  SocketOption to;
  to.level = static_cast<int>(from.level());
  to.name = static_cast<int>(from.name());
  switch (from.value_case()) {
    case core::SocketOption::kIntValue: {
      const int value = static_cast<int>(from.int_value());
      to.value.assign(reinterpret_cast<const char*>(&value), sizeof(value));
      break;
    }
    case core::SocketOption::kBufValue:
      to.value = from.buf_value();
      break;
    default:
      return Invalid("", "needs one of int_value, buf_value");
  }
  switch (from.state()) {
    case core::SocketOption::STATE_PREBIND:
      to.state = SocketOption::State::kPrebind;
      break;
    case core::SocketOption::STATE_BOUND:
      to.state = SocketOption::State::kBound;
      break;
    case core::SocketOption::STATE_LISTENING:
      to.state = SocketOption::State::kListening;
      break;
    default:
      return Invalid("state", "unknown value");
  }
  return to;
}

absl::StatusOr<ListenSocket> CompileSocket(const core::Address& from,
                                           const ListenOptions& options) {
  absl::StatusOr<Address> address = CompileAddress(from);
  if (!address.ok()) return Under("address", address.status());
  ListenSocket to{*address, options};
  if (from.has_socket_address() && from.socket_address().ipv4_compat()) {
    if (address->family() != AF_INET6) {
      return Invalid("address.socket_address.ipv4_compat", "is for IPv6 addresses");
    }
    to.options.ipv4_compat = true;
  }
  if (from.has_pipe()) {
    if (from.pipe().mode() > 0777) return Invalid("address.pipe.mode", "must be at most 0777");
    to.options.pipe_mode = from.pipe().mode();
  }
  return to;
}

absl::StatusOr<ListenSocket> CompileAdditional(const listener::AdditionalAddress& from,
                                               ListenOptions options) {
  if (from.has_socket_options()) {  // instead of the listener's own
    options.options.clear();
    absl::Status status =
        CompileEach("socket_options.socket_options", from.socket_options().socket_options(),
                    options.options, CompileSocketOption);
    if (!status.ok()) return status;
  }
  return CompileSocket(from.address(), options);
}

absl::Status CompileSockets(const listener::Listener& from, ListenerConfig& to) {
  ListenOptions options;
  options.transparent = from.transparent().value();
  options.freebind = from.freebind().value();
  if (from.enable_mptcp()) return Invalid("enable_mptcp", "is not supported by this proxy");
  if (from.has_enable_reuse_port()) options.reuse_port = from.enable_reuse_port().value();
  if (from.has_tcp_backlog_size()) {
    // The kernel cuts it to net.core.somaxconn.
    options.backlog = static_cast<int>(std::min<uint32_t>(from.tcp_backlog_size().value(), 65535));
  }
  options.fast_open_queue =
      static_cast<int>(std::min<uint32_t>(from.tcp_fast_open_queue_length().value(), 65535));
  absl::Status status =
      CompileEach("socket_options", from.socket_options(), options.options, CompileSocketOption);
  if (!status.ok()) return status;
  absl::StatusOr<ListenSocket> first = CompileSocket(from.address(), options);
  if (!first.ok()) return first.status();
  to.address = first->address;
  to.sockets.push_back(*std::move(first));
  return CompileEach(
      "additional_addresses", from.additional_addresses(), to.sockets,
      [&](const listener::AdditionalAddress& one) { return CompileAdditional(one, options); });
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
    const auto* tcp = std::get_if<TcpProxyConfig>(&chain.service);
    if (tcp == nullptr) return;
    for (const WeightedTarget& target : tcp->clusters) clusters.insert(target.cluster);
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
  const bool dials = std::any_of(
      from.listener_filters().begin(), from.listener_filters().end(),
      [](const auto& filter) { return filter.typed_config().template Is<proxy::v1::Dial>(); });
  absl::Status status = dials ? absl::OkStatus() : CompileSockets(from, *to);
  if (!status.ok()) return status;
  if (to->name.empty()) to->name = to->address.ToString();
  if (from.has_bind_to_port()) to->bind_to_port = from.bind_to_port().value();
  to->use_original_dst = from.use_original_dst().value();
  if (to->use_original_dst) to->filters.push_back(ListenerFilter::kOriginalDst);
  status = CompileListenerFilters(from, secrets, *to);
  if (!status.ok()) return status;
  to->ignore_global_conn_limit = from.ignore_global_conn_limit();
  to->bypass_overload_manager = from.bypass_overload_manager();
  to->drains_on_changes_alone = from.drain_type() == listener::Listener::MODIFY_ONLY;
  const std::string limit =
      absl::StrCat("envoy.resource_limits.listener.", to->name, ".connection_limit");
  to->max_connections = static_cast<uint64_t>(secrets.runtime.Number(limit).value_or(0));
  if (from.has_per_connection_buffer_limit_bytes()) {
    to->buffer_limit = from.per_connection_buffer_limit_bytes().value();
  }
  if (from.has_listener_filters_timeout()) {
    to->listener_filters_timeout = ToTimeout(from.listener_filters_timeout());
  }
  to->continue_on_listener_filters_timeout = from.continue_on_listener_filters_timeout();
  to->direction = DirectionOf(from.traffic_direction());
  status = CompileChains(from, secrets, *to);
  if (status.ok()) status = CheckDialed(*to);
  if (!status.ok()) return status;
  CollectNeeds(*to);
  return to;
}

}  // namespace weft
