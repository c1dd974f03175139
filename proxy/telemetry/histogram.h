// Histogram: how many values fell into each of Envoy's Prometheus buckets. Milliseconds of times,
// bytes of sizes. One writer, as all counters; an unused one costs a pointer.
#ifndef WEFT_PROXY_TELEMETRY_HISTOGRAM_H_
#define WEFT_PROXY_TELEMETRY_HISTOGRAM_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "absl/time/time.h"

namespace weft {

class Histogram {
 public:
  // Upper bounds, inclusive; what is above all of them is in one bucket more.
  static constexpr std::array<double, 19> kBounds = {
      0.5,  1,    5,     10,    25,    50,     100,    250,     500,    1000,
      2500, 5000, 10000, 30000, 60000, 300000, 600000, 1800000, 3600000};
  using Buckets = std::array<uint64_t, kBounds.size() + 1>;

  Histogram() = default;
  Histogram(const Histogram& other) { Add(other); }
  Histogram& operator=(const Histogram& other);
  Histogram(Histogram&&) = default;
  Histogram& operator=(Histogram&&) = default;

  // Allocates once, at the first value.
  void Record(double value);
  void Record(absl::Duration time) { Record(absl::ToDoubleMilliseconds(time)); }

  void Add(const Histogram& other);

  uint64_t count() const { return values_ == nullptr ? 0 : values_->count; }
  double sum() const { return values_ == nullptr ? 0 : values_->sum; }
  // Each bucket by itself, not cumulative.
  Buckets buckets() const { return values_ == nullptr ? Buckets{} : values_->buckets; }
  // The value that `part` (0 to 1) of all are not above, as far as the buckets can tell; 0 if there
  // are none.
  double Quantile(double part) const;

 private:
  struct Values {
    Buckets buckets = {};
    uint64_t count = 0;
    double sum = 0;
  };
  Values& values();

  std::unique_ptr<Values> values_;
};

}  // namespace weft

#endif  // WEFT_PROXY_TELEMETRY_HISTOGRAM_H_
