// From transport sockets and Secret messages to TLS contexts and trust. Only compile_*.cc and
// config_state.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_TLS_H_
#define WEFT_PROXY_CONFIG_COMPILE_TLS_H_

#include <memory>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/config/cluster_config.h"
#include "proxy/config/secrets.h"

namespace envoy::config::core::v3 {
class TransportSocket;
}
namespace envoy::extensions::transport_sockets::tls::v3 {
class Secret;
class UpstreamTlsContext;
}  // namespace envoy::extensions::transport_sockets::tls::v3

namespace weft {

class ServerTlsContext;
class ClientTlsContext;

// Null for raw_buffer. kFailedPrecondition if a secret it names has not come yet.
absl::StatusOr<std::shared_ptr<const ServerTlsContext>> CompileServerTls(
    const envoy::config::core::v3::TransportSocket& from, const Secrets& secrets);
// What is spoken to an endpoint before its protocol: plain or TLS, a PROXY header in front or not,
// directly or through a tunnel.
struct UpstreamSocket {
  std::shared_ptr<const ClientTlsContext> tls;
  ProxyProtocolOut proxy_protocol = ProxyProtocolOut::kNone;
  std::shared_ptr<const TunnelConfig> tunnel;  // null: none
};
absl::StatusOr<UpstreamSocket> CompileUpstreamSocket(
    const envoy::config::core::v3::TransportSocket& from, const Secrets& secrets);

// `connections` TLS contexts for each of the gateways that a Dial names; their server names tell
// them apart.
absl::StatusOr<std::vector<std::shared_ptr<const ClientTlsContext>>> CompileDialTls(
    const envoy::extensions::transport_sockets::tls::v3::UpstreamTlsContext& from,
    uint32_t connections, const Secrets& secrets);

// Puts what SDS (or a static bootstrap) says into `secrets`.
absl::Status AddSecret(const envoy::extensions::transport_sockets::tls::v3::Secret& from,
                       Secrets& secrets);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_TLS_H_
