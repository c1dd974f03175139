// Further random numbers out of one (splitmix64), for decisions that need several.
#ifndef WEFT_PROXY_DECIDE_RANDOM_H_
#define WEFT_PROXY_DECIDE_RANDOM_H_

#include <cstdint>

namespace weft {

inline uint64_t NextRandom(uint64_t& state) {
  uint64_t z = state += 0x9e3779b97f4a7c15u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return z ^ (z >> 31);
}

// A number below `limit` (not 0), as likely as any other, by the upper half of `random`: a
// multiplication instead of a division.
inline uint64_t Below(uint32_t limit, uint64_t random) { return ((random >> 32) * limit) >> 32; }

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_RANDOM_H_
