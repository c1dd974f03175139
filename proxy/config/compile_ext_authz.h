// From the ext_authz filter's messages to ExtAuthzConfig. Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_EXT_AUTHZ_H_
#define WEFT_PROXY_CONFIG_COMPILE_EXT_AUTHZ_H_

#include <memory>

#include "absl/status/statusor.h"
#include "proxy/config/ext_authz_config.h"
#include "proxy/config/secrets.h"

namespace envoy::extensions::filters::http::ext_authz::v3 {
class ExtAuthz;
class ExtAuthzPerRoute;
}  // namespace envoy::extensions::filters::http::ext_authz::v3

namespace weft {

absl::StatusOr<std::shared_ptr<const ExtAuthzConfig>> CompileExtAuthz(
    const envoy::extensions::filters::http::ext_authz::v3::ExtAuthz& from, const Secrets& secrets);

absl::StatusOr<ExtAuthzRouteConfig> CompileExtAuthzPerRoute(
    const envoy::extensions::filters::http::ext_authz::v3::ExtAuthzPerRoute& from);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_EXT_AUTHZ_H_
