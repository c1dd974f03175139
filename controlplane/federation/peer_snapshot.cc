#include "controlplane/federation/peer_snapshot.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <fstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/weft/peer.pb.h"
#include "certs/file.h"
#include "controlplane/federation/peer_view.h"
#include "controlplane/federation/peer_wire.h"

namespace weft {

std::string PeerSnapshots::FileOf(const std::string& cluster) const {
  return absl::StrCat(folder_, "/", cluster, ".pb");
}

absl::StatusOr<std::shared_ptr<const PeerExports>> PeerSnapshots::Load(const Peer& peer) const {
  const std::string path = FileOf(peer.cluster);
  std::ifstream file(path, std::ios::binary);
  if (!file) return absl::NotFoundError(absl::StrCat(path, ": none"));
  peer::v1::Snapshot snapshot;
  if (!snapshot.ParseFromIstream(&file)) {
    return absl::DataLossError(absl::StrCat(path, ": not a snapshot"));
  }
  if (snapshot.trust_domain() != peer.trust_domain) {
    return absl::NotFoundError(absl::StrCat(path, ": of another trust domain"));
  }
  if (static_cast<size_t>(snapshot.services_size()) > kMaxServicesOfPeer) {
    return absl::DataLossError(absl::StrCat(path, ": more services than a peer may have"));
  }
  auto exports = std::make_shared<PeerExports>();
  for (const peer::v1::ServiceSummary& wire : snapshot.services()) {
    auto service = FromWire(wire);
    if (!service.ok())
      return absl::DataLossError(absl::StrCat(path, ": ", service.status().message()));
    std::pair key(service->namespace_, service->name);
    exports->insert_or_assign(std::move(key), *std::move(service));
  }
  return exports;
}

absl::Status PeerSnapshots::Save(const Peer& peer, const PeerExports& exports) const {
  if (mkdir(folder_.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, folder_);
  }
  peer::v1::Snapshot snapshot;
  snapshot.set_trust_domain(peer.trust_domain);
  for (const auto& [name, service] : exports) ToWire(service, *snapshot.add_services());
  return certs::WriteFileAtomically(FileOf(peer.cluster), snapshot.SerializeAsString(), 0600);
}

void PeerSnapshots::Remove(const std::string& cluster) const { unlink(FileOf(cluster).c_str()); }

}  // namespace weft
