// A client's HTTP connection, in whichever version it speaks: over HTTP/1 one request after the
// other, over HTTP/2 side by side (http2_connection.h), until either side ends it.
#ifndef WEFT_PROXY_SERVE_HTTP_CONNECTION_H_
#define WEFT_PROXY_SERVE_HTTP_CONNECTION_H_

#include "proxy/config/listener_config.h"
#include "proxy/runtime/task.h"
#include "proxy/serve/connection.h"

namespace weft {

class Worker;

Task<> ServeHttp(Worker& worker, Downstream& downstream, const HttpManagerConfig& config);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_HTTP_CONNECTION_H_
