#include "proxy/serve/fault_filter.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "proxy/decide/match_route.h"
#include "proxy/serve/exchange.h"

namespace weft {
namespace {

bool Concerns(const FaultConfig& fault, const Exchange& x) {
  if (!fault.upstream_cluster.empty() &&
      (x.target == nullptr || x.target->cluster != fault.upstream_cluster)) {
    return false;
  }
  if (!fault.downstream_nodes.empty()) {
    const auto node = x.head.headers.Get("x-envoy-downstream-service-node").value_or("");
    if (std::find(fault.downstream_nodes.begin(), fault.downstream_nodes.end(), node) ==
        fault.downstream_nodes.end()) {
      return false;
    }
  }
  return HeadersMatch(fault.headers, x.head);
}

// Counts a fault for as long as it is under way, wherever its coroutine ends.
class ActiveFault {
 public:
  explicit ActiveFault(std::shared_ptr<uint32_t> active) : active_(std::move(active)) {
    ++*active_;
  }
  ~ActiveFault() { --*active_; }
  ActiveFault(const ActiveFault&) = delete;
  ActiveFault& operator=(const ActiveFault&) = delete;

 private:
  const std::shared_ptr<uint32_t> active_;
};

Answer Abort(const FaultConfig& fault) {
  Answer answer{fault.abort_status,
                ResponseFlag::kFaultInjected,
                "fault_filter_abort",
                "fault filter abort",
                {}};
  // A request that is no call is refused all the same.
  if (fault.abort_grpc_status.has_value()) answer.status = 503;
  answer.grpc_status = fault.abort_grpc_status;
  return answer;
}

// No lambda in a coroutine.
FilterState& CountersOf(Exchange& x, const ActiveFilter& active) {
  return StateOf(x, active.shared(), [&x] {
    return CounterNames(HttpPrefix(x, "fault"),
                        {"delays_injected", "aborts_injected", "faults_overflow"});
  });
}

}  // namespace

Task<std::optional<Answer>> RunFault(Exchange& x, const ActiveFilter& active) {
  const FaultConfig& fault = active.config<FaultConfig>();
  if (!Concerns(fault, x)) co_return std::nullopt;
  const bool delayed =
      fault.delay > absl::ZeroDuration() && fault.delay_share.Takes(x.worker().Random());
  const bool aborted = fault.abort_share.Takes(x.worker().Random());
  if (!delayed && !aborted) co_return std::nullopt;
  FilterState& state = CountersOf(x, active);
  if (fault.max_active.has_value() && *state.active_faults >= *fault.max_active) {
    ++*state.counters[2];
    co_return std::nullopt;
  }
  uint64_t* const aborts = state.counters[1];
  const ActiveFault under_way(state.active_faults);
  if (delayed) {
    ++*state.counters[0];
    x.record.AddFlag(ResponseFlag::kDelayInjected);
    co_await Sleep(x.loop(), fault.delay);
  }
  if (!aborted) co_return std::nullopt;
  ++*aborts;
  co_return Abort(fault);
}

}  // namespace weft
