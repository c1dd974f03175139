// local_reply_config: what a listener makes of the proxy's own answers.
#ifndef WEFT_PROXY_SERVE_LOCAL_REPLY_H_
#define WEFT_PROXY_SERVE_LOCAL_REPLY_H_

#include "proxy/serve/answer.h"

namespace weft {

struct Exchange;

// Changes status, body and headers of `answer` as the first mapper that wants it says, then puts
// its body into the listener's format. Only where the config has any of that.
void ShapeReply(Exchange& x, Answer& answer);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_LOCAL_REPLY_H_
