// Fraction: a share of requests, as Envoy's FractionalPercent says it. A value; pure.
#ifndef WEFT_PROXY_CONFIG_FRACTION_H_
#define WEFT_PROXY_CONFIG_FRACTION_H_

#include <cstdint>

namespace weft {

struct Fraction {
  uint32_t numerator = 100;
  uint32_t denominator = 100;

  // Whether a request with this random number is in the share.
  bool Takes(uint64_t random) const {
    return numerator >= denominator || random % denominator < numerator;
  }
  bool always() const { return numerator >= denominator; }
  bool never() const { return numerator == 0; }

  static Fraction Never() { return {0, 100}; }
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_FRACTION_H_
