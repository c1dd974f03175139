#include "controlplane/federation/peer_snapshot.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/weft/peer.pb.h"
#include "certs/file.h"
#include "controlplane/federation/config_wire.h"
#include "controlplane/federation/peer_view.h"
#include "controlplane/federation/peer_wire.h"

namespace weft {

std::string EncodeSnapshot(const Peer& configured, const PeerKnowledge& knowledge) {
  peer::v1::Snapshot snapshot;
  snapshot.set_trust_domain(configured.trust_domain);
  snapshot.set_configured_roots_pem(configured.roots_pem);
  snapshot.set_epoch(knowledge.known.epoch);
  snapshot.set_revision(knowledge.known.revision);
  snapshot.mutable_bundle()->add_roots_pem(knowledge.roots_pem);
  ToWire(ClusterIdentity(), knowledge.gateways, *snapshot.mutable_gateways());
  if (knowledge.exports != nullptr) {
    for (const auto& [name, service] : *knowledge.exports) {
      ToWire(service, *snapshot.add_services());
    }
  }
  if (knowledge.configs != nullptr) {
    for (const auto& [key, config] : knowledge.configs->objects) {
      peer::v1::ConfigObject& wire = *snapshot.add_configs();
      ToWire(key, *wire.mutable_key());
      wire.set_json(config->json);
    }
  }
  return snapshot.SerializeAsString();
}

namespace {

// What this version of us cannot use, as another one could, is left out: the peer tells it again.
std::shared_ptr<const PeerConfigs> ConfigsOf(const Peer& configured,
                                             const peer::v1::Snapshot& snapshot) {
  auto configs = std::make_shared<PeerConfigs>();
  for (const peer::v1::ConfigObject& wire : snapshot.configs()) {
    const std::optional<ObjectKey> key = FromWire(wire.key());
    if (!key.has_value()) continue;
    auto config = ReadConfig(*key, wire.json(), configured.cluster);
    if (!config.ok()) continue;
    configs->objects[*key] = std::make_shared<const ReceivedConfig>(*std::move(config));
  }
  return configs;
}

}  // namespace

absl::StatusOr<PeerKnowledge> DecodeSnapshot(const Peer& configured, absl::string_view bytes) {
  peer::v1::Snapshot snapshot;
  if (!snapshot.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::DataLossError("not a snapshot");
  }
  if (snapshot.trust_domain() != configured.trust_domain) {
    return absl::NotFoundError("of another trust domain");
  }
  if (static_cast<size_t>(snapshot.services_size()) > kMaxServicesOfPeer) {
    return absl::DataLossError("more services than a peer may have");
  }
  auto exports = std::make_shared<PeerExports>();
  for (const peer::v1::ServiceSummary& wire : snapshot.services()) {
    auto service = FromWire(wire);
    if (!service.ok()) return absl::DataLossError(service.status().message());
    std::pair key(service->namespace_, service->name);
    exports->insert_or_assign(std::move(key), *std::move(service));
  }
  auto gateways = FromWire(snapshot.gateways());
  if (!gateways.ok()) return absl::DataLossError(gateways.status().message());
  PeerKnowledge knowledge;
  knowledge.exports = std::move(exports);
  knowledge.known = {snapshot.epoch(), snapshot.revision()};
  knowledge.gateways = *std::move(gateways);
  knowledge.configs = ConfigsOf(configured, snapshot);
  if (snapshot.configured_roots_pem() == configured.roots_pem &&
      snapshot.bundle().roots_pem_size() == 1) {
    knowledge.roots_pem = snapshot.bundle().roots_pem(0);
  }
  return knowledge;
}

std::string PeerSnapshots::FileOf(const std::string& cluster) const {
  return absl::StrCat(folder_, "/", cluster, ".pb");
}

absl::StatusOr<PeerKnowledge> PeerSnapshots::Load(const Peer& configured) const {
  const std::string path = FileOf(configured.cluster);
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": none"));
  const std::string bytes((std::istreambuf_iterator<char>(file)), std::istreambuf_iterator<char>());
  auto knowledge = DecodeSnapshot(configured, bytes);
  if (knowledge.ok()) return knowledge;
  return absl::Status(knowledge.status().code(),
                      absl::StrCat(path, ": ", knowledge.status().message()));
}

absl::Status PeerSnapshots::Save(const Peer& configured, const PeerKnowledge& knowledge) const {
  if (mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, folder_);
  }
  return certs::WriteFileAtomically(FileOf(configured.cluster),
                                    EncodeSnapshot(configured, knowledge), 0600);
}

void PeerSnapshots::Remove(const std::string& cluster) const { unlink(FileOf(cluster).c_str()); }

}  // namespace weft
