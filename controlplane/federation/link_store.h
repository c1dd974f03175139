// LinkStore: where a cluster keeps its links, and what it knows of the tokens that it has made.
// Two kinds: files of weftd's (link_files.h), and objects of an API server (link_objects.h).
//
// Everything is read anew each time, as operators and other weftds of the cluster change it, too. A
// write says which reading it follows from; it is Aborted where somebody else has written since,
// and then whoever decided has to read and decide again. Belongs to one thread.
#ifndef WEFT_CONTROLPLANE_FEDERATION_LINK_STORE_H_
#define WEFT_CONTROLPLANE_FEDERATION_LINK_STORE_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/federation/link_tokens.h"
#include "controlplane/model/world.h"
#include "proxy/runtime/task.h"

namespace weft {

struct StoredTokens {
  LinkTokens tokens;
  std::string version;  // opaque
};

struct StoredLinks {
  std::map<std::string, Peer> peers;  // by cluster, as they were linked
  // What cannot be read, so that nobody knows whose names it holds: by file or object.
  std::map<std::string, std::string> problems;
  std::map<std::string, std::string> versions;  // opaque; by cluster, also of those not linked yet
};

class LinkStore {
 public:
  virtual ~LinkStore() = default;

  virtual Task<absl::StatusOr<StoredTokens>> LoadTokens() = 0;
  virtual Task<absl::Status> SaveTokens(LinkTokens tokens, std::string version, absl::Time now) = 0;
  // As far as that is known without asking anybody.
  virtual LinkTokens TokensSeen() const = 0;

  virtual Task<absl::StatusOr<StoredLinks>> LoadLinks() = 0;
  // Makes or replaces the link with a cluster.
  virtual Task<absl::Status> PutLink(Peer peer, const StoredLinks& read) = 0;
  // NotFound if there is none.
  virtual Task<absl::Status> RemoveLink(std::string cluster) = 0;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_LINK_STORE_H_
