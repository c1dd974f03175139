// From the RBAC filters' messages to RbacConfig. Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_RBAC_H_
#define WEFT_PROXY_CONFIG_COMPILE_RBAC_H_

#include <memory>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/config/rbac_config.h"

namespace envoy::extensions::filters::http::rbac::v3 {
class RBAC;
class RBACPerRoute;
}  // namespace envoy::extensions::filters::http::rbac::v3
namespace envoy::extensions::filters::network::rbac::v3 {
class RBAC;
}
namespace envoy::config::listener::v3 {
class FilterChain;
}

namespace weft {

absl::StatusOr<std::shared_ptr<const RbacConfig>> CompileHttpRbac(
    const envoy::extensions::filters::http::rbac::v3::RBAC& from);

// Without rules: the filter does nothing on that route.
absl::StatusOr<std::shared_ptr<const RbacConfig>> CompileRbacPerRoute(
    const envoy::extensions::filters::http::rbac::v3::RBACPerRoute& from);

// Rules about what only a request has (headers, path, metadata) are evaluated as if it had none,
// as Envoy does: they cannot match.
absl::StatusOr<std::shared_ptr<const RbacConfig>> CompileNetworkRbac(
    const envoy::extensions::filters::network::rbac::v3::RBAC& from);

// Those among a chain's filters, in their order.
absl::Status CompileAuthorization(const envoy::config::listener::v3::FilterChain& from,
                                  std::vector<std::shared_ptr<const RbacConfig>>& to);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_RBAC_H_
