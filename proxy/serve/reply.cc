#include "proxy/serve/reply.h"

#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/http/grpc.h"
#include "proxy/serve/exchange.h"
#include "proxy/serve/local_reply.h"

namespace weft {
namespace {

using Event = HttpStream::Event;

// A body smaller than this that is already here is thrown away so that the connection can go on
// after a reply of our own.
constexpr size_t kMostDiscarded = 64 * 1024;

// Whether the rest of the request is here and was skipped.
bool DiscardRequest(HttpStream& client) {
  size_t discarded = 0;
  while (discarded < kMostDiscarded) {
    const Event event = client.Next();
    if (event == Event::kEnd) return true;
    if (event != Event::kBody) return false;
    discarded += client.body().size();
    client.Take(client.body().size());
  }
  return false;
}

// 1xx, 204 and 304 have no body (RFC 9110, section 6.4.1).
bool Bodiless(int status) { return status < 200 || status == 204 || status == 304; }

Task<> WriteBody(Exchange& x, absl::string_view body) {
  const absl::Duration timeout = FlushTimeout(x.connection.config);
  while (!body.empty()) {
    const size_t taken = x.client.Write(body);
    body.remove_prefix(taken);
    if (taken > 0) continue;
    if (x.client.Flush() == HttpStream::Flushed::kBroken) co_return;
    const bool notified = co_await Wait(x.loop(), {&x.client.writable()}, x.loop().Now() + timeout);
    if (!notified) co_return x.client.Abort();
  }
  x.client.WriteEnd(Headers());
}

}  // namespace

ResponseHead ReplyHead(const Answer& answer, bool grpc) {
  ResponseHead head;
  head.status = answer.status;
  head.headers = answer.headers;
  if (grpc) {
    head.status = 200;
    head.headers.Set(KnownHeader::kContentType, "application/grpc");
    head.headers.Set("grpc-status",
                     absl::StrCat(answer.grpc_status.value_or(GrpcStatusOf(answer.status))));
    if (!answer.body.empty()) head.headers.Set("grpc-message", GrpcMessage(answer.body));
  } else if (!answer.body.empty() && !Bodiless(answer.status) &&
             !head.headers.Has(KnownHeader::kContentType)) {
    head.headers.Add(KnownHeader::kContentType, "text/plain");
  }
  return head;
}

void RefuseHead(HttpStream& client, int status, const char* reason) {
  Answer answer;
  answer.status = status;
  answer.body = reason;
  ResponseHead head = ReplyHead(answer, /*grpc=*/false);
  head.headers.Set(KnownHeader::kConnection, "close");
  client.WriteHead(head, {BodyFraming::kLength, answer.body.size()});
  client.Write(answer.body);
  client.WriteEnd(Headers());
}

void RejectMalformed(HttpConnection& c, HttpStream& client) {
  const StreamFailure& failure = client.failure();
  ++c.counters.downstream_rq_rejected;
  c.worker.CountRejection(failure.reason);
  RefuseHead(client, failure.status, failure.reason);
}

Task<> Reply(Exchange& x, Answer answer) {
  if (!x.connection.config.local_reply.empty()) ShapeReply(x, answer);
  const bool received = x.request_received || DiscardRequest(x.client);
  const bool grpc = IsGrpc(x.head.headers);
  ResponseHead head = ReplyHead(answer, grpc);
  x.record.flag = answer.flag;
  x.record.details = answer.details;
  // A rest of the request that is still to come would be taken for the next one.
  if (!received) head.headers.Set(KnownHeader::kConnection, "close");
  BodyLength body;
  if (!grpc && !Bodiless(answer.status)) body = {BodyFraming::kLength, answer.body.size()};
  if (x.head.method == "HEAD" && body.framing == BodyFraming::kLength) {
    head.headers.Set(KnownHeader::kContentLength, absl::StrCat(body.length));
    body = BodyLength();
  }
  StartResponse(x, head, body);
  if (body.framing != BodyFraming::kLength) co_return;
  x.record.bytes_sent = answer.body.size();
  co_await WriteBody(x, answer.body);
}

}  // namespace weft
