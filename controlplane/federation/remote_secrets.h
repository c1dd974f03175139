// Remote clusters as Istio keeps them: Secrets of weftd's namespace labelled
// istio/multiCluster=true, where each key of the data is a cluster's name and its value a
// kubeconfig.
//
// What a kubeconfig must not do is make weftd run a command, or read its own pod's files and send
// what is in them elsewhere: whoever may write such a Secret would have what weftd has. Such fields
// are refused by name, unless that is allowed. What is refused keeps its last good form.
//
// Pure; not thread-safe.
#ifndef WEFT_CONTROLPLANE_FEDERATION_REMOTE_SECRETS_H_
#define WEFT_CONTROLPLANE_FEDERATION_REMOTE_SECRETS_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controlplane/model/raw_object.h"
#include "controlplane/sources/kubernetes/kubeconfig.h"

namespace weft {

struct RemoteConfig {
  std::string secret;  // "weft-system/istio-remote-secret-west"
  std::string text;    // the kubeconfig as it was written: never logged
  Kubeconfig server;
};

class RemoteSecrets {
 public:
  // Each costs connections, and an API server's pods in our memory; further ones are refused.
  static constexpr size_t kMostClusters = 100;

  // `own_cluster` cannot be a remote of itself.
  RemoteSecrets(std::string own_cluster, bool allow_local_access);

  void Apply(const std::vector<ObjectDelta>& deltas);

  // By cluster. Of two Secrets that name the same one the first counts, by namespace and name.
  const std::map<std::string, RemoteConfig>& clusters() const { return clusters_; }
  // What is refused and why, by "Secret NAMESPACE/NAME data[CLUSTER]".
  const std::map<std::string, std::string>& problems() const { return problems_; }

 private:
  using Name = std::pair<std::string, std::string>;  // namespace, name
  struct Entry {
    bool good = false;  // `config` is, be it an older one
    RemoteConfig config;
    std::string problem;  // of the newest; empty: none
  };
  using Entries = std::map<std::string, Entry>;  // by cluster

  void Read(const Name& name, const YamlNode& data);
  absl::StatusOr<RemoteConfig> ReadConfig(const Name& name, const std::string& cluster,
                                          absl::string_view base64) const;
  void Collect();

  const std::string own_cluster_;
  const bool allow_local_access_;
  std::map<Name, Entries> secrets_;
  std::map<std::string, RemoteConfig> clusters_;
  std::map<std::string, std::string> problems_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_REMOTE_SECRETS_H_
