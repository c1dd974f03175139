#include "controlplane/translate/parts.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/envoy/original_dst.pb.h"
#include "api/envoy/raw_buffer.pb.h"
#include "api/envoy/router.pb.h"
#include "api/envoy/tcp_proxy.pb.h"
#include "api/envoy/tls_inspector.pb.h"
#include "controlplane/translate/encode.h"

namespace weft {
namespace {

using envoy::config::core::v3::TransportSocket;
using envoy::config::listener::v3::Filter;
using envoy::config::listener::v3::ListenerFilter;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::transport_sockets::tls::v3::CommonTlsContext;
using envoy::extensions::transport_sockets::tls::v3::DownstreamTlsContext;
using envoy::extensions::transport_sockets::tls::v3::SubjectAltNameMatcher;
using envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext;
using envoy::type::matcher::v3::StringMatcher;

constexpr char kTlsSocket[] = "envoy.transport_sockets.tls";

// Of those who are trusted, only who has such a URI; of several it may be any.
void AddIdentity(const StringMatcher& identity, CommonTlsContext& context) {
  SubjectAltNameMatcher* san = context.mutable_combined_validation_context()
                                   ->mutable_default_validation_context()
                                   ->add_match_typed_subject_alt_names();
  san->set_san_type(SubjectAltNameMatcher::URI);
  *san->mutable_matcher() = identity;
}

// Fills in who this proxy is and whom it trusts; of those, only `identities`, if any are named.
void SetMeshIdentity(const std::set<std::string>& identities, CommonTlsContext& context) {
  auto* certificate = context.add_tls_certificate_sds_secret_configs();
  certificate->set_name("default");
  *certificate->mutable_sds_config() = AdsSource();
  auto* combined = context.mutable_combined_validation_context();
  combined->mutable_default_validation_context();
  for (const std::string& identity : identities) {
    StringMatcher exact;
    exact.set_exact(identity);
    AddIdentity(exact, context);
  }
  auto* trust = combined->mutable_validation_context_sds_secret_config();
  trust->set_name("ROOTCA");
  *trust->mutable_sds_config() = AdsSource();
}

}  // namespace

std::string OutboundClusterName(uint16_t port, absl::string_view subset, absl::string_view host) {
  return absl::StrCat("outbound|", port, "|", subset, "|", host);
}

std::string OutboundPodsClusterName(uint16_t port, absl::string_view host) {
  return OutboundClusterName(port, "", absl::StrCat("*.", host));
}

std::string OutboundServerName(uint16_t port, absl::string_view subset, absl::string_view host) {
  return absl::StrCat("outbound_.", port, "_.", subset, "_.", host);
}

std::string InboundClusterName(uint16_t target_port) {
  return absl::StrCat("inbound|", target_port, "||");
}

envoy::config::core::v3::Address SocketAddressOf(absl::string_view ip, uint16_t port) {
  envoy::config::core::v3::Address address;
  address.mutable_socket_address()->set_address(std::string(ip));
  address.mutable_socket_address()->set_port_value(port);
  return address;
}

envoy::config::core::v3::Address AddressOf(absl::string_view address, uint16_t port) {
  if (!absl::ConsumePrefix(&address, "unix://")) return SocketAddressOf(address, port);
  envoy::config::core::v3::Address pipe;
  pipe.mutable_pipe()->set_path(std::string(address));
  return pipe;
}

void ListenAt(const std::vector<std::string>& ips, uint16_t port,
              envoy::config::listener::v3::Listener& listener) {
  *listener.mutable_address() = SocketAddressOf(ips.front(), port);
  for (size_t i = 1; i < ips.size(); ++i) {
    *listener.add_additional_addresses()->mutable_address() = SocketAddressOf(ips[i], port);
  }
}

envoy::config::core::v3::ConfigSource AdsSource() {
  envoy::config::core::v3::ConfigSource source;
  source.mutable_ads();
  source.set_resource_api_version(envoy::config::core::v3::V3);
  return source;
}

absl::Duration DurationOr(absl::string_view text, absl::Duration otherwise) {
  absl::Duration duration;
  if (text.empty() || !absl::ParseDuration(text, &duration)) return otherwise;
  return duration < absl::ZeroDuration() || duration == absl::InfiniteDuration() ? otherwise
                                                                                 : duration;
}

void SetDuration(absl::Duration duration, google::protobuf::Duration* out) {
  out->set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &duration));
  out->set_nanos(static_cast<int32_t>(duration / absl::Nanoseconds(1)));
}

envoy::type::v3::FractionalPercent FractionOf(double percent) {
  envoy::type::v3::FractionalPercent fraction;
  fraction.set_denominator(envoy::type::v3::FractionalPercent::MILLION);
  fraction.set_numerator(
      static_cast<uint32_t>(std::lround(std::clamp(percent, 0.0, 100.0) * 10000)));
  return fraction;
}

Filter TcpProxyFilter(absl::string_view stat_prefix, absl::string_view cluster) {
  envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy proxy;
  proxy.set_stat_prefix(std::string(stat_prefix));
  proxy.set_cluster(std::string(cluster));
  Filter filter;
  filter.set_name("envoy.filters.network.tcp_proxy");
  *filter.mutable_typed_config() = PackAny(proxy);
  return filter;
}

Filter HttpFilterOf(const HttpConnectionManager& http) {
  Filter filter;
  filter.set_name("envoy.filters.network.http_connection_manager");
  *filter.mutable_typed_config() = PackAny(http);
  return filter;
}

HttpConnectionManager NewHttpConnectionManager(absl::string_view stat_prefix) {
  HttpConnectionManager http;
  http.set_stat_prefix(std::string(stat_prefix));
  http.mutable_use_remote_address()->set_value(false);
  http.mutable_normalize_path()->set_value(true);
  http.mutable_stream_idle_timeout();  // 0: streams may be idle
  http.add_upgrade_configs()->set_upgrade_type("websocket");
  auto* router = http.add_http_filters();
  router->set_name("envoy.filters.http.router");
  *router->mutable_typed_config() = PackAny(envoy::extensions::filters::http::router::v3::Router());
  return http;
}

ListenerFilter TlsInspectorFilter() {
  ListenerFilter filter;
  filter.set_name("envoy.filters.listener.tls_inspector");
  *filter.mutable_typed_config() =
      PackAny(envoy::extensions::filters::listener::tls_inspector::v3::TlsInspector());
  return filter;
}

ListenerFilter OriginalDstFilter() {
  ListenerFilter filter;
  filter.set_name("envoy.filters.listener.original_dst");
  *filter.mutable_typed_config() =
      PackAny(envoy::extensions::filters::listener::original_dst::v3::OriginalDst());
  return filter;
}

TransportSocket MeshUpstreamTls(absl::string_view server_name,
                                const std::set<std::string>& identities, bool http2) {
  UpstreamTlsContext tls;
  tls.set_sni(std::string(server_name));
  CommonTlsContext& common = *tls.mutable_common_tls_context();
  // By its first name the other side knows mesh TLS (kMeshProtocols). "h2" is what it then settles
  // on; where it is not offered, nothing is negotiated and the first bytes tell.
  if (http2) common.add_alpn_protocols("istio-h2");
  common.add_alpn_protocols("istio");
  if (http2) common.add_alpn_protocols("h2");
  SetMeshIdentity(identities, common);
  return UpstreamTls(tls);
}

UpstreamTlsContext GatewayUpstreamTls(const StringMatcher& identity, absl::string_view protocol) {
  UpstreamTlsContext tls;
  tls.mutable_common_tls_context()->add_alpn_protocols(std::string(protocol));
  SetMeshIdentity({}, *tls.mutable_common_tls_context());
  AddIdentity(identity, *tls.mutable_common_tls_context());
  return tls;
}

TransportSocket MeshDownstreamTls(const std::vector<std::string>& protocols,
                                  const std::set<std::string>& identities) {
  DownstreamTlsContext tls;
  tls.mutable_require_client_certificate()->set_value(true);
  CommonTlsContext& common = *tls.mutable_common_tls_context();
  common.mutable_tls_params()->set_tls_minimum_protocol_version(
      envoy::extensions::transport_sockets::tls::v3::TlsParameters::TLSv1_2);
  for (const std::string& protocol : protocols) common.add_alpn_protocols(protocol);
  SetMeshIdentity(identities, common);
  TransportSocket socket;
  socket.set_name(kTlsSocket);
  *socket.mutable_typed_config() = PackAny(tls);
  return socket;
}

TransportSocket UpstreamTls(const UpstreamTlsContext& tls) {
  TransportSocket socket;
  socket.set_name(kTlsSocket);
  *socket.mutable_typed_config() = PackAny(tls);
  return socket;
}

TransportSocket RawBuffer() {
  TransportSocket socket;
  socket.set_name("envoy.transport_sockets.raw_buffer");
  *socket.mutable_typed_config() =
      PackAny(envoy::extensions::transport_sockets::raw_buffer::v3::RawBuffer());
  return socket;
}

}  // namespace weft
