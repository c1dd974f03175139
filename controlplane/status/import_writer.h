// ImportWriter: keeps the ServiceImports of a cluster as the ImportBook wants them, while this
// weftd leads.
//
// It watches ServiceImports and namespaces. Where the API server has no such kind, nothing is
// written until it has. The service account needs list, watch, create, patch and delete of
// serviceimports, and patch of their status.
#ifndef WEFT_CONTROLPLANE_STATUS_IMPORT_WRITER_H_
#define WEFT_CONTROLPLANE_STATUS_IMPORT_WRITER_H_

#include <functional>
#include <memory>
#include <string>

#include "controlplane/model/world.h"
#include "controlplane/sources/kubernetes/client.h"
#include "controlplane/sources/kubernetes/source.h"
#include "controlplane/status/import_book.h"
#include "controlplane/status/leader.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

class ImportWriter {
 public:
  // At most 20 a second, as StatusWriter.
  static constexpr absl::Duration kBetweenWrites = absl::Milliseconds(50);
  // Of one object: somebody who writes something else there is not answered faster.
  static constexpr absl::Duration kAgain = absl::Seconds(2);
  static constexpr absl::Duration kAgainAfterRefusal = absl::Seconds(30);
  static constexpr absl::Duration kLook = absl::Milliseconds(250);
  // After the start: until then not every cluster may have been heard, and nothing is deleted.
  static constexpr absl::Duration kPatience = absl::Seconds(30);
  // Ends before another weftd may lead.
  static constexpr absl::Duration kCallTimeout = absl::Seconds(4);
  static constexpr absl::Duration kBackoffFirst = absl::Seconds(1);
  static constexpr absl::Duration kBackoffMost = absl::Seconds(30);

  // The World of now, or null before the first.
  using WorldNow = std::function<std::shared_ptr<const World>()>;

  // On the loop's thread; what is given must outlive this.
  ImportWriter(EventLoop& loop, KubernetesClient& client, const Leader& leader, WorldNow world);
  ImportWriter(const ImportWriter&) = delete;
  ImportWriter& operator=(const ImportWriter&) = delete;

 private:
  Task<> Run();
  std::optional<ImportBook::Write> Next();
  // How long to wait after it.
  Task<absl::Duration> Put(ImportBook::Write write);
  KubernetesRequest RequestFor(const ImportBook::Write& write) const;
  void Tell(const ImportBook::Write& write, const std::string& trouble);

  EventLoop& loop_;
  KubernetesClient& client_;
  const Leader& leader_;
  const WorldNow world_;
  const MonotonicTime started_;
  ImportBook book_;
  bool listed_ = false;  // what was there at the start
  absl::Duration backoff_ = kBackoffFirst;
  std::string told_;
  Scope tasks_;
  std::unique_ptr<KubernetesSource> source_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_IMPORT_WRITER_H_
