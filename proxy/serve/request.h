// One request, from its head to the end of its response. Read ServeRequest first: it is the table
// of contents of the data plane.
#ifndef WEFT_PROXY_SERVE_REQUEST_H_
#define WEFT_PROXY_SERVE_REQUEST_H_

#include "proxy/runtime/task.h"

namespace weft {

struct Exchange;

Task<> ServeRequest(Exchange& x);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_REQUEST_H_
