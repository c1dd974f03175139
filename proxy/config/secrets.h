// Secrets: keys and trust that listeners and clusters name, as they are now.
//
// "default" is the proxy's own identity, made here and signed by the control plane; "ROOTCA" comes
// by SDS. A plain value; config_state.h keeps one and recompiles what names a changed secret.
#ifndef WEFT_PROXY_CONFIG_SECRETS_H_
#define WEFT_PROXY_CONFIG_SECRETS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proxy/config/runtime_values.h"
#include "proxy/tls/tls_context.h"

namespace weft {

struct Secrets {
  // By secret name.
  std::map<std::string, TlsCertificate> certificates;  // with their keys: never logged
  std::map<std::string, PeerTrust> trust;
  // Reads a `filename` of the configuration. Empty where there is none to read (then a filename is
  // an error): compiling itself touches no file.
  std::function<absl::StatusOr<std::string>(const std::string& path)> read_file;
  // What keys of the configuration stand for besides what it says itself.
  RuntimeValues runtime;
  // Of the gateways of tunnels, by all that they are made of, keys included. All clusters that
  // would have the same one share it, since by it they share connections.
  mutable std::map<std::string, std::weak_ptr<const ClientTlsContext>> gateway_contexts;
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_SECRETS_H_
