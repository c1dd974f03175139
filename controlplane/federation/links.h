// Links: which clusters this one is linked with, and who may become one of them. What it knows of
// either is kept in a LinkStore and read again each time, as operators and other weftds of this
// cluster may have changed it. Belongs to one thread; tasks may run side by side.
#ifndef WEFT_CONTROLPLANE_FEDERATION_LINKS_H_
#define WEFT_CONTROLPLANE_FEDERATION_LINKS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/federation/link_store.h"
#include "controlplane/model/world.h"
#include "proxy/runtime/task.h"

namespace weft::peer::v1 {
class ClusterDescription;
class JoinRequest;
class LinkToken;
}  // namespace weft::peer::v1

namespace weft {

class Links {
 public:
  struct Options {
    // This cluster as it is now.
    std::function<std::shared_ptr<const ClusterIdentity>()> self;
    // A linked cluster as it says that it is now: its roots rotate. Null: nothing is known.
    std::function<std::shared_ptr<const Peer>(const std::string& cluster)> current;
    // Somebody may come with a token that was made just now.
    std::function<void()> on_token;
  };
  // How often something is decided again since others have written meanwhile.
  static constexpr int kMostAttempts = 5;

  // Must outlive its tasks.
  Links(std::unique_ptr<LinkStore> store, Options options)
      : store_(std::move(store)), options_(std::move(options)) {}
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  // A new token, as text. `life` of zero: kLinkTokenLife. FailedPrecondition if nobody could come
  // by it, as this cluster cannot be dialed.
  Task<absl::StatusOr<std::string>> MakeToken(absl::Duration life, absl::Time now);

  // Until when somebody may come with a token; absl::InfinitePast() if there is none.
  absl::Time JoinersUntil(absl::Time now) const { return store_->TokensSeen().ValidUntil(now); }

  // The issuer's side of a Join: links us with the joiner if its token is good; the answer is what
  // we are. A token that the joiner's description is refused with stays good.
  Task<absl::StatusOr<peer::v1::ClusterDescription>> Accept(peer::v1::JoinRequest request,
                                                            absl::Time now);
  peer::v1::ClusterDescription Describe() const;

  // By cluster, as configured; but roots are those of now.
  Task<absl::StatusOr<std::map<std::string, Peer>>> All() const;
  // Whether we may be linked with it (MayBeLinked). FailedPrecondition while something in the store
  // cannot be read: whose names it holds is not known.
  Task<absl::Status> Check(Peer peer) const;
  // Links us, or changes how the cluster is reached. Its cost stays, and what config is accepted.
  Task<absl::Status> Add(Peer peer);
  // The token that made it is void from then on, also for who joined by it. NotFound if there is no
  // such link.
  Task<absl::Status> Remove(std::string cluster);
  Task<absl::Status> SetCost(std::string cluster, uint32_t cost);

 private:
  // One attempt each; Aborted if it has to be made again.
  Task<absl::Status> TryToKeep(const peer::v1::LinkToken& token, absl::Time now);
  Task<absl::Status> TryToAccept(const peer::v1::JoinRequest& request, absl::Time now);
  Task<absl::Status> TryToAdd(const Peer& peer);
  Task<absl::Status> TryToForget(const std::string& cluster, absl::Time now);
  Task<absl::Status> TryToSetCost(const std::string& cluster, uint32_t cost);
  // The links as they are, if we may be linked with `peer` beside them.
  Task<absl::StatusOr<StoredLinks>> LinksBeside(const Peer& peer) const;
  std::map<std::string, Peer> AsOfNow(std::map<std::string, Peer> peers) const;

  const std::unique_ptr<LinkStore> store_;
  const Options options_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_LINKS_H_
