// Workers: the threads of the data plane, one loop each, as the main thread sees them.
//
// The main thread posts to every worker and awaits all answers on its own loop; that is the only
// way between them.
#ifndef WEFT_PROXY_SERVE_WORKERS_H_
#define WEFT_PROXY_SERVE_WORKERS_H_

#include <functional>
#include <memory>
#include <thread>
#include <vector>

#include "absl/status/status.h"
#include "proxy/config/snapshot.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"
#include "proxy/serve/access_log.h"
#include "proxy/serve/worker.h"
#include "proxy/telemetry/counters.h"

namespace weft {

class Workers {
 public:
  // Starts `count` threads. `main_loop` must outlive this.
  Workers(EventLoop& main_loop, size_t count, WorkerOptions options);
  // Stops the threads; connections still open are cut.
  ~Workers();

  // Gives every worker the snapshot; the first error of opening a listener, once all are done.
  Task<absl::Status> Adopt(std::shared_ptr<const Snapshot> snapshot);
  Task<Counters> CollectCounters();
  Task<> ResetCounters();
  // Requests under way, by cluster and endpoint key.
  using ActiveByEndpoint = std::map<std::string, std::map<std::string, uint64_t>>;
  Task<ActiveByEndpoint> CollectActive();
  Task<size_t> CountConnections();
  void StartDrain(const DrainOrder& order);
  void SetHealthy(bool healthy);
  void SetOverload(const Overload& overload);

  size_t size() const { return workers_.size(); }

 private:
  // Runs `call` on each worker's thread, and resumes when all have.
  Task<> OnEach(std::function<void(Worker&, size_t index)> call);

  EventLoop& main_loop_;
  std::vector<std::unique_ptr<AccessLog>> access_logs_;  // one of each worker
  std::vector<std::unique_ptr<Worker>> workers_;
  std::vector<std::thread> threads_;
};

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_WORKERS_H_
