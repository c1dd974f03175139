#include "tools/weftctl/sandbox/config.h"

#include <algorithm>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <set>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "tools/weftctl/sandbox/control.h"
#include "tools/weftctl/sandbox/state_dir.h"

namespace weft::sandbox {
namespace {

struct Assignment {
  std::string name, value;
};

absl::StatusOr<Assignment> Split(absl::string_view flag, absl::string_view option,
                                 absl::string_view shape) {
  size_t equals = flag.find('=');
  if (equals == absl::string_view::npos || equals == 0 || equals + 1 == flag.size()) {
    return absl::InvalidArgumentError(absl::StrCat(option, " '", flag, "': use ", shape));
  }
  return Assignment{std::string(flag.substr(0, equals)), std::string(flag.substr(equals + 1))};
}

// Absolute; `flag` is for errors.
absl::StatusOr<std::string> FolderOf(absl::string_view flag, absl::string_view folder) {
  std::error_code error;
  const std::filesystem::path path = std::filesystem::canonical(std::string(folder), error);
  if (error) return absl::NotFoundError(absl::StrCat(flag, ": ", folder, ": ", error.message()));
  if (!std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat(flag, ": ", folder, " is no folder"));
  }
  return path.string();
}

}  // namespace

absl::StatusOr<ClusterConfig> ParseCluster(absl::string_view flag) {
  absl::StatusOr<Assignment> parts = Split(flag, "--cluster", "NAME=DIR[,DIR…]");
  if (!parts.ok()) return parts.status();
  ClusterConfig cluster;
  cluster.name = parts->name;
  if (!IsLabel(cluster.name)) {
    return absl::InvalidArgumentError(
        absl::StrCat("--cluster '", flag,
                     "': a cluster's name has lower-case letters, digits and '-', at most 40"));
  }
  for (absl::string_view folder : absl::StrSplit(parts->value, ',', absl::SkipEmpty())) {
    absl::StatusOr<std::string> path = FolderOf("--cluster " + cluster.name, folder);
    if (!path.ok()) return path.status();
    cluster.folders.push_back(*std::move(path));
  }
  return cluster;
}

absl::Status ParseLocality(absl::string_view flag, std::vector<ClusterConfig>* clusters) {
  absl::StatusOr<Assignment> parts = Split(flag, "--locality", "NAME=REGION/ZONE");
  if (!parts.ok()) return parts.status();
  for (ClusterConfig& cluster : *clusters) {
    if (cluster.name != parts->name) continue;
    std::vector<std::string> locality = absl::StrSplit(parts->value, absl::MaxSplits('/', 1));
    cluster.region = locality[0];
    cluster.zone = locality.size() > 1 ? locality[1] : "";
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--locality '", flag, "': no --cluster is called '", parts->name, "'"));
}

absl::Status ParseBlocked(const std::string& flag, std::vector<ClusterConfig>* clusters) {
  for (ClusterConfig& cluster : *clusters) {
    if (cluster.name != flag) continue;
    cluster.block_inbound = true;
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--block-inbound '", flag, "': no --cluster is called that"));
}

absl::Status ParseCaCerts(absl::string_view flag, std::vector<ClusterConfig>* clusters) {
  absl::StatusOr<Assignment> parts = Split(flag, "--ca-certs", "NAME=DIR");
  if (!parts.ok()) return parts.status();
  for (ClusterConfig& cluster : *clusters) {
    if (cluster.name != parts->name) continue;
    absl::StatusOr<std::string> path = FolderOf("--ca-certs " + cluster.name, parts->value);
    if (!path.ok()) return path.status();
    cluster.ca_certs = *std::move(path);
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--ca-certs '", flag, "': no --cluster is called '", parts->name, "'"));
}

absl::Status ParseImage(absl::string_view flag, std::map<std::string, std::string>* images) {
  absl::StatusOr<Assignment> parts = Split(flag, "--image", "IMAGE=COMMAND");
  if (!parts.ok()) return parts.status();
  (*images)[parts->name] = parts->value;
  return absl::OkStatus();
}

bool CanBeLinked(const ClusterConfig& a, const ClusterConfig& b) {
  return a.name != b.name && !(a.block_inbound && b.block_inbound);
}

std::vector<std::string> LinkedFolders(const SandboxConfig& config, const std::string& cluster) {
  std::vector<std::string> folders;
  if (config.exports == "none") return folders;
  const auto own = std::find_if(config.clusters.begin(), config.clusters.end(),
                                [&](const ClusterConfig& one) { return one.name == cluster; });
  if (own == config.clusters.end()) return folders;
  for (const ClusterConfig& other : config.clusters) {
    if (!CanBeLinked(*own, other)) continue;
    folders.insert(folders.end(), other.folders.begin(), other.folders.end());
  }
  return folders;
}

std::string ConfigToJson(const SandboxConfig& config) {
  Json json = {{"name", config.name},       {"weftctl", config.weftctl},
               {"weftd", config.weftd},     {"weft_proxy", config.weft_proxy},
               {"exports", config.exports}, {"link", config.link},
               {"images", config.images},   {"dual_stack", config.dual_stack},
               {"clusters", Json::array()}};
  for (const ClusterConfig& cluster : config.clusters) {
    json["clusters"].push_back({{"name", cluster.name},
                                {"folders", cluster.folders},
                                {"region", cluster.region},
                                {"zone", cluster.zone},
                                {"block_inbound", cluster.block_inbound},
                                {"ca_certs", cluster.ca_certs}});
  }
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

absl::StatusOr<SandboxConfig> ConfigFromJson(absl::string_view text) {
  Json json = Json::parse(text.begin(), text.end(), nullptr, false);
  if (!json.is_object()) return absl::InvalidArgumentError("sandbox.json: no JSON object");
  SandboxConfig config;
  config.name = GetString(json, "name");
  config.weftctl = GetString(json, "weftctl");
  config.weftd = GetString(json, "weftd");
  config.weft_proxy = GetString(json, "weft_proxy");
  config.exports = GetString(json, "exports", "all");
  config.link = GetString(json, "link", "mesh");
  config.dual_stack = json.value("dual_stack", false);
  for (const auto& [image, command] : json["images"].items()) {
    if (command.is_string()) config.images[image] = command.get<std::string>();
  }
  for (const Json& cluster : json["clusters"]) {
    config.clusters.push_back({GetString(cluster, "name"), GetStrings(cluster, "folders"),
                               GetString(cluster, "region"), GetString(cluster, "zone"),
                               GetBool(cluster, "block_inbound"), GetString(cluster, "ca_certs")});
  }
  return config;
}

}  // namespace weft::sandbox
