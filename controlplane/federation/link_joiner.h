// LinkJoiner: joins the clusters of which a Link names a Secret with a token, and does not say more
// yet, while this weftd leads.
//
// A Secret is asked for by its name when its Link is joined, and never again. Failures are kept,
// for the status of the Link, and tried again, ever more seldom: a token may be replaced, an issuer
// may come back. Needs get of those Secrets. Belongs to one event loop.
#ifndef WEFT_CONTROLPLANE_FEDERATION_LINK_JOINER_H_
#define WEFT_CONTROLPLANE_FEDERATION_LINK_JOINER_H_

#include <functional>
#include <map>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/federation/links.h"
#include "controlplane/sources/kubernetes/client.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

class LinkJoiner {
 public:
  static constexpr absl::Duration kLook = absl::Milliseconds(250);
  static constexpr absl::Duration kAgainFirst = absl::Seconds(2);
  static constexpr absl::Duration kAgainMost = absl::Minutes(1);
  static constexpr absl::Duration kCallTimeout = absl::Seconds(10);

  struct Options {
    std::function<bool()> leads;
    // The Secret of each cluster that waits to be joined.
    std::function<std::map<std::string, std::string>()> awaiting;
  };

  // What is given must outlive this.
  LinkJoiner(EventLoop& loop, KubernetesClient& client, Links& links, Options options);
  LinkJoiner(const LinkJoiner&) = delete;
  LinkJoiner& operator=(const LinkJoiner&) = delete;

  // What came of the last attempt to join a cluster; "" if there was none yet.
  std::string TroubleOf(const std::string& cluster) const;

 private:
  struct Attempt {
    std::string secret;
    std::string trouble;
    absl::Duration again = kAgainFirst;
    MonotonicTime due;
  };

  Task<> Run();
  Task<> JoinNext();
  Task<absl::Status> Join(std::string cluster, std::string secret);
  Task<absl::StatusOr<std::string>> ReadToken(std::string secret);

  EventLoop& loop_;
  KubernetesClient& client_;
  Links& links_;
  const Options options_;
  std::map<std::string, Attempt> attempts_;  // by cluster
  Scope tasks_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_LINK_JOINER_H_
