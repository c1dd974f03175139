#include "controlplane/federation/peer_folder.h"

#include <dirent.h>

#include <cstdint>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "api/yaml/document.h"
#include "certs/file.h"
#include "certs/spiffe_id.h"
#include "certs/trust_bundle.h"
#include "controlplane/federation/peer_wire.h"
#include "proxy/net/address.h"

namespace weft {
namespace {

bool IsPeerFile(absl::string_view name) {
  if (absl::StartsWith(name, ".")) return false;
  return absl::EndsWith(name, ".yaml") || absl::EndsWith(name, ".yml") ||
         absl::EndsWith(name, ".json");
}

std::set<std::string> ListFiles(const std::string& folder) {
  std::set<std::string> names;
  DIR* directory = opendir(folder.c_str());
  if (directory == nullptr) return names;
  while (const dirent* entry = readdir(directory)) {
    if (IsPeerFile(entry->d_name)) names.insert(entry->d_name);
  }
  closedir(directory);
  return names;
}

absl::StatusOr<std::string> Scalar(const YamlNode& node, const char* field) {
  const absl::string_view value = node[field].Scalar();
  if (value.empty()) return absl::InvalidArgumentError(absl::StrCat(field, ": missing"));
  return std::string(value);
}

// "IP:PORT", or "IP:PORT/TUNNELPORT".
std::optional<GatewayAddress> ParseGateway(absl::string_view text) {
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(text, absl::MaxSplits('/', 1));
  const auto address = Address::Parse(parts.first);
  if (!address.ok() || address->family() == AF_UNIX || address->port() == 0) return std::nullopt;
  uint32_t tunnel = 0;
  const bool tunnels = parts.first.size() < text.size();
  if (tunnels && (!absl::SimpleAtoi(parts.second, &tunnel) || tunnel == 0 || tunnel > 65535)) {
    return std::nullopt;
  }
  return GatewayAddress{address->ip(), address->port(), static_cast<uint16_t>(tunnel)};
}

absl::Status ReadGateways(const YamlNode& node, Peer& peer) {
  constexpr char kNoList[] = "gateways: not a list of \"IP:PORT\" or \"IP:PORT/TUNNELPORT\"";
  const YamlNode gateways = node["gateways"];
  if (!gateways.IsSequence()) return absl::InvalidArgumentError(kNoList);
  for (const YamlNode& item : gateways) {
    const std::optional<GatewayAddress> gateway = ParseGateway(item.Scalar());
    if (!gateway.has_value()) return absl::InvalidArgumentError(kNoList);
    peer.gateways.push_back(*gateway);
  }
  return absl::OkStatus();
}

absl::Status ReadAcceptConfig(const YamlNode& node, Peer& peer) {
  const YamlNode accept = node["acceptConfig"];
  if (!accept.IsDefined() || accept.IsNull()) return absl::OkStatus();
  constexpr char kWanted[] = "acceptConfig: expected a list of namespaces, or [\"*\"] for all";
  if (!accept.IsSequence()) return absl::InvalidArgumentError(kWanted);
  for (const YamlNode& item : accept) {
    const absl::string_view name = item.Scalar();
    if (name != "*" && !IsDnsLabel(name)) return absl::InvalidArgumentError(kWanted);
    peer.accept_config.emplace_back(name);
  }
  return absl::OkStatus();
}

// What need not be there.
absl::Status ReadOptions(const YamlNode& node, Peer& peer) {
  const absl::string_view outbound_only = node["outboundOnly"].Scalar();
  if (!outbound_only.empty() && !absl::SimpleAtob(outbound_only, &peer.outbound_only)) {
    return absl::InvalidArgumentError("outboundOnly: neither true nor false");
  }
  const absl::string_view cost = node["cost"].Scalar();
  if (!cost.empty() && !absl::SimpleAtoi(cost, &peer.cost)) {
    return absl::InvalidArgumentError("cost: not a number from 0 on");
  }
  return ReadAcceptConfig(node, peer);
}

absl::StatusOr<Peer> ReadPeer(const YamlNode& node) {
  if (!node.IsMap()) return absl::InvalidArgumentError("not a mapping");
  Peer peer;
  struct Field {
    const char* name;
    std::string* to;
  };
  const Field fields[] = {{"cluster", &peer.cluster},
                          {"network", &peer.network},
                          {"trustDomain", &peer.trust_domain},
                          {"roots", &peer.roots_pem}};
  for (const Field& field : fields) {
    auto value = Scalar(node, field.name);
    if (!value.ok()) return value.status();
    *field.to = *std::move(value);
  }
  if (!IsDnsLabel(peer.cluster)) return absl::InvalidArgumentError("cluster: not a DNS label");
  absl::Status domain = certs::CheckTrustDomain(peer.trust_domain);
  if (!domain.ok())
    return absl::InvalidArgumentError(absl::StrCat("trustDomain: ", domain.message()));
  absl::Status roots = certs::TrustBundles().Set(peer.trust_domain, peer.roots_pem);
  if (!roots.ok()) return absl::InvalidArgumentError(absl::StrCat("roots: ", roots.message()));
  absl::Status gateways = ReadGateways(node, peer);
  if (!gateways.ok()) return gateways;
  absl::Status options = ReadOptions(node, peer);
  if (!options.ok()) return options;
  return peer;
}

std::string AcceptConfigOf(const Peer& peer) {
  if (peer.accept_config.empty()) return "";
  return absl::StrCat("\nacceptConfig: [\"", absl::StrJoin(peer.accept_config, "\", \""), "\"]");
}

}  // namespace

absl::StatusOr<Peer> ParsePeer(absl::string_view text) {
  const auto documents = ParseYamlDocuments(text);
  if (!documents.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("not YAML: ", documents.status().message()));
  }
  if (documents->size() != 1) return absl::InvalidArgumentError("not one document");
  return ReadPeer(documents->front()->root());
}

std::string FormatPeer(const Peer& peer) {
  const auto entry = [](std::string* out, const GatewayAddress& gateway) {
    const auto address = Address::Ip(gateway.address, gateway.port);
    absl::StrAppend(out, "\"", address.ok() ? address->ToString() : gateway.address);
    if (gateway.tunnel_port != 0) absl::StrAppend(out, "/", gateway.tunnel_port);
    absl::StrAppend(out, "\"");
  };
  return absl::StrCat("cluster: \"", peer.cluster, "\"\nnetwork: \"", peer.network,
                      "\"\ntrustDomain: \"", peer.trust_domain, "\"\ngateways: [",
                      absl::StrJoin(peer.gateways, ", ", entry),
                      "]\noutboundOnly: ", peer.outbound_only ? "true" : "false",
                      "\ncost: ", peer.cost, AcceptConfigOf(peer), "\nroots: |\n  ",
                      absl::StrReplaceAll(peer.roots_pem, {{"\n", "\n  "}}), "\n");
}

PeerFolder::PeerFolder(std::string folder, std::string own_cluster)
    : folder_(std::move(folder)), own_cluster_(std::move(own_cluster)) {}

bool PeerFolder::Poll() {
  const std::map<std::string, Peer> peers_before = peers_;
  const std::map<std::string, std::string> problems_before = problems_;
  const std::set<std::string> names = ListFiles(folder_);
  const auto gone = [&](const auto& entry) { return !names.contains(entry.first); };
  std::erase_if(contents_, gone);
  std::erase_if(last_good_, gone);
  std::erase_if(problems_, gone);
  for (const std::string& name : names) ReadFile(name);
  peers_.clear();
  for (const auto& [name, peer] : last_good_) {
    if (!peers_.emplace(peer.cluster, peer).second) {
      problems_[name] = absl::StrCat("cluster: ", peer.cluster, " is in another file already");
    }
  }
  return peers_ != peers_before || problems_ != problems_before;
}

std::vector<std::string> PeerFolder::FilesOf(const std::string& cluster) const {
  std::vector<std::string> paths;
  for (const auto& [name, peer] : last_good_) {
    if (peer.cluster == cluster) paths.push_back(absl::StrCat(folder_, "/", name));
  }
  return paths;
}

void PeerFolder::ReadFile(const std::string& name) {
  auto text = certs::ReadFile(absl::StrCat(folder_, "/", name));
  if (!text.ok()) {
    problems_[name] = std::string(text.status().message());
    return;
  }
  auto known = contents_.find(name);
  if (known != contents_.end() && known->second == *text) return;
  contents_[name] = *text;
  auto peer = ParsePeer(*text);
  if (peer.ok() && peer->cluster == own_cluster_) {
    peer = absl::InvalidArgumentError("cluster: this is our own cluster's name");
  }
  if (!peer.ok()) {
    problems_[name] = std::string(peer.status().message());
    return;
  }
  problems_.erase(name);
  last_good_[name] = *std::move(peer);
}

}  // namespace weft
