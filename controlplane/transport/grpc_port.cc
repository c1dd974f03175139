#include "controlplane/transport/grpc_port.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/transport/accept_tls.h"
#include "proxy/http/grpc.h"
#include "proxy/stream/h2_connection.h"

namespace weft {
namespace {

H2Connection::Setup MakeSetup(bool secure) {
  H2Connection::Setup setup;
  setup.secure = secure;
  setup.head_timeout = kGrpcHeadTimeout;
  // A stream or two of discovery, one of load reports, a certificate now and then.
  setup.options.max_concurrent_streams = 100;
  // A proxy that vanished without a word is not kept for ever.
  setup.options.keepalive_interval = absl::Seconds(30);
  setup.options.keepalive_timeout = absl::Seconds(20);
  // An answer names everything that is subscribed to, and clients open windows in small steps.
  setup.options.max_inbound_window_update_frames_per_data_frame_sent = 1000;
  return setup;
}

// What is no call at all is refused by HTTP's own means.
void Refuse(HttpStream& stream, int status) {
  ResponseHead head;
  head.status = status;
  stream.WriteHead(head, {});
}

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcPort>> GrpcPort::Listen(EventLoop& loop, const Address& address,
                                                           const GrpcServices& services,
                                                           Options options) {
  Listener::Options listening;
  listening.reuse_port = false;  // two processes on one port would each get a part of the proxies
  listening.ipv4_compat = address.family() == AF_INET6;
  auto listener = Listener::Create(loop, address, listening);
  if (!listener.ok()) return listener.status();
  return std::unique_ptr<GrpcPort>(
      new GrpcPort(loop, *std::move(listener), services, std::move(options)));
}

GrpcPort::GrpcPort(EventLoop& loop, std::unique_ptr<Listener> listener,
                   const GrpcServices& services, Options options)
    : loop_(loop),
      listener_(std::move(listener)),
      services_(services),
      options_(std::move(options)) {
  tasks_.Spawn(Accept());
}

Task<> GrpcPort::Accept() {
  while (true) {
    std::unique_ptr<TcpStream> accepted = co_await listener_->Accept();
    if (tasks_.size() > kMaxGrpcConnections) continue;
    tasks_.Spawn(ServeConnection(std::move(accepted)));
  }
}

Task<> GrpcPort::ServeConnection(std::unique_ptr<TcpStream> accepted) {
  GrpcPeer peer;
  peer.address = accepted->peer_address().ToString();
  if (options_.tls == nullptr) {
    co_await ServeCalls(*accepted, peer);
    co_return;
  }
  peer.secure = true;
  const auto stream = co_await AcceptTls(loop_, std::move(accepted), options_.tls, address());
  if (stream == nullptr) co_return;
  if (stream->peer() != nullptr) {
    peer.identity = stream->peer()->id;
    peer.issuer_key_id = stream->peer()->issuer_key_id;
  }
  co_await ServeCalls(*stream, peer);
}

Task<> GrpcPort::ServeCalls(ByteStream& bytes, const GrpcPeer& peer) {
  H2Connection connection(loop_, bytes, MakeSetup(peer.secure));
  Scope calls;  // ends before the connection that they write to
  while (!connection.ended()) {
    while (std::unique_ptr<HttpStream> stream = connection.TakeRequest()) {
      calls.Spawn(ServeCall(std::move(stream), peer));
    }
    const MonotonicTime idle_end = connection.idle() ? loop_.Now() + kGrpcIdleTimeout : kNever;
    const bool notified =
        co_await Wait(loop_, {&connection.arrived(), &connection.changed()}, idle_end);
    if (!notified) connection.Drain();
  }
}

Task<> GrpcPort::ServeCall(std::unique_ptr<HttpStream> stream, const GrpcPeer& peer) {
  if (stream->Next() != HttpStream::Event::kHead) {
    const StreamFailure& failure = stream->failure();
    if (failure.kind == StreamFailure::Kind::kProtocol) Refuse(*stream, failure.status);
    co_return;
  }
  const RequestHead& head = stream->request();
  if (head.method != "POST") co_return Refuse(*stream, 405);
  if (!IsGrpc(head.headers)) co_return Refuse(*stream, 415);
  GrpcCall call(loop_, *stream, peer, options_.max_message);
  absl::Status status;
  const auto service = services_.find(head.path);
  if (service == services_.end()) {
    status = absl::UnimplementedError(absl::StrCat("no such method: ", head.path));
  } else {
    status = co_await service->second(call);
  }
  co_await call.Finish(status);
}

}  // namespace weft
