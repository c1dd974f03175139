#include "controlplane/federation/peer_server.h"

#include <grpcpp/grpcpp.h>
#include <grpcpp/support/server_callback.h>

#include <deque>
#include <optional>
#include <set>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "api/weft/peer.grpc.pb.h"
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
  State(EventLoop& loop, const Connections& connections, uint64_t epoch, FindPeer find_peer);
  Task<> Beat();

  EventLoop& loop;
  const Connections& connections;
  const uint64_t epoch;
  const FindPeer find_peer;
  std::unique_ptr<grpc::Service> service;
  std::shared_ptr<const OwnState> own;  // null before the first
  std::set<Stream*> streams;
  Scope tasks;
};

// One peer's Watch. Deletes itself on the loop when gRPC is done with it.
class PeerServer::Stream : public grpc::ServerBidiReactor<WatchRequest, WatchResponse> {
 public:
  Stream(State& server, std::string connection)
      : server_(server), connection_(std::move(connection)), feed_(server.epoch) {
    server_.loop.Post([this] { Start(); });
  }
  void OnReadDone(bool ok) override {
    server_.loop.Post([this, ok] { HandleRead(ok); });
  }
  void OnWriteDone(bool ok) override {
    server_.loop.Post([this, ok] { HandleWritten(ok); });
  }
  void OnDone() override {
    server_.loop.Post([this] { delete this; });
  }

  // What is due since the last push; nothing before the peer has greeted, or while it is slow.
  void Push();
  void Beat();

 private:
  ~Stream() override {
    server_.streams.erase(this);
    if (greeted_) Log(LogLevel::kInfo, "peer_left", {{"peer", peer_}});
  }

  void Start();
  void HandleRead(bool ok);
  void HandleWritten(bool ok);
  void End(absl::Status status);

  State& server_;
  const std::string connection_;
  std::string peer_;  // the cluster
  PeerFeed feed_;
  bool greeted_ = false;
  WatchRequest incoming_;
  std::deque<WatchResponse> outgoing_;
  std::optional<absl::Status> ending_;
  bool finished_ = false;
};

void PeerServer::Stream::Start() {
  server_.streams.insert(this);
  std::optional<ConnectionPeer> from = server_.connections.Find(connection_);
  if (!from.has_value() || !from->identity.has_value()) {
    return End(absl::UnauthenticatedError("the peer API needs a client certificate"));
  }
  peer_ = server_.find_peer(*from->identity);
  if (peer_.empty()) {
    return End(absl::PermissionDeniedError(
        absl::StrCat(from->identity->ToString(), " is not the control plane of a linked cluster")));
  }
  StartRead(&incoming_);
}

void PeerServer::Stream::End(absl::Status status) {
  if (!ending_.has_value()) {
    if (!status.ok()) {
      Log(LogLevel::kWarning, "peer_refused",
          {{"peer", peer_}, {"reason", std::string(status.message())}});
    }
    ending_ = std::move(status);
  }
  if (!outgoing_.empty() || finished_) return;
  finished_ = true;
  Finish(grpc::Status(static_cast<grpc::StatusCode>(ending_->code()),
                      std::string(ending_->message())));
}

void PeerServer::Stream::HandleRead(bool ok) {
  if (ending_.has_value()) return;
  if (!ok) return End(absl::OkStatus());
  if (!greeted_) {
    if (!incoming_.has_hello()) {
      return End(absl::InvalidArgumentError("the first message is not a hello"));
    }
    if (incoming_.hello().cluster() != peer_) {
      return End(absl::PermissionDeniedError("the hello names another cluster"));
    }
    greeted_ = true;
    Log(LogLevel::kInfo, "peer_joined", {{"peer", peer_}});
    Push();
  }
  StartRead(&incoming_);
}

void PeerServer::Stream::Push() {
  if (!greeted_ || ending_.has_value() || !outgoing_.empty() || server_.own == nullptr) return;
  for (WatchResponse& message : feed_.Next(server_.own)) outgoing_.push_back(std::move(message));
  if (!outgoing_.empty()) StartWrite(&outgoing_.front());
}

void PeerServer::Stream::Beat() {
  if (!greeted_ || ending_.has_value() || !outgoing_.empty() || server_.own == nullptr) return;
  outgoing_.push_back(feed_.Heartbeat());
  StartWrite(&outgoing_.front());
}

void PeerServer::Stream::HandleWritten(bool ok) {
  outgoing_.pop_front();
  if (!ok || ending_.has_value()) outgoing_.clear();
  if (ending_.has_value()) return End(absl::OkStatus());
  if (!ok) return;  // the read fails too, and ends the stream
  if (!outgoing_.empty()) return StartWrite(&outgoing_.front());
  Push();
}

class PeerServer::Endpoint final
    : public peer::v1::Peer::WithCallbackMethod_Watch<peer::v1::Peer::Service> {
 public:
  explicit Endpoint(State& state) : state_(state) {}

  grpc::ServerBidiReactor<WatchRequest, WatchResponse>* Watch(
      grpc::CallbackServerContext* context) override {
    return new Stream(state_, context->peer());
  }

 private:
  State& state_;
};

PeerServer::State::State(EventLoop& loop, const Connections& connections, uint64_t epoch,
                         FindPeer find_peer)
    : loop(loop),
      connections(connections),
      epoch(epoch),
      find_peer(std::move(find_peer)),
      service(std::make_unique<Endpoint>(*this)) {}

Task<> PeerServer::State::Beat() {
  while (true) {
    co_await Sleep(loop, kPeerHeartbeat);
    for (Stream* stream : streams) stream->Beat();
  }
}

PeerServer::PeerServer(EventLoop& loop, const Connections& connections, uint64_t epoch,
                       FindPeer find_peer)
    : state_(std::make_unique<State>(loop, connections, epoch, std::move(find_peer))) {
  state_->tasks.Spawn(state_->Beat());
}

PeerServer::~PeerServer() = default;

grpc::Service* PeerServer::service() { return state_->service.get(); }

void PeerServer::Publish(std::shared_ptr<const OwnState> own) {
  state_->own = std::move(own);
  for (Stream* stream : state_->streams) stream->Push();
}

}  // namespace weft
