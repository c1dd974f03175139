// TokenBucket: what a rate limit lets through. Pure: time is an argument.
#ifndef WEFT_PROXY_DECIDE_TOKEN_BUCKET_H_
#define WEFT_PROXY_DECIDE_TOKEN_BUCKET_H_

#include <cstdint>

#include "absl/time/time.h"

namespace weft {

class TokenBucket {
 public:
  // Full at `now`; gets `per_fill` tokens each `interval` (in between none), up to `most`. Shares
  // of a token count: a worker's part of a small bucket is not a whole number.
  TokenBucket(double most, double per_fill, absl::Duration interval, absl::Duration now)
      : most_(most), per_fill_(per_fill), interval_(interval), tokens_(most), filled_(now) {}

  bool Take(absl::Duration now) {
    Fill(now);
    if (tokens_ < 1) return false;
    tokens_ -= 1;
    return true;
  }
  uint64_t left() const { return static_cast<uint64_t>(tokens_); }
  uint64_t most() const { return static_cast<uint64_t>(most_); }
  absl::Duration UntilFill(absl::Duration now) const { return filled_ + interval_ - now; }

 private:
  void Fill(absl::Duration now) {
    const int64_t fills = (now - filled_) / interval_;
    if (fills <= 0) return;
    filled_ += fills * interval_;
    tokens_ = tokens_ + static_cast<double>(fills) * per_fill_;
    if (tokens_ > most_) tokens_ = most_;
  }

  double most_;
  double per_fill_;
  absl::Duration interval_;
  double tokens_;
  absl::Duration filled_;
};

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_TOKEN_BUCKET_H_
