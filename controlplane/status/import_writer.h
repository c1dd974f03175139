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
#include "controlplane/status/write_pace.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

class ImportWriter {
 public:
  // Of one object: somebody who writes something else there is not answered faster.
  static constexpr absl::Duration kAgain = absl::Seconds(2);
  static constexpr absl::Duration kAgainAfterRefusal = absl::Seconds(30);
  // After the start: until then not every cluster may have been heard, and nothing is deleted.
  static constexpr absl::Duration kPatience = absl::Seconds(30);

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
  WritePace pace_;
  Scope tasks_;
  std::unique_ptr<KubernetesSource> source_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_IMPORT_WRITER_H_
