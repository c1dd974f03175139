// WriteAll: writes a buffer out, waiting as often as the peer makes it wait.
#ifndef WEFT_PROXY_NET_WRITE_ALL_H_
#define WEFT_PROXY_NET_WRITE_ALL_H_

#include "proxy/base/buffer.h"
#include "proxy/net/byte_stream.h"
#include "proxy/runtime/task.h"

namespace weft {

// False if the connection broke or the deadline passed; what was not written is then left in `out`.
// `out` and `stream` must outlive the task.
Task<bool> WriteAll(EventLoop& loop, ByteStream& stream, Buffer& out, MonotonicTime deadline);

}  // namespace weft

#endif  // WEFT_PROXY_NET_WRITE_ALL_H_
