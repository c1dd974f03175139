#include "proxy/overload_monitor.h"

#include <malloc.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>

#include "absl/strings/str_cat.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

// It looks at all free memory, with the allocator's locks held.
constexpr absl::Duration kShrinkInterval = absl::Seconds(10);

}  // namespace

uint64_t ResidentBytes() {
  FILE* statm = fopen("/proc/self/statm", "re");
  if (statm == nullptr) return 0;
  unsigned long size = 0;
  unsigned long resident = 0;
  const int read = fscanf(statm, "%lu %lu", &size, &resident);
  fclose(statm);
  return read == 2 ? uint64_t{resident} * static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) : 0;
}

Overload OverloadAt(const OverloadConfig& config, double pressure) {
  Overload state;
  for (const OverloadTrigger& trigger : config.triggers) {
    if (pressure < trigger.threshold) continue;
    switch (trigger.action) {
      case OverloadAction::kStopAcceptingRequests:
        state.stop_accepting_requests = true;
        break;
      case OverloadAction::kDisableHttpKeepalive:
        state.disable_http_keepalive = true;
        break;
      case OverloadAction::kStopAcceptingConnections:
        state.stop_accepting_connections = true;
        break;
      case OverloadAction::kRejectIncomingConnections:
        state.reject_incoming_connections = true;
        break;
      case OverloadAction::kShrinkHeap:
        break;  // the monitor's own
    }
  }
  return state;
}

// Gives free memory back to the system: it is resident until then, though nobody uses it.
void OverloadMonitor::ShrinkHeap() {
  const auto reached = [this](const OverloadTrigger& trigger) {
    return trigger.action == OverloadAction::kShrinkHeap && pressure_ >= trigger.threshold;
  };
  if (std::none_of(config_.triggers.begin(), config_.triggers.end(), reached)) return;
  if (loop_.Now() < shrink_again_) return;
  shrink_again_ = loop_.Now() + kShrinkInterval;
  ++shrinks_;
  malloc_trim(0);
}

Task<> OverloadMonitor::Run() {
  while (config_.max_heap_bytes > 0) {
    pressure_ = static_cast<double>(ResidentBytes()) / static_cast<double>(config_.max_heap_bytes);
    ShrinkHeap();
    const Overload now = OverloadAt(config_, pressure_);
    if (!(now == state_)) {
      state_ = now;
      workers_.SetOverload(now);
      Log(LogLevel::kWarning, "overload",
          {{"heap_pressure", absl::StrCat(pressure_)},
           {"stop_accepting_requests", now.stop_accepting_requests ? "true" : "false"},
           {"stop_accepting_connections", now.stop_accepting_connections ? "true" : "false"}});
    }
    co_await Sleep(loop_, config_.refresh_interval);
  }
}

}  // namespace weft
