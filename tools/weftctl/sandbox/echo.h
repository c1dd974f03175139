// The built-in application of the sandbox: answers every request with JSON that says who answered
// and what arrived.
#ifndef TOOLS_WEFTCTL_SANDBOX_ECHO_H_
#define TOOLS_WEFTCTL_SANDBOX_ECHO_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace weft::sandbox {

struct EchoOptions {
  std::vector<int> ports;
  std::string cluster, pod_namespace, pod, workload, version, service_account;
};

// Serves until it is killed; returns an exit status when it cannot (a port in use).
int RunEcho(const EchoOptions& options);

// The URI of the nearest hop in an x-forwarded-client-cert header: the last element's. Empty when
// there is none.
std::string ClientIdentity(absl::string_view forwarded_client_cert);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_ECHO_H_
