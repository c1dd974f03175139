// Links: which clusters this one is linked with, as files, and who may become one of them. The
// tokens it has made are in the data folder, each link is a file in the folder of peers, which the
// engine follows. Everything is read again each time, as operators and other weftds of this cluster
// may have changed it. Small files, blocking; belongs to one thread.
//
// What a link is stands behind this interface: in a cluster with an API server, Link objects and
// Secrets could take the place of the files.
#ifndef WEFT_CONTROLPLANE_FEDERATION_LINKS_H_
#define WEFT_CONTROLPLANE_FEDERATION_LINKS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/federation/link_tokens.h"
#include "controlplane/model/world.h"

namespace weft::peer::v1 {
class ClusterDescription;
class JoinRequest;
}  // namespace weft::peer::v1

namespace weft {

class Links {
 public:
  struct Options {
    std::string data_folder;   // of the tokens
    std::string peers_folder;  // made when it is needed
    // This cluster as it is now.
    std::function<std::shared_ptr<const ClusterIdentity>()> self;
    // A linked cluster as it says that it is now: its roots rotate. Null: nothing is known.
    std::function<std::shared_ptr<const Peer>(const std::string& cluster)> current;
    // Links or tokens have changed.
    std::function<void()> on_change;
  };
  explicit Links(Options options) : options_(std::move(options)) {}
  Links(const Links&) = delete;
  Links& operator=(const Links&) = delete;

  // A new token, as text. `life` of zero: kLinkTokenLife. FailedPrecondition if nobody could come
  // by it, as this cluster cannot be dialed.
  absl::StatusOr<std::string> MakeToken(absl::Duration life, absl::Time now);

  // Until when somebody may come with a token; absl::InfinitePast() if there is none.
  absl::Time JoinersUntil(absl::Time now) const { return LoadTokens().ValidUntil(now); }

  // The issuer's side of a Join: links us with the joiner if its token is good; the answer is what
  // we are. A token that the joiner's description is refused with stays good.
  absl::StatusOr<peer::v1::ClusterDescription> Accept(const peer::v1::JoinRequest& request,
                                                      absl::Time now);
  peer::v1::ClusterDescription Describe() const;

  // By cluster, as configured; but roots are those of now.
  std::map<std::string, Peer> All() const;
  // Whether we may be linked with it (MayBeLinked). FailedPrecondition while a file of the folder
  // cannot be read: whose names it holds is not known.
  absl::Status Check(const Peer& peer) const;
  // Links us, or changes how the cluster is reached. Its cost stays, and what config is accepted.
  absl::Status Add(Peer peer);
  // The token that made it is void from then on, also for who joined by it. NotFound if there is no
  // such link.
  absl::Status Remove(const std::string& cluster);
  absl::Status SetCost(const std::string& cluster, uint32_t cost);

 private:
  LinkTokens LoadTokens() const;
  absl::Status SaveTokens(const LinkTokens& tokens, absl::Time now) const;
  absl::Status Write(const Peer& peer);

  const Options options_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_LINKS_H_
