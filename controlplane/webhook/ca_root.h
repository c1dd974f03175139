// CaRoot: keeps the ConfigMap `weft-ca-root` of a cluster's namespaces as CaRootBook wants it,
// while this weftd leads.
//
// It watches that ConfigMap by its name, in all namespaces at once, and no other: what somebody
// deletes or edits is put right at once, and a list every so often finds what a watch missed. The
// service account needs list, watch and patch of configmaps, for which a ClusterRole with
// resourceNames will do, and create, which Kubernetes does not know by name.
#ifndef WEFT_CONTROLPLANE_WEBHOOK_CA_ROOT_H_
#define WEFT_CONTROLPLANE_WEBHOOK_CA_ROOT_H_

#include <memory>
#include <string>

#include "absl/time/time.h"
#include "controlplane/sources/kubernetes/client.h"
#include "controlplane/sources/kubernetes/source.h"
#include "controlplane/status/leader.h"
#include "controlplane/status/write_pace.h"
#include "controlplane/webhook/ca_root_book.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft::webhook {

class CaRoot {
 public:
  // Of one namespace: somebody who writes something else there, again and again, is not answered
  // faster.
  static constexpr absl::Duration kAgain = absl::Seconds(2);
  static constexpr absl::Duration kAgainAfterRefusal = absl::Seconds(30);

  // On the loop's thread; what is given must outlive this.
  CaRoot(EventLoop& loop, KubernetesClient& client, const Leader& leader, std::string roots_pem);
  CaRoot(const CaRoot&) = delete;
  CaRoot& operator=(const CaRoot&) = delete;

 private:
  Task<> Run();
  // How long to wait after it.
  Task<absl::Duration> Write(std::string name_space);
  void Tell(const std::string& name_space, const std::string& trouble);

  EventLoop& loop_;
  KubernetesClient& client_;
  const Leader& leader_;
  CaRootBook book_;
  bool listed_ = false;  // what was there at the start
  WritePace pace_;
  Scope tasks_;
  std::unique_ptr<KubernetesSource> source_;
};

}  // namespace weft::webhook

#endif  // WEFT_CONTROLPLANE_WEBHOOK_CA_ROOT_H_
