// StatusWriter: writes what the StatusBook says, while this weftd leads.
//
// One object at a time, and not faster than kBetweenWrites: a mesh that is read for the first time
// has thousands. A write that finds the object changed (409) is made again with the newer one. The
// service account needs `patch` of the status of the config kinds.
#ifndef WEFT_CONTROLPLANE_STATUS_STATUS_WRITER_H_
#define WEFT_CONTROLPLANE_STATUS_STATUS_WRITER_H_

#include <functional>
#include <string>
#include <vector>

#include "controlplane/sources/kubernetes/client.h"
#include "controlplane/status/leader.h"
#include "controlplane/status/status_book.h"
#include "controlplane/status/write_pace.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

class StatusWriter {
 public:
  // Between looks at what proxies refuse.
  static constexpr absl::Duration kLookAtProxies = absl::Seconds(2);
  static constexpr absl::Duration kAfterConflict = absl::Milliseconds(200);

  // What the book is told at each look.
  struct Reports {
    std::function<std::vector<ProxyRefusal>()> refusals;
    std::function<std::vector<LinkReport>()> links;
  };

  // All on the loop's thread; what is given must outlive this.
  StatusWriter(EventLoop& loop, KubernetesClient& client, const Leader& leader, StatusBook& book,
               Reports reports);
  StatusWriter(const StatusWriter&) = delete;
  StatusWriter& operator=(const StatusWriter&) = delete;

 private:
  Task<> Run();
  // How long to wait after it.
  Task<absl::Duration> Put(StatusBook::Write write);
  absl::Duration OnTrouble(const ObjectKey& key, const std::string& reason);

  EventLoop& loop_;
  KubernetesClient& client_;
  const Leader& leader_;
  StatusBook& book_;
  const Reports reports_;
  WritePace pace_;
  Scope tasks_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_STATUS_WRITER_H_
