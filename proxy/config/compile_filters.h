// From the network filters of a chain to what serves its connections. Only compile_*.cc include
// this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_FILTERS_H_
#define WEFT_PROXY_CONFIG_COMPILE_FILTERS_H_

#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/tcp_proxy.pb.h"
#include "proxy/config/listener_config.h"
#include "proxy/config/secrets.h"

namespace weft {

// The last filter serves: HTTP connection manager or tcp_proxy; sni_cluster may precede the latter, rbac both.
absl::StatusOr<std::variant<HttpManagerConfig, TcpProxyConfig>> CompileFilters(
    const envoy::config::listener::v3::FilterChain& from, const Secrets& secrets);

absl::StatusOr<HttpManagerConfig> CompileHttpManager(
    const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager&
        from,
    const Secrets& secrets);

absl::StatusOr<TcpProxyConfig> CompileTcpProxy(
    const envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy& from);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_FILTERS_H_
