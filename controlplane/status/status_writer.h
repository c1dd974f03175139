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
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

class StatusWriter {
 public:
  // At most 20 a second: a small part of what one client may ask of an API server.
  static constexpr absl::Duration kBetweenWrites = absl::Milliseconds(50);
  // Between looks at what there is to do, and at what proxies refuse.
  static constexpr absl::Duration kLook = absl::Milliseconds(250);
  static constexpr absl::Duration kLookAtProxies = absl::Seconds(2);
  // Ends before another weftd may lead.
  static constexpr absl::Duration kCallTimeout = absl::Seconds(4);
  static constexpr absl::Duration kAfterConflict = absl::Milliseconds(200);
  static constexpr absl::Duration kBackoffFirst = absl::Seconds(1);
  static constexpr absl::Duration kBackoffMost = absl::Seconds(30);

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
  absl::Duration backoff_ = kBackoffFirst;
  std::string told_;
  Scope tasks_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_STATUS_WRITER_H_
