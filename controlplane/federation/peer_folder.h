// The linked clusters as files: one YAML (or JSON) mapping for each, in the folder of --peers:
//
//   cluster: west
//   network: west-net
//   trustDomain: west.weft
//   gateways: ["192.0.2.1:15443/15008"]  # mesh TLS, and tunnels if it takes any
//   outboundOnly: false                  # nobody can dial it; then gateways may be []
//   cost: 0                              # of several clusters, lower ones come first
//   acceptConfig: [shop]                 # namespaces it may distribute config to; "*": all
//   roots: |
//     -----BEGIN CERTIFICATE-----
//
// Blocking disk reads of a few small files; polled.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_FOLDER_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_FOLDER_H_

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controlplane/model/world.h"

namespace weft {

// Errors name the field.
absl::StatusOr<Peer> ParsePeer(absl::string_view text);
// What ParsePeer() reads as this peer, as a file of its own says it. Of a Peer whose texts hold no
// end of a line but its roots'.
std::string FormatPeer(const Peer& peer);

class PeerFolder {
 public:
  // `own_cluster` cannot be a peer of itself.
  PeerFolder(std::string folder, std::string own_cluster);

  // Reads the folder again if it changed. A file that does not parse keeps what it last held. True
  // if the peers or the problems changed.
  bool Poll();
  const std::map<std::string, Peer>& peers() const { return peers_; }               // by cluster
  const std::map<std::string, std::string>& problems() const { return problems_; }  // by file
  // The paths of the files that speak of a cluster: one, or those that are in each other's way.
  std::vector<std::string> FilesOf(const std::string& cluster) const;

 private:
  void ReadFile(const std::string& name);

  const std::string folder_;
  const std::string own_cluster_;
  std::map<std::string, std::string> contents_;  // by file name
  std::map<std::string, Peer> last_good_;        // by file name
  std::map<std::string, Peer> peers_;
  std::map<std::string, std::string> problems_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_FOLDER_H_
