// From Envoy's address messages to Address. Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_ADDRESS_H_
#define WEFT_PROXY_CONFIG_COMPILE_ADDRESS_H_

#include "absl/status/statusor.h"
#include "api/envoy/core.pb.h"
#include "proxy/config/listener_config.h"
#include "proxy/net/address.h"

namespace weft {

// An IP address with a port, or a Unix socket; a host name is an error.
absl::StatusOr<Address> CompileAddress(const envoy::config::core::v3::Address& from);
absl::StatusOr<Address> CompileSocketAddress(const envoy::config::core::v3::SocketAddress& from);
absl::StatusOr<IpPrefix> CompilePrefix(const envoy::config::core::v3::CidrRange& from);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_ADDRESS_H_
