// A client's HTTP/2 connection: its requests side by side, each in a task of its own, until either
// side ends it.
#ifndef WEFT_PROXY_SERVE_HTTP2_CONNECTION_H_
#define WEFT_PROXY_SERVE_HTTP2_CONNECTION_H_

#include "proxy/base/buffer.h"
#include "proxy/runtime/task.h"

namespace weft {

struct HttpConnection;

// `already_read` was taken from the connection to find out that it speaks HTTP/2.
Task<> ServeHttp2(HttpConnection& c, Buffer already_read);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_HTTP2_CONNECTION_H_
