// The end of a connection whose peer may still be sending.
#ifndef WEFT_PROXY_SERVE_LINGER_H_
#define WEFT_PROXY_SERVE_LINGER_H_

#include "proxy/net/byte_stream.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft {

// Reads from a client that was told why its connection ends, and throws away, until it ends its
// side or some time is over: closing earlier would reset the connection, and could take what it was
// told with it. Our side is closed already.
Task<> Linger(EventLoop& loop, ByteStream& stream);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_LINGER_H_
