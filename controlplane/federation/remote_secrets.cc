#include "controlplane/federation/remote_secrets.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

std::string PlaceOf(const std::pair<std::string, std::string>& name, const std::string& cluster) {
  return absl::StrCat("Secret ", name.first, "/", name.second, " data[", cluster, "]");
}

// What reaches for weftd's own pod.
absl::Status CheckLocalAccess(const Kubeconfig& server) {
  const auto refuse = [](absl::string_view field, absl::string_view what) {
    return absl::PermissionDeniedError(
        absl::StrCat(field, ": would ", what, " in weftd's pod; --allow-remote-exec allows it"));
  };
  if (server.exec.has_value()) return refuse("user.exec", "run a command");
  const std::pair<const char*, const std::string*> files[] = {
      {"user.tokenFile", &server.token_file},
      {"user.client-certificate", &server.certificate.file},
      {"user.client-key", &server.key.file},
      {"cluster.certificate-authority", &server.ca.file}};
  for (const auto& [field, path] : files) {
    if (!path->empty()) return refuse(field, "read a file");
  }
  return absl::OkStatus();
}

}  // namespace

RemoteSecrets::RemoteSecrets(std::string own_cluster, bool allow_local_access)
    : own_cluster_(std::move(own_cluster)), allow_local_access_(allow_local_access) {}

void RemoteSecrets::Apply(const std::vector<ObjectDelta>& deltas) {
  for (const ObjectDelta& delta : deltas) {
    if (delta.key.kind != "Secret") continue;
    const Name name(delta.key.namespace_, delta.key.name);
    if (delta.object == nullptr) {
      secrets_.erase(name);
    } else {
      Read(name, delta.object->body.node["data"]);
    }
  }
  Collect();
}

void RemoteSecrets::Read(const Name& name, const YamlNode& data) {
  Entries& entries = secrets_[name];
  std::erase_if(entries, [&](const auto& entry) { return !data[entry.first].IsDefined(); });
  for (const YamlItem item : data) {
    const std::string cluster(item.first.Scalar());
    Entry& entry = entries[cluster];
    auto config = ReadConfig(name, cluster, item.second.Scalar());
    entry.problem = std::string(config.status().message());
    if (!config.ok()) continue;
    entry.good = true;
    entry.config = *std::move(config);
  }
}

absl::StatusOr<RemoteConfig> RemoteSecrets::ReadConfig(const Name& name, const std::string& cluster,
                                                       absl::string_view base64) const {
  if (cluster == own_cluster_) {
    return absl::InvalidArgumentError("this is our own cluster's name");
  }
  RemoteConfig config;
  config.secret = absl::StrCat(name.first, "/", name.second);
  if (!absl::Base64Unescape(base64, &config.text)) {
    return absl::InvalidArgumentError("not base64");
  }
  auto server = ParseKubeconfig(config.text, absl::StrCat("kubeconfig of ", cluster));
  if (!server.ok()) return server.status();
  config.server = *std::move(server);
  const absl::Status access = CheckLocalAccess(config.server);
  if (!allow_local_access_ && !access.ok()) return access;
  return config;
}

void RemoteSecrets::Collect() {
  clusters_.clear();
  problems_.clear();
  for (const auto& [name, entries] : secrets_) {
    for (const auto& [cluster, entry] : entries) {
      std::string& problem = problems_[PlaceOf(name, cluster)];
      problem = entry.problem;
      if (entry.good && clusters_.contains(cluster)) {
        problem = absl::StrCat("is in Secret ", clusters_.at(cluster).secret, " already");
      } else if (entry.good && clusters_.size() >= kMostClusters) {
        problem = absl::StrCat("more than ", kMostClusters, " clusters");
      } else if (entry.good) {
        clusters_[cluster] = entry.config;
      }
    }
  }
  std::erase_if(problems_, [](const auto& problem) { return problem.second.empty(); });
}

}  // namespace weft
