#include "proxy/admin/http_server.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "proxy/http/h1_decoder.h"
#include "proxy/http/h1_encoder.h"
#include "proxy/net/write_all.h"

namespace weft {
namespace {

using Event = H1Decoder::Event;

constexpr size_t kMostConnections = 64;
constexpr absl::Duration kIdle = absl::Seconds(60);
constexpr absl::Duration kWriteTimeout = absl::Seconds(10);

std::string UrlDecode(absl::string_view text) {
  std::string decoded;
  for (size_t i = 0; i < text.size(); ++i) {
    unsigned value;
    if (text[i] == '%' && i + 2 < text.size() &&
        absl::SimpleHexAtoi(text.substr(i + 1, 2), &value)) {
      decoded.push_back(static_cast<char>(value));
      i += 2;
    } else {
      decoded.push_back(text[i] == '+' ? ' ' : text[i]);
    }
  }
  return decoded;
}

AdminRequest ParseRequest(const RequestHead& head) {
  AdminRequest request;
  request.method = head.method;
  const std::pair<absl::string_view, absl::string_view> parts =
      absl::StrSplit(head.path, absl::MaxSplits('?', 1));
  request.path = std::string(parts.first);
  for (absl::string_view pair : absl::StrSplit(parts.second, '&', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parameter =
        absl::StrSplit(pair, absl::MaxSplits('=', 1));
    request.query[UrlDecode(parameter.first)] = UrlDecode(parameter.second);
  }
  return request;
}

// The next event that is not a need for more bytes; kClosed when there will be none.
Task<Event> NextEvent(EventLoop& loop, ByteStream& stream, H1Decoder& decoder, Buffer& in) {
  const MonotonicTime deadline = loop.Now() + kIdle;
  while (true) {
    const Event event = decoder.Next(in);
    if (event != Event::kNeedMore) co_return event;
    const IoResult got = stream.Read(in, Buffer::kBlockSize);
    if (got.status == IoStatus::kEof) decoder.OnEof();
    if (got.status == IoStatus::kError) co_return Event::kClosed;
    if (got.status != IoStatus::kBlocked) continue;
    const bool notified = co_await Wait(loop, {&stream.readable()}, deadline);
    if (!notified) co_return Event::kClosed;
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<AdminServer>> AdminServer::Start(EventLoop& loop,
                                                                const Address& address,
                                                                AdminHandler* handler) {
  Listener::Options options;
  options.reuse_port = false;
  auto listener = Listener::Create(loop, address, options);
  if (!listener.ok()) return listener.status();
  auto server = std::unique_ptr<AdminServer>(new AdminServer(loop, std::move(*listener), handler));
  server->scope_.Spawn(server->Serve());
  return server;
}

Task<> AdminServer::Serve() {
  while (true) {
    std::unique_ptr<TcpStream> stream = co_await listener_->Accept();
    if (scope_.size() < kMostConnections) scope_.Spawn(ServeConnection(std::move(stream)));
  }
}

Task<> AdminServer::ServeConnection(std::unique_ptr<TcpStream> stream) {
  H1Decoder decoder(H1Decoder::Role::kRequests);
  Buffer in;
  Buffer out;
  bool keep_alive = true;
  while (keep_alive) {
    Event event = co_await NextEvent(loop_, *stream, decoder, in);
    if (event != Event::kHead) co_return;
    AdminRequest request = ParseRequest(decoder.request());
    const bool to_head = request.method == "HEAD";
    while (event != Event::kEnd) {
      event = co_await NextEvent(loop_, *stream, decoder, in);
      if (event == Event::kClosed || event == Event::kError) co_return;
      if (event != Event::kBody) continue;
      const size_t size = decoder.body_size();
      in.Consume(size);
      decoder.BodyTaken(size);
    }
    keep_alive = decoder.keep_alive();
    const AdminResponse response = co_await handler_->Handle(std::move(request));
    LocalReply reply;
    reply.status = response.status;
    reply.content_type = response.content_type;
    reply.body = response.body;
    reply.close = !keep_alive;
    reply.to_head = to_head;
    AppendLocalReply(reply, out);
    const bool sent = co_await WriteAll(loop_, *stream, out, loop_.Now() + kWriteTimeout);
    if (!sent) co_return;
    decoder.NextMessage();
  }
}

}  // namespace weft
