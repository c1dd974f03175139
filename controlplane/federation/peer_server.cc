#include "controlplane/federation/peer_server.h"

#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "api/weft/peer.pb.h"
#include "proxy/base/log.h"
#include "proxy/runtime/scope.h"

namespace weft {

using peer::v1::WatchRequest;
using peer::v1::WatchResponse;

certs::SpiffeId ControlPlaneId(const std::string& trust_domain) {
  certs::SpiffeId id;
  id.trust_domain = trust_domain;
  id.namespace_ = "weft-system";
  id.service_account = "weftd";
  return id;
}

struct PeerServer::State {
  State(EventLoop& loop, uint64_t epoch, FindPeer find_peer)
      : loop(loop), epoch(epoch), find_peer(std::move(find_peer)) {}
  Task<> Beat();
  Task<absl::Status> Watch(GrpcCall& call);

  EventLoop& loop;
  const uint64_t epoch;
  const FindPeer find_peer;
  std::shared_ptr<const OwnState> own;  // null before the first
  std::set<Stream*> streams;
  Scope tasks;
};

// One peer's Watch; lives as long as its call is served.
class PeerServer::Stream {
 public:
  Stream(State& server, GrpcCall& call) : server_(server), call_(call), feed_(server.epoch) {
    server_.streams.insert(this);
  }
  ~Stream() {
    server_.streams.erase(this);
    if (greeted_) Log(LogLevel::kInfo, "peer_left", {{"peer", peer_}});
  }
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;

  Task<absl::Status> Run();
  // There may be news.
  void Push() {
    pushed_ = true;
    due_.Notify();
  }
  // Something is to be said, even if there are none.
  void Beat() {
    beat_ = true;
    due_.Notify();
  }

 private:
  absl::Status Identify();
  absl::Status HandleMessage(const std::string& bytes);
  bool SendDue();

  State& server_;
  GrpcCall& call_;
  std::string peer_;  // the cluster
  PeerFeed feed_;
  bool greeted_ = false;
  bool pushed_ = false;
  bool beat_ = false;
  Signal due_;
};

Task<absl::Status> PeerServer::Stream::Run() {
  absl::Status status = Identify();
  std::string message;
  while (status.ok()) {
    const GrpcCall::Event event = call_.Next(&message);
    if (event == GrpcCall::Event::kEnd) co_return call_.status();
    if (event == GrpcCall::Event::kMessage) {
      status = HandleMessage(message);
      continue;
    }
    while (call_.Flush() && SendDue()) {
    }
    co_await Wait(server_.loop, {&call_.readable(), &call_.writable(), &due_});
  }
  Log(LogLevel::kWarning, "peer_refused",
      {{"peer", peer_}, {"reason", std::string(status.message())}});
  co_return status;
}

absl::Status PeerServer::Stream::Identify() {
  const std::optional<certs::SpiffeId>& identity = call_.peer().identity;
  if (!identity.has_value()) {
    return absl::UnauthenticatedError("the peer API needs a client certificate");
  }
  peer_ = server_.find_peer(*identity);
  if (!peer_.empty()) return absl::OkStatus();
  return absl::PermissionDeniedError(
      absl::StrCat(identity->ToString(), " is not the control plane of a linked cluster"));
}

absl::Status PeerServer::Stream::HandleMessage(const std::string& bytes) {
  WatchRequest request;
  if (!request.ParseFromString(bytes)) return absl::InvalidArgumentError("not a WatchRequest");
  if (greeted_) return absl::OkStatus();
  if (!request.has_hello()) {
    return absl::InvalidArgumentError("the first message is not a hello");
  }
  if (request.hello().cluster() != peer_) {
    return absl::PermissionDeniedError("the hello names another cluster");
  }
  greeted_ = pushed_ = true;
  Log(LogLevel::kInfo, "peer_joined", {{"peer", peer_}});
  return absl::OkStatus();
}

// When the peer has taken all that was sent: a slow one gets what is new then, and no heartbeats in
// between. False if there is nothing to send.
bool PeerServer::Stream::SendDue() {
  if (!greeted_ || server_.own == nullptr) return false;
  bool sent = false;
  if (std::exchange(pushed_, false)) {
    for (const WatchResponse& message : feed_.Next(server_.own)) {
      call_.Send(message.SerializeAsString());
      sent = true;
    }
  }
  if (std::exchange(beat_, false) && !sent) {
    call_.Send(feed_.Heartbeat().SerializeAsString());
    sent = true;
  }
  return sent;
}

Task<absl::Status> PeerServer::State::Watch(GrpcCall& call) {
  Stream stream(*this, call);
  absl::Status ended = co_await stream.Run();
  co_return ended;
}

Task<> PeerServer::State::Beat() {
  while (true) {
    co_await Sleep(loop, kPeerHeartbeat);
    for (Stream* stream : streams) stream->Beat();
  }
}

PeerServer::PeerServer(EventLoop& loop, uint64_t epoch, FindPeer find_peer)
    : state_(std::make_unique<State>(loop, epoch, std::move(find_peer))) {
  state_->tasks.Spawn(state_->Beat());
}

PeerServer::~PeerServer() = default;

void PeerServer::AddTo(GrpcServices& services) {
  services["/weft.peer.v1.Peer/Watch"] = [this](GrpcCall& call) { return state_->Watch(call); };
}

void PeerServer::Publish(std::shared_ptr<const OwnState> own) {
  state_->own = std::move(own);
  for (Stream* stream : state_->streams) stream->Push();
}

}  // namespace weft
