#include "proxy/config/compile_address.h"

#include "absl/strings/str_cat.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace core = envoy::config::core::v3;

}  // namespace

absl::StatusOr<Address> CompileSocketAddress(const core::SocketAddress& from) {
  if (from.protocol() != core::SocketAddress::TCP) {
    return Invalid("protocol", "only TCP is supported");
  }
  if (!from.named_port().empty()) return Invalid("named_port", "use port_value");
  if (from.port_value() > 65535) {
    return Invalid("port_value", absl::StrCat(from.port_value(), " is above 65535"));
  }
  absl::StatusOr<Address> address =
      Address::Ip(from.address(), static_cast<uint16_t>(from.port_value()));
  if (!address.ok()) return Invalid("address", address.status().message());
  return address;
}

absl::StatusOr<Address> CompileAddress(const core::Address& from) {
  switch (from.address_case()) {
    case core::Address::kSocketAddress: {
      absl::StatusOr<Address> address = CompileSocketAddress(from.socket_address());
      if (!address.ok()) return Under("socket_address", address.status());
      return address;
    }
    case core::Address::kPipe: {
      absl::StatusOr<Address> address = Address::Unix(from.pipe().path());
      if (!address.ok()) return Invalid("pipe.path", address.status().message());
      return address;
    }
    case core::Address::kEnvoyInternalAddress:
      return Invalid("envoy_internal_address", "is not supported by this proxy");
    case core::Address::ADDRESS_NOT_SET:
      return Invalid("", "needs one of socket_address, pipe");
  }
  return Invalid("", "unknown kind of address");
}

absl::StatusOr<IpPrefix> CompilePrefix(const core::CidrRange& from) {
  absl::StatusOr<Address> address = Address::Ip(from.address_prefix(), 0);
  if (!address.ok()) return Invalid("address_prefix", address.status().message());
  IpPrefix to;
  to.bytes = std::string(address->ip_bytes());
  to.length = from.prefix_len().value();
  if (to.length > to.bytes.size() * 8) {
    return Invalid("prefix_len", absl::StrCat("must be at most ", to.bytes.size() * 8));
  }
  return to;
}

}  // namespace weft
