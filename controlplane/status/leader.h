// Leader: runs a LeaderElection against an API server, on the loop.
//
// Its Lease is `weftd-leader` in namespace `weft-system`; the service account needs get, create and
// update of leases there.
#ifndef WEFT_CONTROLPLANE_STATUS_LEADER_H_
#define WEFT_CONTROLPLANE_STATUS_LEADER_H_

#include <string>

#include "controlplane/sources/kubernetes/client.h"
#include "controlplane/status/leader_election.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

class Leader {
 public:
  static constexpr char kNamespace[] = "weft-system";
  static constexpr char kLease[] = "weftd-leader";
  // Within kRenewDeadline there is time for a second attempt.
  static constexpr absl::Duration kCallTimeout = absl::Seconds(4);

  // `client` must outlive this.
  Leader(EventLoop& loop, KubernetesClient& client, std::string identity);
  Leader(const Leader&) = delete;
  Leader& operator=(const Leader&) = delete;

  // At this moment; true again only after the Lease was won anew.
  bool leads() const { return election_.Leads(loop_.Now()); }

 private:
  Task<> Run();
  Task<> Do(LeaderElection::Step step);
  void Tell(const std::string& trouble);

  EventLoop& loop_;
  KubernetesClient& client_;
  LeaderElection election_;
  bool told_leads_ = false;
  std::string told_trouble_;
  Scope tasks_;
};

// A name that no other weftd, and no other run of this one, has: the machine's, and a random part.
std::string LeaderIdentity();

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_LEADER_H_
