// The accepting end of connections whose roles are turned round (api/weft/tunnel.proto): a gateway
// that nobody can dial dialed us, and is the HTTP/2 server from now on; we open streams to it.
//
// Each connection has an index, which its server name tells: the worker `index mod workers` has it,
// whichever accepted it. So each worker has one, as long as there are as many as workers, and none
// needs another's. The dialing end is in dials.h.
#ifndef WEFT_PROXY_SERVE_REVERSE_TUNNEL_H_
#define WEFT_PROXY_SERVE_REVERSE_TUNNEL_H_

#include "proxy/runtime/task.h"
#include "proxy/serve/listener_filters.h"

namespace weft {

class Worker;
struct Downstream;

// Whether the connection belongs to another worker, and was given to it with what was read ahead of
// TLS. Then nothing is left of it here.
bool HandedOver(Worker& worker, Downstream& downstream, const Inspected& inspected);

// After the handshake: offers the connection to those who open streams, until it ends. When the
// process drains, it stays as long as somebody needs it: only the other side knows others.
Task<> ServeReverseTunnel(Worker& worker, Downstream& downstream);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_REVERSE_TUNNEL_H_
