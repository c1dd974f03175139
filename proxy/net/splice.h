// Splice: bytes between two streams, both ways, until both sides have ended. Half-close is passed
// on: one side's end ends the other's writing, and the other direction goes on.
#ifndef WEFT_PROXY_NET_SPLICE_H_
#define WEFT_PROXY_NET_SPLICE_H_

#include <cstdint>

#include "proxy/base/buffer.h"
#include "proxy/net/byte_stream.h"
#include "proxy/runtime/task.h"

namespace weft {

enum class SpliceEnd {
  kFinished,     // both sides ended in an orderly way
  kFirstBroke,   // the first stream failed
  kSecondBroke,  // the second did
  kIdle,         // nothing moved for `idle`
};

struct SpliceResult {
  SpliceEnd end = SpliceEnd::kFinished;
  uint64_t to_first = 0;  // bytes written to each
  uint64_t to_second = 0;
};

// `from_first` and `from_second` hold what was already read from each and is still to be passed on.
// The streams stay the caller's and are not closed.
Task<SpliceResult> Splice(EventLoop& loop, ByteStream& first, Buffer from_first, ByteStream& second,
                          Buffer from_second, absl::Duration idle);

}  // namespace weft

#endif  // WEFT_PROXY_NET_SPLICE_H_
