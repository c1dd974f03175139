// Pieces that several resources are put together from: addresses, filters, TLS contexts. For .cc
// files only: it includes generated headers.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_PARTS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_PARTS_H_

#include <cstdint>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "api/envoy/core.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/tls.pb.h"
#include "controlplane/model/world.h"

namespace weft {

inline constexpr char kPassthroughCluster[] = "PassthroughCluster";
inline constexpr char kInboundPassthroughCluster[] = "InboundPassthroughCluster";
inline constexpr char kBlackHoleCluster[] = "BlackHoleCluster";
// What sidecars (Istio's too) offer as ALPN in their ClientHello, and others do not.
inline constexpr absl::string_view kMeshProtocols[] = {
    "istio", "istio-peer-exchange", "istio-http/1.0", "istio-http/1.1", "istio-h2"};
inline constexpr uint16_t kOutboundPort = 15001;
inline constexpr uint16_t kInboundPort = 15006;

std::string OutboundClusterName(uint16_t port, absl::string_view subset, absl::string_view host);
// Of a headless service: the pod that the client chose itself.
std::string OutboundPodsClusterName(uint16_t port, absl::string_view host);
// The same as a server name: what gateways route by.
std::string OutboundServerName(uint16_t port, absl::string_view subset, absl::string_view host);
std::string InboundClusterName(uint16_t target_port);

envoy::config::core::v3::Address SocketAddressOf(absl::string_view ip, uint16_t port);
// The same, but "unix:///path" is a Unix socket.
envoy::config::core::v3::Address AddressOf(absl::string_view address, uint16_t port);
// Where a listener takes connections: one or more IPs.
void ListenAt(const std::vector<std::string>& ips, uint16_t port,
              envoy::config::listener::v3::Listener& listener);
envoy::config::core::v3::ConfigSource AdsSource();

// A time as Istio's YAML spells it ("1.5s", "1h30m"); `otherwise` if empty, malformed or negative.
absl::Duration DurationOr(absl::string_view text, absl::Duration otherwise);
void SetDuration(absl::Duration duration, google::protobuf::Duration* out);

// 0 to 100, to a ten-thousandth.
envoy::type::v3::FractionalPercent FractionOf(double percent);

envoy::config::listener::v3::Filter TcpProxyFilter(absl::string_view stat_prefix,
                                                   absl::string_view cluster);
envoy::config::listener::v3::Filter HttpFilterOf(
    const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager&
        http);
// The settings that all HTTP connection managers share, and the router at their end.
envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager
NewHttpConnectionManager(absl::string_view stat_prefix);
envoy::config::listener::v3::ListenerFilter TlsInspectorFilter();
envoy::config::listener::v3::ListenerFilter OriginalDstFilter();

// Mesh TLS: own certificate "default", trust from "ROOTCA". `http2`: the connection carries HTTP/2
// and nothing else, which the ALPN says too.
envoy::config::core::v3::TransportSocket MeshUpstreamTls(absl::string_view server_name,
                                                         const std::set<std::string>& identities,
                                                         bool http2);
// The same with a gateway, whoever it serves, for one protocol. `identity` is of its URI.
envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext GatewayUpstreamTls(
    const envoy::type::matcher::v3::StringMatcher& identity, absl::string_view protocol);
// Clients have to show a certificate; if `identities` are named, of one of these.
envoy::config::core::v3::TransportSocket MeshDownstreamTls(
    const std::vector<std::string>& protocols = {"h2", "http/1.1"},
    const std::set<std::string>& identities = {});
envoy::config::core::v3::TransportSocket UpstreamTls(
    const envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext& tls);
envoy::config::core::v3::TransportSocket RawBuffer();

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_PARTS_H_
