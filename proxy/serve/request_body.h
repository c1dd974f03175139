// The body of a request before it goes anywhere.
#ifndef WEFT_PROXY_SERVE_REQUEST_BODY_H_
#define WEFT_PROXY_SERVE_REQUEST_BODY_H_

#include <cstddef>
#include <optional>

#include "proxy/runtime/task.h"
#include "proxy/serve/answer.h"

namespace weft {

struct Exchange;

// A client that holds its body back until it is told to go on is told so: we are ready for it,
// whoever serves it. Unless config leaves that to the endpoint.
void AnswerExpectation(Exchange& x);

// Waits until up to `most` bytes of the body are in x.replay, from where they go on as if they had
// been sent before. `partial`: a longer one may follow later, else it is refused. An answer if the
// request ends here.
Task<std::optional<Answer>> BufferBody(Exchange& x, size_t most, bool partial);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_REQUEST_BODY_H_
