// Kubeconfig: where an API server is, how to trust it, and who to be to it: the current context of
// a kubeconfig file, or the service account of the pod that weftd runs in.
//
// Only what it says is here; files it names are read by Credentials, since they rotate. Errors name
// the file and the field. What cannot be honoured is refused by name, never ignored.
#ifndef WEFT_CONTROLPLANE_SOURCES_KUBERNETES_KUBECONFIG_H_
#define WEFT_CONTROLPLANE_SOURCES_KUBERNETES_KUBECONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft {

// PEM that is given, or in a file. What is given counts, as with kubectl.
struct PemSource {
  std::string data;
  std::string file;

  bool empty() const { return data.empty() && file.empty(); }
};

// A command that prints an ExecCredential.
struct ExecPlugin {
  std::string api_version;
  std::string command;  // a name is looked for in PATH
  std::vector<std::string> args;
  std::vector<std::pair<std::string, std::string>> env;
  std::string install_hint;
  bool provide_cluster_info = false;
};

struct Kubeconfig {
  std::string origin;  // for messages: the file, or "in-cluster"

  // https://HOST:PORT/PATH
  bool tls = true;
  std::string host;  // a name or an IP address, without brackets
  uint16_t port = 443;
  std::string path;  // "" or "/k8s/clusters/c-1": what paths of the API come after
  PemSource ca;      // empty: the system's roots
  bool insecure = false;
  std::string server_name;  // the certificate's, where that is not the host

  PemSource certificate;
  PemSource key;
  std::string token;
  std::string token_file;  // counts rather than `token` as long as it can be read
  std::string username;
  std::string password;
  std::optional<ExecPlugin> exec;

  std::string Url() const;        // as in the file: "https://10.0.0.1:6443"
  std::string Authority() const;  // of requests: "10.0.0.1:6443"
};

// `file` is for messages, and for the folder that relative paths start from.
absl::StatusOr<Kubeconfig> ParseKubeconfig(absl::string_view text, const std::string& file);
absl::StatusOr<Kubeconfig> LoadKubeconfig(const std::string& file);

// What Kubernetes gives to each pod.
inline constexpr char kServiceAccountFolder[] = "/var/run/secrets/kubernetes.io/serviceaccount";
// `host` and `port` are KUBERNETES_SERVICE_HOST and _PORT, empty where they are not set.
absl::StatusOr<Kubeconfig> InClusterConfig(const std::string& host, const std::string& port,
                                           const std::string& folder = kServiceAccountFolder);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_KUBERNETES_KUBECONFIG_H_
