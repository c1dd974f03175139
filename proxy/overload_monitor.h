// OverloadMonitor: looks at the process's memory on the main thread, and tells the workers what to
// give up. They hold what they were told as a plain value: nothing is shared.
#ifndef WEFT_PROXY_OVERLOAD_MONITOR_H_
#define WEFT_PROXY_OVERLOAD_MONITOR_H_

#include <cstdint>

#include "proxy/config/overload.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"
#include "proxy/serve/workers.h"

namespace weft {

class OverloadMonitor {
 public:
  // All must outlive this.
  OverloadMonitor(EventLoop& loop, const OverloadConfig& config, Workers& workers)
      : loop_(loop), config_(config), workers_(workers) {}

  // Looks every refresh_interval, until it is destroyed.
  Task<> Run();

  double heap_pressure() const { return pressure_; }  // of the bound; 1: all of it is in use
  const Overload& state() const { return state_; }
  uint64_t shrinks() const { return shrinks_; }  // times free memory was given back

 private:
  void ShrinkHeap();

  EventLoop& loop_;
  const OverloadConfig& config_;
  Workers& workers_;
  double pressure_ = 0;
  Overload state_;
  MonotonicTime shrink_again_;  // not before
  uint64_t shrinks_ = 0;
};

// What is in force at this much of the memory bound.
Overload OverloadAt(const OverloadConfig& config, double pressure);

// Physical memory of this process; 0 if the system does not say.
uint64_t ResidentBytes();

}  // namespace weft

#endif  // WEFT_PROXY_OVERLOAD_MONITOR_H_
