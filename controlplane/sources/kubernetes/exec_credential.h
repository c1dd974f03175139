// What exec plugins are told, and what they say: client.authentication.k8s.io. Pure.
#ifndef WEFT_CONTROLPLANE_SOURCES_KUBERNETES_EXEC_CREDENTIAL_H_
#define WEFT_CONTROLPLANE_SOURCES_KUBERNETES_EXEC_CREDENTIAL_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "controlplane/sources/kubernetes/kubeconfig.h"

namespace weft {

struct ExecCredential {
  std::string token;
  std::string certificate_pem;
  std::string key_pem;
  absl::Time expires = absl::InfiniteFuture();
};

// The variable KUBERNETES_EXEC_INFO. `ca_pem` goes along where the plugin asks for the cluster.
std::string ExecInfo(const Kubeconfig& config, absl::string_view ca_pem);

// Of what the plugin printed. The error names the field.
absl::StatusOr<ExecCredential> ParseExecCredential(std::string text, const ExecPlugin& plugin);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_KUBERNETES_EXEC_CREDENTIAL_H_
