#include "controlplane/federation/peer_client.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "api/weft/peer.pb.h"
#include "certs/trust_bundle.h"
#include "controlplane/federation/peer_server.h"
#include "controlplane/federation/peer_view.h"
#include "proxy/base/log.h"
#include "proxy/grpc/grpc_client.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/scope.h"
#include "proxy/tls/tls_stream.h"

namespace weft {

using peer::v1::WatchRequest;
using peer::v1::WatchResponse;

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
        on_change(std::move(on_change)) {}

  Task<> Run();
  Task<absl::Status> Session();
  Task<absl::StatusOr<std::unique_ptr<TlsStream>>> Dial();
  absl::StatusOr<std::shared_ptr<const ClientTlsContext>> MakeContext() const;
  Task<absl::Status> Listen(std::unique_ptr<TlsStream> bytes);
  std::string Hello() const;
  absl::Status Take(GrpcStream& watch);
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
  absl::Status ended = co_await Listen(*std::move(stream));
  co_return ended;
}

std::string PeerClient::Link::Hello() const {
  WatchRequest hello;
  hello.mutable_hello()->set_cluster(self->cluster);
  hello.mutable_hello()->set_network(self->network);
  hello.mutable_hello()->set_mesh_id(self->mesh_id);
  hello.mutable_hello()->set_trust_domain(self->trust_domain);
  return hello.SerializeAsString();
}

Task<absl::Status> PeerClient::Link::Listen(std::unique_ptr<TlsStream> bytes) {
  GrpcConnection::Options options;
  options.authority = PeerServerName(configured.cluster);
  options.scheme = "https";
  options.max_message = kMaxPeerMessage;
  GrpcConnection connection(loop, std::move(bytes), options);
  const auto watch = connection.Open("/weft.peer.v1.Peer/Watch", {});
  absl::Status status = co_await watch->Send(Hello());
  WatchRequest heartbeat;
  heartbeat.mutable_heartbeat();
  view.StartStream();
  connected = true;
  last_heard = loop.Now();
  MonotonicTime next_beat = loop.Now() + kPeerHeartbeat;
  while (status.ok()) {
    status = Take(*watch);
    if (!status.ok()) break;
    if (loop.Now() - last_heard > kPeerSilence) {
      co_return absl::UnavailableError("the peer fell silent");
    }
    if (loop.Now() >= next_beat) {
      next_beat = loop.Now() + kPeerHeartbeat;
      status = co_await watch->Send(heartbeat.SerializeAsString());
    } else {
      co_await Wait(loop, {&watch->received()}, next_beat);
    }
  }
  co_return status;
}

// All that has come.
absl::Status PeerClient::Link::Take(GrpcStream& watch) {
  bool changed = false;
  while (std::optional<GrpcStream::Received> received = watch.TryReceive()) {
    if (!received->ok()) return received->status();
    if (!received->value().has_value()) return absl::UnavailableError("the peer ended the stream");
    WatchResponse message;
    if (!message.ParseFromString(**received.value())) {
      return absl::InvalidArgumentError("not a WatchResponse");
    }
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
