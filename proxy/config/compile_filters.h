// From the network filters of a chain to what serves its connections. Only compile_*.cc include
// this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_FILTERS_H_
#define WEFT_PROXY_CONFIG_COMPILE_FILTERS_H_

#include <optional>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/tcp_proxy.pb.h"
#include "proxy/config/listener_config.h"
#include "proxy/config/secrets.h"

namespace weft {

// The last filter serves: HTTP connection manager or tcp_proxy. Before it may stand sni_cluster
// (the latter only), rbac and connection_limit.
absl::StatusOr<decltype(FilterChainConfig::service)> CompileFilters(
    const envoy::config::listener::v3::FilterChain& from, const Secrets& secrets);

// What connection_limit filters before it say; nothing if there is none.
absl::Status CompileConnectionLimit(const envoy::config::listener::v3::FilterChain& from,
                                    std::optional<ConnectionLimit>& to);

absl::StatusOr<HttpManagerConfig> CompileHttpManager(
    const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager&
        from,
    const Secrets& secrets);

absl::StatusOr<TcpProxyConfig> CompileTcpProxy(
    const envoy::extensions::filters::network::tcp_proxy::v3::TcpProxy& from);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_FILTERS_H_
