// LinkFiles: links as files of the folder of peers (peer_folder.h), which the engine follows, and
// tokens as one file in weftd's data folder. Small files, blocking: no task of it ever waits.
#ifndef WEFT_CONTROLPLANE_FEDERATION_LINK_FILES_H_
#define WEFT_CONTROLPLANE_FEDERATION_LINK_FILES_H_

#include <functional>
#include <string>

#include "controlplane/federation/link_store.h"
#include "controlplane/federation/peer_folder.h"

namespace weft {

class LinkFiles final : public LinkStore {
 public:
  struct Options {
    std::string own_cluster;
    std::string data_folder;   // of the tokens
    std::string peers_folder;  // made when it is needed
    // Links have changed.
    std::function<void()> on_change;
  };
  explicit LinkFiles(Options options) : options_(std::move(options)) {}
  LinkFiles(const LinkFiles&) = delete;
  LinkFiles& operator=(const LinkFiles&) = delete;

  Task<absl::StatusOr<StoredTokens>> LoadTokens() override;
  Task<absl::Status> SaveTokens(LinkTokens tokens, std::string version, absl::Time now) override;
  LinkTokens TokensSeen() const override;
  Task<absl::StatusOr<StoredLinks>> LoadLinks() override;
  Task<absl::Status> PutLink(Peer peer, const StoredLinks& read) override;
  Task<absl::Status> RemoveLink(std::string cluster) override;

 private:
  PeerFolder Read() const;
  absl::Status Write(const Peer& peer);
  absl::Status Remove(const std::string& cluster);

  const Options options_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_LINK_FILES_H_
