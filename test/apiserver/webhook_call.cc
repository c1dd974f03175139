#include "test/apiserver/webhook_call.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/http/h1_decoder.h"
#include "proxy/http/h1_encoder.h"
#include "proxy/net/tcp.h"
#include "proxy/net/write_all.h"
#include "proxy/tls/tls_stream.h"

namespace weft::apiserver {
namespace {

using Event = H1Decoder::Event;

// An AdmissionReview holds a patch of one object.
constexpr size_t kMaxAnswer = 16 << 20;

void AppendPost(const WebhookCall& call, Buffer& out) {
  RequestHead head;
  head.method = "POST";
  head.authority = call.authority;
  head.path = call.path;
  head.headers.Add("Content-Type", "application/json");
  head.headers.Add("Accept", "application/json");
  head.headers.Add("User-Agent", "kube-apiserver-admission");
  head.headers.Add("Connection", "close");
  AppendRequestHead(head, {BodyFraming::kLength, call.body.size()}, out);
  out.Append(call.body);
}

Task<absl::StatusOr<std::string>> ReadAnswer(EventLoop& loop, ByteStream& stream,
                                             MonotonicTime deadline) {
  H1Decoder decoder(H1Decoder::Role::kResponses);
  decoder.ExpectResponse("POST");
  Buffer in;
  std::string body;
  while (true) {
    const Event event = decoder.Next(in);
    if (event == Event::kEnd) break;
    if (event == Event::kClosed) co_return absl::UnavailableError("EOF");
    if (event == Event::kError) co_return absl::UnavailableError(decoder.error().reason);
    if (event == Event::kBody) {
      const size_t size = decoder.body_size();
      body.append(in.data(), size);
      in.Consume(size);
      decoder.BodyTaken(size);
      if (body.size() > kMaxAnswer) co_return absl::UnavailableError("the answer is too large");
    }
    if (event != Event::kNeedMore) continue;
    const IoResult got = stream.Read(in, Buffer::kBlockSize);
    if (got.status == IoStatus::kEof) decoder.OnEof();
    if (got.status == IoStatus::kError) co_return absl::UnavailableError(stream.error());
    if (got.status != IoStatus::kBlocked) continue;
    const bool notified = co_await Wait(loop, {&stream.readable()}, deadline);
    if (!notified) co_return absl::DeadlineExceededError("context deadline exceeded");
  }
  const int status = decoder.response().status;
  if (status != 200) {
    co_return absl::UnavailableError(
        absl::StrCat("the server answered ", status, " ", ReasonPhrase(status)));
  }
  co_return body;
}

absl::Status InTime(const absl::Status& status) {
  if (status.code() != absl::StatusCode::kDeadlineExceeded) return status;
  return absl::DeadlineExceededError("context deadline exceeded");
}

}  // namespace

Task<absl::StatusOr<std::string>> PostToWebhook(EventLoop& loop, WebhookCall call) {
  ClientTlsOptions options;
  options.server_trust.ca_pem = call.ca_pem;
  options.server_trust.verify_host = call.server_name;
  options.sni = call.server_name;
  options.max_sessions = 0;
  auto context = ClientTlsContext::Create(std::move(options));
  if (!context.ok()) co_return context.status();
  ConnectOptions connect;
  connect.deadline = call.deadline;
  auto tcp = co_await Connect(loop, call.address, connect);
  if (!tcp.ok()) co_return InTime(tcp.status());
  auto stream = co_await TlsStream::Connect(loop, *std::move(tcp), *context, call.deadline);
  if (!stream.ok()) co_return InTime(stream.status());
  Buffer out;
  AppendPost(call, out);
  const bool sent = co_await WriteAll(loop, **stream, out, call.deadline);
  if (!sent && loop.Now() >= call.deadline) {
    co_return absl::DeadlineExceededError("context deadline exceeded");
  }
  // A webhook that answers before it has read everything is still heard.
  co_return co_await ReadAnswer(loop, **stream, call.deadline);
}

}  // namespace weft::apiserver
