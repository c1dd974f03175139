#include "proxy/telemetry/histogram.h"

#include <algorithm>

namespace weft {

Histogram& Histogram::operator=(const Histogram& other) {
  if (this == &other) return *this;
  values_.reset();
  Add(other);
  return *this;
}

Histogram::Values& Histogram::values() {
  if (values_ == nullptr) values_ = std::make_unique<Values>();
  return *values_;
}

void Histogram::Record(double value) {
  Values& to = values();
  const auto bound = std::lower_bound(kBounds.begin(), kBounds.end(), value);
  ++to.buckets[static_cast<size_t>(bound - kBounds.begin())];
  ++to.count;
  to.sum += value;
}

void Histogram::Add(const Histogram& other) {
  if (other.values_ == nullptr) return;
  Values& to = values();
  for (size_t i = 0; i < to.buckets.size(); ++i) to.buckets[i] += other.values_->buckets[i];
  to.count += other.values_->count;
  to.sum += other.values_->sum;
}

double Histogram::Quantile(double part) const {
  if (count() == 0) return 0;
  const Buckets counts = buckets();
  const double wanted = part * static_cast<double>(count());
  double below = 0;
  for (size_t i = 0; i < kBounds.size(); ++i) {
    const double in_bucket = static_cast<double>(counts[i]);
    if (in_bucket > 0 && below + in_bucket >= wanted) {
      const double from = i == 0 ? 0 : kBounds[i - 1];
      return from + (kBounds[i] - from) * (wanted - below) / in_bucket;
    }
    below += in_bucket;
  }
  return kBounds.back();
}

}  // namespace weft
