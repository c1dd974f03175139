#include "controlplane/federation/peer_client.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/support/client_callback.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "api/weft/peer.grpc.pb.h"
#include "certs/trust_bundle.h"
#include "controlplane/federation/peer_server.h"
#include "controlplane/federation/peer_view.h"
#include "controlplane/transport/pump.h"
#include "proxy/base/log.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/scope.h"
#include "proxy/tls/tls_stream.h"

namespace weft {

using peer::v1::WatchRequest;
using peer::v1::WatchResponse;

namespace {

// What a Watch tells the loop. Shared with gRPC's threads by Watch alone.
struct Inbox {
  std::deque<WatchResponse> messages;
  std::optional<absl::Status> ended;
  Signal news;
};

// How gRPC's threads reach the loop: only while the PeerClient is there, since a call may end after
// both are gone.
class LoopGate {
 public:
  explicit LoopGate(EventLoop& loop) : loop_(&loop) {}
  // `call` is dropped if it is closed.
  void Post(std::function<void()> call) {
    std::lock_guard<std::mutex> lock(mutex_);
    if (loop_ != nullptr) loop_->Post(std::move(call));
  }
  void Close() {
    std::lock_guard<std::mutex> lock(mutex_);
    loop_ = nullptr;
  }

 private:
  std::mutex mutex_;
  EventLoop* loop_;
};

// The gRPC side of one Watch. It outlives whoever started it, if need be: gRPC says when it is
// done, and it deletes itself then. The inbox is reached through a weak pointer, on the loop only.
class Watch final : public grpc::ClientBidiReactor<WatchRequest, WatchResponse> {
 public:
  Watch(std::shared_ptr<LoopGate> loop, std::shared_ptr<grpc::Channel> channel,
        std::weak_ptr<Inbox> inbox, WatchRequest hello)
      : loop_(std::move(loop)), stub_(peer::v1::Peer::NewStub(channel)), inbox_(std::move(inbox)) {
    outgoing_ = std::move(hello);
    stub_->async()->Watch(&context_, this);
    AddHold();
    StartWrite(&outgoing_);
    StartRead(&incoming_);
    StartCall();
  }

  // On the loop's thread. Skipped while a message is still being written: that says as much.
  void Beat() {
    if (writing_ || ended_) return;
    outgoing_.mutable_heartbeat();
    writing_ = true;
    StartWrite(&outgoing_);
  }
  void End() {
    if (ended_) return;
    ended_ = true;
    context_.TryCancel();
    RemoveHold();
  }

  void OnWriteDone(bool) override {
    loop_->Post([this] { writing_ = false; });
  }
  void OnReadDone(bool ok) override {
    loop_->Post([this, ok] { HandleRead(ok); });
  }
  void OnDone(const grpc::Status& status) override {
    absl::Status ended(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
    // Goes with the call, whether that is run or dropped.
    const std::shared_ptr<Watch> self(this, [](Watch* watch) { delete watch; });
    loop_->Post([self, ended] {
      auto inbox = self->inbox_.lock();
      if (inbox == nullptr) return;
      inbox->ended = ended.ok() ? absl::UnavailableError("the peer ended the stream") : ended;
      inbox->news.Notify();
    });
  }

 private:
  ~Watch() override = default;

  void HandleRead(bool ok) {
    if (!ok) return End();
    auto inbox = inbox_.lock();
    if (ended_ || inbox == nullptr) return;
    inbox->messages.push_back(std::move(incoming_));
    inbox->news.Notify();
    incoming_.Clear();
    StartRead(&incoming_);
  }

  const std::shared_ptr<LoopGate> loop_;
  grpc::ClientContext context_;
  std::unique_ptr<peer::v1::Peer::Stub> stub_;
  std::weak_ptr<Inbox> inbox_;
  WatchRequest outgoing_;
  WatchResponse incoming_;
  bool writing_ = true;
  bool ended_ = false;
};

// Ends the Watch when the session that started it goes.
struct WatchEnder {
  Watch* watch;
  const std::shared_ptr<Inbox>& inbox;
  ~WatchEnder() {
    // Once it has ended by itself it is gone.
    if (!inbox->ended.has_value()) watch->End();
  }
};

}  // namespace

std::string PeerServerName(const std::string& cluster) {
  return absl::StrCat("peer.", cluster, ".weft");
}

struct PeerClient::Link {
  Link(EventLoop& loop, std::shared_ptr<const ClusterIdentity> self, Peer peer,
       std::shared_ptr<const PeerExports> known, OwnCertificate own_certificate, OnChange on_change)
      : loop(loop),
        self(std::move(self)),
        configured(peer),
        view(std::move(peer), std::move(known)),
        own_certificate(std::move(own_certificate)),
        on_change(std::move(on_change)),
        gate(std::make_shared<LoopGate>(loop)) {}
  ~Link() {
    tasks.Cancel();
    gate->Close();
  }

  Task<> Run();
  Task<absl::Status> Session();
  Task<absl::StatusOr<std::unique_ptr<TlsStream>>> Dial();
  absl::StatusOr<std::shared_ptr<const ClientTlsContext>> MakeContext() const;
  Task<absl::Status> Listen(TlsStream& stream);
  absl::Status Take(Inbox& inbox);
  void TellRefusals();
  absl::Duration NextBackoff();

  EventLoop& loop;
  const std::shared_ptr<const ClusterIdentity> self;
  const Peer configured;
  PeerView view;
  const OwnCertificate own_certificate;
  const OnChange on_change;

  size_t next_gateway = 0;
  absl::Duration backoff = kPeerBackoffFirst;
  MonotonicTime last_heard;
  size_t told_refused = 0;
  bool connected = false;
  std::string last_error;
  const std::shared_ptr<LoopGate> gate;
  absl::BitGen random;
  Scope tasks;
};

Task<> PeerClient::Link::Run() {
  while (true) {
    absl::Status ended = co_await Session();
    connected = false;
    if (ended.message() != last_error) {
      last_error = std::string(ended.message());
      Log(LogLevel::kWarning, "peer_away", {{"peer", configured.cluster}, {"reason", last_error}});
    }
    ++next_gateway;
    co_await Sleep(loop, NextBackoff());
  }
}

// Doubles up to the limit; half of it is random, so that peers do not dial in step.
absl::Duration PeerClient::Link::NextBackoff() {
  const absl::Duration now = backoff * absl::Uniform(random, 0.5, 1.0);
  backoff = std::min(backoff * 2, kPeerBackoffMost);
  return now;
}

absl::StatusOr<std::shared_ptr<const ClientTlsContext>> PeerClient::Link::MakeContext() const {
  auto bundles = std::make_shared<certs::TrustBundles>();
  absl::Status set = bundles->Set(configured.trust_domain, view.state().peer->roots_pem);
  if (!set.ok()) return set;
  ClientTlsOptions options;
  options.certificate = own_certificate();
  options.server_trust.bundles = std::move(bundles);
  SanMatch control_plane;
  control_plane.type = SanMatch::Type::kUri;
  control_plane.value = ControlPlaneId(configured.trust_domain).ToString();
  options.server_trust.sans = {control_plane};
  options.sni = PeerServerName(configured.cluster);
  options.alpn = {"h2"};
  options.tls13_only = true;
  return ClientTlsContext::Create(std::move(options));
}

Task<absl::StatusOr<std::unique_ptr<TlsStream>>> PeerClient::Link::Dial() {
  const std::vector<GatewayAddress> gateways = view.state().peer->gateways;
  if (gateways.empty()) co_return absl::FailedPreconditionError("no gateways");
  const GatewayAddress& gateway = gateways[next_gateway % gateways.size()];
  auto address = Address::Ip(gateway.address, gateway.port);
  if (!address.ok()) co_return address.status();
  auto context = MakeContext();
  if (!context.ok()) co_return context.status();
  const MonotonicTime deadline = loop.Now() + kPeerDialTimeout;
  ConnectOptions options;
  options.deadline = deadline;
  auto connected = co_await Connect(loop, *address, options);
  if (!connected.ok()) co_return connected.status();
  auto stream = co_await TlsStream::Connect(loop, *std::move(connected), *context, deadline);
  if (!stream.ok()) {
    co_return absl::Status(stream.status().code(), absl::StrCat("TLS with ", address->ToString(),
                                                                ": ", stream.status().message()));
  }
  co_return stream;
}

Task<absl::Status> PeerClient::Link::Session() {
  auto stream = co_await Dial();
  if (!stream.ok()) co_return stream.status();
  absl::Status ended = co_await Listen(**stream);
  co_return ended;
}

Task<absl::Status> PeerClient::Link::Listen(TlsStream& stream) {
  auto [ours, grpcs] = StreamSocketPair();
  if (ours < 0) co_return absl::ResourceExhaustedError("no descriptors left");
  TcpStream inside(loop, ours);
  Scope pumping;
  pumping.Spawn(Pump(loop, stream, inside));

  auto inbox = std::make_shared<Inbox>();
  WatchRequest hello;
  hello.mutable_hello()->set_cluster(self->cluster);
  hello.mutable_hello()->set_network(self->network);
  hello.mutable_hello()->set_mesh_id(self->mesh_id);
  hello.mutable_hello()->set_trust_domain(self->trust_domain);
  // gRPC's default limit for what it receives is kMaxPeerMessage.
  Watch* watch =
      new Watch(gate, grpc::CreateInsecureChannelFromFd("peer", grpcs), inbox, std::move(hello));
  WatchEnder ender{watch, inbox};
  view.StartStream();
  connected = true;
  last_heard = loop.Now();
  MonotonicTime next_beat = loop.Now() + kPeerHeartbeat;
  while (!inbox->ended.has_value()) {
    co_await Wait(loop, {&inbox->news, &pumping.emptied()}, next_beat);
    absl::Status taken = Take(*inbox);
    if (!taken.ok()) co_return taken;
    if (inbox->ended.has_value()) break;
    if (pumping.empty()) co_return absl::UnavailableError("the connection was closed");
    if (loop.Now() - last_heard > kPeerSilence) {
      co_return absl::UnavailableError("the peer fell silent");
    }
    if (loop.Now() < next_beat) continue;
    watch->Beat();
    next_beat = loop.Now() + kPeerHeartbeat;
  }
  co_return *inbox->ended;
}

absl::Status PeerClient::Link::Take(Inbox& inbox) {
  bool changed = false;
  while (!inbox.messages.empty()) {
    const WatchResponse message = std::move(inbox.messages.front());
    inbox.messages.pop_front();
    last_heard = loop.Now();
    const bool was_synced = view.synced();
    auto result = view.OnMessage(message);
    if (!result.ok()) return result.status();
    changed |= *result;
    if (view.synced() && !was_synced) {
      changed = true;  // even if all is as it was known from before
      backoff = kPeerBackoffFirst;
      last_error.clear();
      Log(LogLevel::kInfo, "peer_synced",
          {{"peer", configured.cluster}, {"services", absl::StrCat(view.state().exports->size())}});
    }
  }
  TellRefusals();
  if (changed) on_change(view.state());
  return absl::OkStatus();
}

void PeerClient::Link::TellRefusals() {
  if (view.refused() == told_refused) return;
  told_refused = view.refused();
  Log(LogLevel::kWarning, "peer_service_refused",
      {{"peer", configured.cluster},
       {"refused", absl::StrCat(told_refused)},
       {"last", view.last_refusal()}});
}

PeerClient::PeerClient(EventLoop& loop, std::shared_ptr<const ClusterIdentity> self, Peer peer,
                       std::shared_ptr<const PeerExports> known, OwnCertificate own_certificate,
                       OnChange on_change)
    : link_(std::make_unique<Link>(loop, std::move(self), std::move(peer), std::move(known),
                                   std::move(own_certificate), std::move(on_change))) {
  link_->tasks.Spawn(link_->Run());
}

PeerClient::~PeerClient() = default;

const Peer& PeerClient::configured() const { return link_->configured; }
PeerState PeerClient::state() const { return link_->view.state(); }

PeerStatus PeerClient::status() const {
  PeerStatus status;
  status.cluster = link_->configured.cluster;
  status.connected = link_->connected;
  status.synced = link_->view.synced();
  status.services = link_->view.state().exports->size();
  status.refused = link_->view.refused();
  status.last_error = link_->last_error;
  return status;
}

}  // namespace weft
