// Pump: carries bytes between two streams, both ways, until either ends.
#ifndef WEFT_CONTROLPLANE_TRANSPORT_PUMP_H_
#define WEFT_CONTROLPLANE_TRANSPORT_PUMP_H_

#include "proxy/net/byte_stream.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft {

// Reads no more than the other side takes. Ends when one direction does, by a close or an error:
// HTTP/2, which is all that is carried here, has no use for half a connection. What was read before
// a close is written first. The streams must outlive the task; both are to be closed after it.
Task<> Pump(EventLoop& loop, ByteStream& a, ByteStream& b);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSPORT_PUMP_H_
