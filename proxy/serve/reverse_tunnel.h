// Both ends of a connection whose roles are turned round (api/weft/tunnel.proto): a gateway that
// nobody can dial dials the gateway of another cluster, and is the HTTP/2 server from then on.
//
// Each connection has an index, which its server name tells: the dialing side's worker `index mod
// workers` dials it, the other side's worker of that number has it, whichever accepted it. So each
// worker has one, as long as there are as many connections as workers.
#ifndef WEFT_PROXY_SERVE_REVERSE_TUNNEL_H_
#define WEFT_PROXY_SERVE_REVERSE_TUNNEL_H_

#include <cstddef>
#include <string>

#include "absl/strings/string_view.h"
#include "proxy/net/address.h"
#include "proxy/runtime/task.h"

namespace weft {

class Worker;
struct Downstream;

// Accepting side: whether the connection belongs to another worker, and was given to it.
bool HandedOver(Worker& worker, Downstream& downstream, absl::string_view server_name);
// Accepting side, after the handshake: offers the connection to those who open streams, until it
// ends.
Task<> ServeReverseTunnel(Worker& worker, Downstream& downstream);

// Dialing side: keeps connection `index` to a gateway, as the listener of this name says, and
// serves what comes on it. Until it is destroyed.
Task<> KeepDialed(Worker& worker, std::string listener, Address gateway, size_t index);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_REVERSE_TUNNEL_H_
