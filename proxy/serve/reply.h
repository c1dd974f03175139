// Replies of the proxy's own: refusals, redirects, direct responses.
#ifndef WEFT_PROXY_SERVE_REPLY_H_
#define WEFT_PROXY_SERVE_REPLY_H_

#include "proxy/http/head.h"
#include "proxy/runtime/task.h"
#include "proxy/serve/answer.h"

namespace weft {

struct Exchange;
struct HttpConnection;
class HttpStream;

// Answers the request. A gRPC call gets the answer in the form its client understands: a response
// of headers alone with grpc-status and grpc-message.
Task<> Reply(Exchange& x, Answer answer);

// Answers a request whose head is not to be had, and ends the connection.
void RefuseHead(HttpStream& client, int status, const char* reason);
// Answers what came instead of a request, client.failure(), of kind kProtocol; and counts it.
void RejectMalformed(HttpConnection& c, HttpStream& client);

// The head of `answer`, with the body's type if it has one; gRPC has no body then.
ResponseHead ReplyHead(const Answer& answer, bool grpc);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_REPLY_H_
