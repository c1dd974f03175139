// A connection passed through as bytes: choose a cluster, connect, splice.
#ifndef WEFT_PROXY_SERVE_TCP_CONNECTION_H_
#define WEFT_PROXY_SERVE_TCP_CONNECTION_H_

#include "proxy/config/listener_config.h"
#include "proxy/runtime/task.h"
#include "proxy/serve/connection.h"

namespace weft {

class Worker;

Task<> ServeTcp(Worker& worker, Downstream& downstream, const TcpProxyConfig& config);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_TCP_CONNECTION_H_
