#include "controlplane/transport/tls_front.h"

#include <string>
#include <thread>
#include <utility>

#include "controlplane/transport/pump.h"
#include "proxy/base/log.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/tls/tls_stream.h"

namespace weft {

// All but `thread` belongs to the loop's thread once that runs.
struct TlsFront::Running {
  Running(Connections& connections, HandOver hand_over)
      : connections(connections), hand_over(std::move(hand_over)) {}

  Task<> Accept();
  Task<> Serve(std::unique_ptr<TcpStream> accepted);

  EventLoop loop;
  std::unique_ptr<Listener> listener;
  Address address;
  std::shared_ptr<const ServerTlsContext> context;
  Connections& connections;
  const HandOver hand_over;
  Scope scope;
  std::thread thread;
};

Task<> TlsFront::Running::Accept() {
  while (true) {
    std::unique_ptr<TcpStream> accepted = co_await listener->Accept();
    if (scope.size() > kMaxConnections) continue;
    scope.Spawn(Serve(std::move(accepted)));
  }
}

Task<> TlsFront::Running::Serve(std::unique_ptr<TcpStream> accepted) {
  const std::string from = accepted->peer_address().ToString();
  auto stream = co_await TlsStream::Accept(loop, std::move(accepted), context, Buffer(),
                                           loop.Now() + kHandshakeTimeout);
  if (!stream.ok()) {
    Log(LogLevel::kInfo, "tls_refused",
        {{"peer", from},
         {"listener", address.ToString()},
         {"reason", std::string(stream.status().message())}});
    co_return;
  }
  ConnectionPeer peer;
  peer.address = from;
  if ((*stream)->peer() != nullptr) peer.identity = (*stream)->peer()->id;

  auto [ours, grpcs] = StreamSocketPair();
  if (ours < 0) co_return;  // out of descriptors: the client tries again
  TcpStream inside(loop, ours);
  const int name = grpcs;
  const uint64_t added = connections.Add(name, std::move(peer));
  hand_over(grpcs);
  co_await Pump(loop, **stream, inside);
  connections.Remove(name, added);
}

absl::StatusOr<std::unique_ptr<TlsFront>> TlsFront::Start(
    const Address& listen, std::shared_ptr<const ServerTlsContext> context,
    Connections& connections, HandOver hand_over) {
  auto running = std::make_unique<Running>(connections, std::move(hand_over));
  Listener::Options options;
  options.reuse_port = false;  // a second process on the port is a mistake to be told of
  auto listener = Listener::Create(running->loop, listen, options);
  if (!listener.ok()) return listener.status();
  running->listener = *std::move(listener);
  running->address = running->listener->address();
  running->context = std::move(context);
  Running* started = running.get();
  running->thread = std::thread([started] {
    started->scope.Spawn(started->Accept());
    started->loop.Run();
    started->scope.Cancel();
  });
  return std::unique_ptr<TlsFront>(new TlsFront(std::move(running)));
}

TlsFront::TlsFront(std::unique_ptr<Running> running) : running_(std::move(running)) {}

TlsFront::~TlsFront() {
  running_->loop.Stop();
  running_->thread.join();
}

void TlsFront::SetContext(std::shared_ptr<const ServerTlsContext> context) {
  running_->loop.Post([running = running_.get(), context = std::move(context)]() mutable {
    running->context = std::move(context);
  });
}

const Address& TlsFront::address() const { return running_->address; }

}  // namespace weft
