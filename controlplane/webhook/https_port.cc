#include "controlplane/webhook/https_port.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "controlplane/transport/accept_tls.h"

namespace weft::webhook {
namespace {

using Event = HttpStream::Event;

constexpr absl::Duration kSendTimeout = absl::Seconds(10);
// How long a client that was refused may go on sending before it is cut off: cutting it at once
// could take the refusal with it.
constexpr absl::Duration kLinger = absl::Seconds(2);
constexpr HeadLimits kHeadLimits = {16 << 10, 100};

HttpsReply Refusal(int status, std::string why) {
  HttpsReply reply;
  reply.status = status;
  reply.body = std::move(why) + "\n";
  return reply;
}

bool IsJson(const RequestHead& head) {
  const absl::string_view type = head.headers.Get(KnownHeader::kContentType).value_or("");
  return absl::EqualsIgnoreCase(absl::StripAsciiWhitespace(type.substr(0, type.find(';'))),
                                "application/json");
}

// Nothing if the head is one to go on with.
std::optional<HttpsReply> JudgeHead(const H1ServerStream& client, const RequestHead& head) {
  if (head.method != "POST") return Refusal(405, "POST only");
  if (!IsJson(head)) return Refusal(415, "expected content-type application/json");
  const BodyLength length = client.incoming();
  if (length.framing == BodyFraming::kTunnel) return Refusal(400, "no upgrades");
  if (length.framing == BodyFraming::kLength && length.length > HttpsPort::kMaxBody) {
    return Refusal(413, "the body is too large");
  }
  return std::nullopt;
}

void GoOn(H1ServerStream& client) {
  const auto expect = client.request().headers.Get(KnownHeader::kExpect);
  if (!expect.has_value() || !absl::EqualsIgnoreCase(*expect, "100-continue")) return;
  ResponseHead head;
  head.status = 100;
  client.WriteHead(head, BodyLength());
}

}  // namespace

// What one request holds of all that may be held.
class HttpsPort::Held {
 public:
  explicit Held(size_t& all) : all_(all) {}
  ~Held() { all_ -= own_; }
  Held(const Held&) = delete;
  Held& operator=(const Held&) = delete;
  void Add(size_t bytes) {
    own_ += bytes;
    all_ += bytes;
  }

 private:
  size_t& all_;
  size_t own_ = 0;
};

absl::StatusOr<std::unique_ptr<HttpsPort>> HttpsPort::Listen(
    EventLoop& loop, const Address& address, std::shared_ptr<const ServerTlsContext> tls,
    Handler handler) {
  Listener::Options options;
  options.reuse_port = false;  // a second process on the port is a mistake to be told of
  options.ipv4_compat = address.family() == AF_INET6;
  auto listener = Listener::Create(loop, address, options);
  if (!listener.ok()) return listener.status();
  return std::unique_ptr<HttpsPort>(
      new HttpsPort(loop, *std::move(listener), std::move(tls), std::move(handler)));
}

Task<> HttpsPort::Accept() {
  while (true) {
    std::unique_ptr<TcpStream> accepted = co_await listener_->Accept();
    if (connections_.size() >= kMaxConnections) continue;
    connections_.Spawn(Serve(std::move(accepted)));
  }
}

Task<> HttpsPort::Serve(std::unique_ptr<TcpStream> accepted) {
  const auto stream = co_await AcceptTls(loop_, std::move(accepted), tls_, address());
  if (stream != nullptr) co_await ServeRequests(*stream);
}

Task<> HttpsPort::ServeRequests(ByteStream& stream) {
  H1ServerStream client(stream, kHeadLimits);
  while (true) {
    Request request;
    Held held(held_);
    Arrival arrival = co_await Receive(client, request, held);
    if (arrival.gone) break;
    const bool refused = arrival.refusal.has_value();
    HttpsReply reply;
    if (refused) {
      reply = *std::move(arrival.refusal);
    } else {
      reply = co_await handler_(std::move(request.path), std::move(request.body));
    }
    // What is left of a request that was refused would be taken for the next one.
    const bool sent = co_await Send(client, reply, refused);
    if (!sent) co_return;
    if (!client.Reusable()) {
      stream.CloseWrite();
      if (client.HasMore()) co_await Linger(stream);
      co_return;
    }
    client.NextRequest();
  }
  stream.CloseWrite();
}

Task<HttpsPort::Arrival> HttpsPort::Receive(H1ServerStream& client, Request& request, Held& held) {
  Arrival arrival;
  MonotonicTime deadline = loop_.Now() + kIdleTimeout;
  bool begun = false;
  while (true) {
    switch (client.Next()) {
      case Event::kHead:
        arrival.refusal = JudgeHead(client, client.request());
        if (arrival.refusal.has_value()) co_return arrival;
        request.path = client.request().path.substr(0, client.request().path.find('?'));
        GoOn(client);
        break;
      case Event::kBody: {
        const absl::string_view piece = client.body();
        held.Add(piece.size());
        if (request.body.size() + piece.size() > kMaxBody) {
          arrival.refusal = Refusal(413, "the body is too large");
        } else if (held_ > kMaxHeld) {
          arrival.refusal = Refusal(503, "too many requests at once");
        }
        if (arrival.refusal.has_value()) co_return arrival;
        request.body.append(piece.data(), piece.size());
        client.Take(piece.size());
        break;
      }
      case Event::kEnd:
        co_return arrival;
      case Event::kBroken:
        arrival.gone = client.failure().kind != StreamFailure::Kind::kProtocol;
        if (!arrival.gone) {
          arrival.refusal = Refusal(client.failure().status, client.failure().reason);
        }
        co_return arrival;
      case Event::kBlocked: {
        if (!begun && !client.idle()) {
          begun = true;
          deadline = loop_.Now() + kRequestTimeout;
        }
        (void)client.Flush();
        const bool notified = co_await Wait(loop_, {&client.readable()}, deadline);
        if (notified) break;
        arrival.gone = !begun;
        arrival.refusal = Refusal(408, "the request took too long");
        co_return arrival;
      }
    }
  }
}

Task<bool> HttpsPort::Send(H1ServerStream& client, const HttpsReply& reply, bool close) {
  const MonotonicTime deadline = loop_.Now() + kSendTimeout;
  ResponseHead head;
  head.status = reply.status;
  head.headers.Add(KnownHeader::kContentType, reply.content_type);
  if (close) head.headers.Add(KnownHeader::kConnection, "close");
  client.WriteHead(head, {BodyFraming::kLength, reply.body.size()});
  absl::string_view body = reply.body;
  bool ended = false;
  while (true) {
    while (const size_t taken = client.Write(body)) body.remove_prefix(taken);
    if (body.empty() && !std::exchange(ended, true)) client.WriteEnd(Headers());
    const HttpStream::Flushed flushed = client.Flush();
    if (flushed == HttpStream::Flushed::kBroken) co_return false;
    if (flushed == HttpStream::Flushed::kDone && ended) co_return true;
    const bool notified = co_await Wait(loop_, {&client.writable()}, deadline);
    if (!notified) co_return false;
  }
}

Task<> HttpsPort::Linger(ByteStream& stream) {
  const MonotonicTime deadline = loop_.Now() + kLinger;
  Buffer unwanted;
  while (loop_.Now() < deadline) {
    const IoResult read = stream.Read(unwanted, Buffer::kBlockSize);
    unwanted.Clear();
    if (read.status == IoStatus::kEof || read.status == IoStatus::kError) co_return;
    if (read.ok()) {
      // One block a turn, so that whoever sends fast does not hold up the loop.
      co_await Sleep(loop_, absl::ZeroDuration());
      continue;
    }
    const bool notified = co_await Wait(loop_, {&stream.readable()}, deadline);
    if (!notified) co_return;
  }
}

}  // namespace weft::webhook
