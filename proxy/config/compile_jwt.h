// From the JWT filter's messages to JwtAuthnConfig. Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_JWT_H_
#define WEFT_PROXY_CONFIG_COMPILE_JWT_H_

#include <memory>

#include "absl/status/statusor.h"
#include "proxy/config/jwt_config.h"
#include "proxy/config/secrets.h"

namespace envoy::extensions::filters::http::jwt_authn::v3 {
class JwtAuthentication;
class PerRouteConfig;
}  // namespace envoy::extensions::filters::http::jwt_authn::v3

namespace weft {

// `secrets` reads the files of local key sets.
absl::StatusOr<std::shared_ptr<const JwtAuthnConfig>> CompileJwtAuthn(
    const envoy::extensions::filters::http::jwt_authn::v3::JwtAuthentication& from,
    const Secrets& secrets);

absl::StatusOr<JwtRouteConfig> CompileJwtPerRoute(
    const envoy::extensions::filters::http::jwt_authn::v3::PerRouteConfig& from);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_JWT_H_
