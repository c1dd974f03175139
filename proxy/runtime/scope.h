// Scope: owns tasks that run beside their creator. When the Scope goes, the tasks in it are
// cancelled (destroyed where they wait), so nothing they borrow may go before the Scope does:
// declare it after what its tasks use. A task must not destroy the Scope it runs in.
#ifndef WEFT_PROXY_RUNTIME_SCOPE_H_
#define WEFT_PROXY_RUNTIME_SCOPE_H_

#include <cstddef>

#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft {

class Scope {
 public:
  Scope() = default;
  ~Scope() { Cancel(); }
  Scope(const Scope&) = delete;
  Scope& operator=(const Scope&) = delete;

  // Starts `task` now; it runs until its first wait before Spawn returns.
  void Spawn(Task<> task);
  // Destroys every task. Not from inside one of them.
  void Cancel();

  size_t size() const { return size_; }
  bool empty() const { return size_ == 0; }
  // Notified when the last task ends by itself.
  Signal& emptied() { return emptied_; }

 private:
  struct Root;
  struct Running;
  static Root Run(Task<> task);
  void Remove(Running& running);

  Running* first_ = nullptr;
  size_t size_ = 0;
  Signal emptied_;
};

}  // namespace weft

#endif  // WEFT_PROXY_RUNTIME_SCOPE_H_
