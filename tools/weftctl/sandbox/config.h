// What `weftctl sandbox up` was asked for; it reaches the supervisor as a file.
#ifndef TOOLS_WEFTCTL_SANDBOX_CONFIG_H_
#define TOOLS_WEFTCTL_SANDBOX_CONFIG_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft::sandbox {

struct ClusterConfig {
  std::string name;
  std::vector<std::string> folders;  // absolute
  std::string region, zone;          // empty: no locality
  bool block_inbound = false;        // nothing comes in from other clusters but answers
  std::string ca_certs = {};         // absolute; folder of the CA; empty: one of weftd's own
  bool operator==(const ClusterConfig&) const = default;
};

struct SandboxConfig {
  std::string name;
  std::vector<ClusterConfig> clusters;
  std::map<std::string, std::string> images;  // image → shell command
  std::string weftctl, weftd, weft_proxy;     // absolute paths of the binaries
  std::string exports = "all";                // or "none"
  std::string link = "mesh";                  // all clusters with each other; or "none"
  bool dual_stack = false;                    // pods and services may have IPv6 addresses, too
  bool operator==(const SandboxConfig&) const = default;
};

// "NAME=DIR[,DIR…]"; the folders must exist and become absolute.
absl::StatusOr<ClusterConfig> ParseCluster(absl::string_view flag);
// "NAME=REGION/ZONE" or "NAME=REGION", into the cluster of that name.
absl::Status ParseLocality(absl::string_view flag, std::vector<ClusterConfig>* clusters);
// The cluster of that name.
absl::Status ParseBlocked(const std::string& flag, std::vector<ClusterConfig>* clusters);
// "NAME=DIR", into the cluster of that name; the folder must exist and becomes absolute.
absl::Status ParseCaCerts(absl::string_view flag, std::vector<ClusterConfig>* clusters);
// "IMAGE=COMMAND"; an image may hold no '='.
absl::Status ParseImage(absl::string_view flag, std::map<std::string, std::string>* images);

// Of two that nobody can dial neither reaches the other.
bool CanBeLinked(const ClusterConfig& a, const ClusterConfig& b);
// The folders of the clusters whose services this one sees, or may see once they are linked.
std::vector<std::string> LinkedFolders(const SandboxConfig& config, const std::string& cluster);

std::string ConfigToJson(const SandboxConfig& config);
absl::StatusOr<SandboxConfig> ConfigFromJson(absl::string_view json);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_CONFIG_H_
