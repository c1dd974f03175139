// What a peer exported, kept on disk: a control plane that starts while the peer is away goes on
// from there, and never takes a peer's services from its proxies only because it was restarted.
//
// One small file for each peer. Blocking disk access. What is read back went through the same
// checks as what comes over the wire.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_SNAPSHOT_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_SNAPSHOT_H_

#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controlplane/federation/peer_view.h"

namespace weft {

// As bytes; pure.
std::string EncodeSnapshot(const Peer& configured, const PeerKnowledge& knowledge);
// NotFound if it is of another trust domain: that is another cluster, even under the same name.
// DataLoss if it is not whole, or holds what a peer may not say.
absl::StatusOr<PeerKnowledge> DecodeSnapshot(const Peer& configured, absl::string_view bytes);

class PeerSnapshots {
 public:
  // The folder is made when the first one is saved.
  explicit PeerSnapshots(std::string folder) : folder_(std::move(folder)) {}

  // Errors as of DecodeSnapshot(), with the file; NotFound also if there is none.
  absl::StatusOr<PeerKnowledge> Load(const Peer& configured) const;
  // Replaces the file as a whole; a crash leaves the old one or the new one.
  absl::Status Save(const Peer& configured, const PeerKnowledge& knowledge) const;
  void Remove(const std::string& cluster) const;

 private:
  std::string FileOf(const std::string& cluster) const;

  const std::string folder_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_SNAPSHOT_H_
