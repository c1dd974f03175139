// OutlierDetector: which endpoints of a cluster a worker leaves out for a while because of how they
// answered, as Envoy's outlier detection: so many failures in a row, a success rate far below that
// of the others, a percentage of failures.
//
// Unlike in Envoy each worker judges by what it saw itself, since nothing is shared between
// workers: thresholds in a row and request volumes count per worker, and so do the ejections that
// max_ejection_percent bounds. With W workers an endpoint that always fails is ejected everywhere
// after up to W times as many failures; a volume per interval is reached W times as late.
//
// Unlike in Envoy there is no timer: Judge() is called by the next request, or the worker's upkeep,
// once an interval is over. What nobody asks for needs no judgement.
//
// Pure: time and randomness are arguments. One per worker and cluster (decide/cluster_load.h).
#ifndef WEFT_PROXY_DECIDE_OUTLIER_H_
#define WEFT_PROXY_DECIDE_OUTLIER_H_

#include <cstddef>
#include <cstdint>

#include "absl/time/time.h"
#include "absl/types/span.h"
#include "proxy/config/outlier_config.h"
#include "proxy/telemetry/outlier_counters.h"

namespace weft {

// How the proxy itself saw an attempt fail.
enum class LocalFailure : uint8_t { kConnect, kReset, kTimeout };

// Of one endpoint.
struct OutlierState {
  // Of requests in the interval under way.
  struct Tally {
    uint32_t total = 0;
    uint32_t succeeded = 0;
  };

  uint32_t consecutive_5xx = 0;
  uint32_t consecutive_gateway_failure = 0;
  uint32_t consecutive_local_failure = 0;
  Tally answered;
  Tally local;
  uint32_t ejections = 0;  // what the next ejection's time is multiplied by, less one
  bool ejected = false;
  absl::Duration ejected_until = absl::ZeroDuration();
};

class OutlierDetector {
 public:
  struct Facts {
    absl::Duration now;  // MonotonicTime
    uint64_t random = 0;
    size_t hosts = 0;  // endpoints of the cluster, the ejected ones among them
  };

  // What came of an attempt at the endpoint of `state`. True: it is ejected for that.
  bool OnResponse(const OutlierConfig& config, const Facts& facts, int status, OutlierState& state,
                  OutlierCounters& counters);
  bool OnLocalFailure(const OutlierConfig& config, const Facts& facts, LocalFailure failure,
                      OutlierState& state, OutlierCounters& counters);
  // A connection was made. `final`: nothing more will be known of the attempt (TCP).
  void OnConnected(const OutlierConfig& config, bool final, OutlierState& state);

  // Whether an interval is over.
  bool Due(absl::Duration now) const { return now >= due_; }
  // Lets back in whose time is over, judges the statistics of the interval, and begins the next.
  // True: somebody was ejected or let back in. `hosts` of facts is states.size().
  bool Judge(const OutlierConfig& config, const Facts& facts,
             absl::Span<OutlierState* const> states, OutlierCounters& counters);
  // Lets all back in: the cluster detects no outliers any more. True: there was one.
  bool Forget(absl::Span<OutlierState* const> states, OutlierCounters& counters);
  // The endpoints are others now.
  void Recount(absl::Span<OutlierState* const> states) { ejected_ = CountEjected(states); }

  // Endpoints ejected now.
  size_t ejected() const { return ejected_; }

 private:
  struct Rate;

  static size_t CountEjected(absl::Span<OutlierState* const> states);
  bool OnCode(const OutlierConfig& config, const Facts& facts, int status, OutlierState& state,
              OutlierCounters& counters);
  bool Detected(const OutlierConfig& config, const Facts& facts, uint32_t enforcing,
                OutlierState& state, OutlierCounters::Kind& kind, OutlierCounters& counters);
  void LetIn(OutlierState& state, OutlierCounters& counters);
  bool LetInWhoseTimeIsOver(const Facts& facts, absl::Span<OutlierState* const> states,
                            OutlierCounters& counters);
  bool JudgeRates(const OutlierConfig& config, const Facts& facts,
                  absl::Span<OutlierState* const> states, bool local, OutlierCounters& counters);

  size_t ejected_ = 0;
  absl::Duration due_ = -absl::InfiniteDuration();
};

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_OUTLIER_H_
