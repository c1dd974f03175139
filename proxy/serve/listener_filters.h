// What is found out of a connection before its filter chain is chosen: the listener filters, in the
// order that config states. All of them together have listener_filters_timeout.
#ifndef WEFT_PROXY_SERVE_LISTENER_FILTERS_H_
#define WEFT_PROXY_SERVE_LISTENER_FILTERS_H_

#include <string>
#include <vector>

#include "proxy/config/listener_config.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/task.h"
#include "proxy/telemetry/counters.h"

namespace weft {

struct Inspected {
  bool tls = false;
  std::string server_name;                         // lower case
  std::vector<std::string> application_protocols;  // ALPN, or what plain HTTP is
};

// False if the connection is to be closed: gone, malformed, or silent for too long. What was read
// is in front of `socket` again, but for a PROXY header, which is gone and whose addresses the
// socket shows. `socket` and `inspected` must outlive the task.
Task<bool> RunListenerFilters(EventLoop& loop, const ListenerConfig& listener, TcpStream& socket,
                              ListenerCounters& counters, Inspected& inspected);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_LISTENER_FILTERS_H_
