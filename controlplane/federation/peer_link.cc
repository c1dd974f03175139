#include "controlplane/federation/peer_link.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/weft/peer.pb.h"
#include "controlplane/federation/control_plane_id.h"
#include "controlplane/federation/peer_dial.h"
#include "proxy/base/log.h"

namespace weft {

using peer::v1::PeerMessage;

namespace {

// How often it is looked whether the peer has become suspect, or expired.
constexpr absl::Duration kHealthLook = absl::Milliseconds(250);

}  // namespace

// A stream that the peer dialed belongs to the server's call, whose end ends it here, too.
struct PeerLink::Accepted {
  Accepted(PeerLink& link, GrpcCall& call) : link(link), channel(AcceptedChannel(call)) {}
  ~Accepted() {
    if (end.over) return;
    link.Stop(absl::UnavailableError("the peer closed the connection"));
  }
  PeerLink& link;
  const std::unique_ptr<PeerChannel> channel;
  End end;
};

PeerLink::PeerLink(EventLoop& loop, Own own, Peer configured, PeerKnowledge known,
                   OnChange on_change)
    : loop_(loop),
      own_(std::move(own)),
      configured_(std::move(configured)),
      on_change_(std::move(on_change)),
      view_(configured_, std::move(known)),
      started_(loop.Now()),
      prober_(
          loop, [this] { return view_.state().peer; }, own_.certificate, [this] { Changed(); }) {
  tasks_.Spawn(KeepDialing());
  tasks_.Spawn(WatchHealth());
}

PeerLink::~PeerLink() { Stop(absl::CancelledError("the link was removed")); }

// ---- One stream at a time.

bool PeerLink::GivesWayTo(bool dialed_by_us) const {
  if (!session_.has_value() || session_->dialer() == dialed_by_us) return true;
  if (loop_.Now() - session_->last_heard() > kPeerDoubt) return true;
  return StaysWhenTwo(own_.self->cluster, configured_.cluster, dialed_by_us);
}

void PeerLink::Begin(PeerChannel& channel, bool dialed_by_us, End& end) {
  Stop(absl::AbortedError("another stream took its place"));
  session_.emplace(own_.epoch, view_, dialed_by_us, loop_.Now());
  if (!bundle_in_force_.empty()) session_->AckBundle(bundle_in_force_);
  session_->TellConfigs(configs_);
  end_ = &end;
  running_.Spawn(RunSession(channel, end));
}

// Not from within the stream's own task.
void PeerLink::Stop(absl::Status why) {
  running_.Cancel();
  session_.reset();
  if (End* end = std::exchange(end_, nullptr); end != nullptr) {
    end->over = true;
    end->status = std::move(why);
    end->signal.Notify();
  }
  idle_.Notify();
}

Task<> PeerLink::RunSession(PeerChannel& channel, End& end) {
  absl::Status status;
  while (true) {
    status = TakeAll(channel);
    if (!status.ok()) break;
    if (loop_.Now() - session_->last_heard() > kPeerSilence) {
      status = absl::UnavailableError("the peer fell silent");
      break;
    }
    const bool can_send = channel.CanSend();
    if (can_send) SendAll(channel);
    MonotonicTime due = session_->last_heard() + kPeerSilence + absl::Milliseconds(1);
    if (can_send && own_state_ != nullptr) due = std::min(due, session_->NextDue());
    co_await Wait(loop_, {&channel.received(), &channel.sent(), &news_}, due);
  }
  session_.reset();
  end_ = nullptr;
  end.over = true;
  end.status = std::move(status);
  end.signal.Notify();
  idle_.Notify();
}

void PeerLink::SendAll(PeerChannel& channel) {
  for (const PeerMessage& message : session_->Due(own_state_, loop_.Now())) {
    channel.Send(message.SerializeAsString());
  }
  channel.CanSend();  // hands on what it can at once
}

absl::Status PeerLink::TakeAll(PeerChannel& channel) {
  bool changed = false;
  absl::Status status;
  while (status.ok()) {
    auto received = channel.TryReceive();
    if (!received.has_value()) break;
    if (!received->ok()) {
      status = received->status();
      break;
    }
    PeerMessage message;
    if (!message.ParseFromString(**received)) {
      status = absl::InvalidArgumentError("not a PeerMessage");
      break;
    }
    const bool was_synced = session_->synced();
    auto result = session_->OnMessage(message, loop_.Now());
    status = result.status();
    changed |= result.ok() && *result;
    if (session_->synced() && !was_synced) {
      changed = true;  // even if all is as it was known from before
      backoff_ = kPeerBackoffFirst;
      last_error_.clear();
      Log(LogLevel::kInfo, "peer_synced",
          {{"peer", configured_.cluster},
           {"services", absl::StrCat(view_.state().exports->size())}});
    }
  }
  if (session_->greeted()) last_heard_ = session_->last_heard();
  TellRefusals();
  if (changed) {
    prober_.Follow();
    on_change_(state());
  }
  return status;
}

// ---- What we dial.

bool PeerLink::MayDial() const {
  const std::shared_ptr<const Peer> peer = view_.state().peer;
  return !peer->outbound_only && !peer->gateways.empty();
}

Task<> PeerLink::KeepDialing() {
  // Whom nobody can dial has to dial, whatever its name.
  const bool first = own_.self->outbound_only || own_.self->cluster < configured_.cluster;
  while (true) {
    while (session_.has_value()) co_await Wait(loop_, {&idle_});
    if (!first) co_await Sleep(loop_, kPeerDialPatience);
    if (session_.has_value()) continue;
    if (!MayDial()) {
      co_await Sleep(loop_, kPeerDialPatience);
      continue;
    }
    absl::Status ended = co_await DialOnce();
    if (session_.has_value()) continue;  // the peer's own took its place
    if (ended.message() != last_error_) {
      last_error_ = std::string(ended.message());
      Log(LogLevel::kWarning, "peer_away",
          {{"peer", configured_.cluster}, {"reason", last_error_}});
    }
    ++next_gateway_;
    co_await Sleep(loop_, NextBackoff());
  }
}

// Doubles up to the limit; half of it is random, so that peers do not dial in step.
absl::Duration PeerLink::NextBackoff() {
  const absl::Duration now = backoff_ * absl::Uniform(random_, 0.5, 1.0);
  backoff_ = std::min(backoff_ * 2, kPeerBackoffMost);
  return now;
}

// Until the stream has ended.
Task<absl::Status> PeerLink::DialOnce() {
  const std::shared_ptr<const Peer> peer = view_.state().peer;
  const GatewayAddress gateway = peer->gateways[next_gateway_ % peer->gateways.size()];
  auto address = Address::Ip(gateway.address, gateway.port);
  if (!address.ok()) co_return address.status();
  auto context = PeerTlsContext(*peer, ControlPlaneId(peer->trust_domain), own_.certificate());
  if (!context.ok()) co_return context.status();
  auto bytes = co_await DialPeer(loop_, *address, *context, loop_.Now() + kPeerDialTimeout);
  if (!bytes.ok()) co_return bytes.status();
  GrpcConnection::Options options;
  options.authority = PeerServerName(configured_.cluster);
  options.scheme = "https";
  options.max_message = kMaxPeerMessage;
  GrpcConnection connection(loop_, *std::move(bytes), options);
  const auto watch = connection.Open("/weft.peer.v1.Peer/Watch", {});
  const auto channel = DialedChannel(*watch);
  if (!GivesWayTo(/*dialed_by_us=*/true)) co_return absl::AbortedError("joined meanwhile");
  End end;
  Begin(*channel, /*dialed_by_us=*/true, end);
  while (!end.over) co_await Wait(loop_, {&end.signal});
  co_return end.status;
}

// ---- What the peer dials.

Task<absl::Status> PeerLink::Serve(GrpcCall& call) {
  if (!GivesWayTo(/*dialed_by_us=*/false)) {
    co_return absl::AbortedError("there is a stream already, and it stays");
  }
  Accepted accepted(*this, call);
  Begin(*accepted.channel, /*dialed_by_us=*/false, accepted.end);
  while (!accepted.end.over) co_await Wait(loop_, {&accepted.end.signal});
  co_return accepted.end.status;
}

// ---- What is known.

void PeerLink::Publish(std::shared_ptr<const OwnState> own) {
  own_state_ = std::move(own);
  news_.Notify();
}

void PeerLink::AckBundle(std::string sha256) {
  if (sha256 == bundle_in_force_) return;
  bundle_in_force_ = std::move(sha256);
  if (session_.has_value()) session_->AckBundle(bundle_in_force_);
  news_.Notify();
}

void PeerLink::TellConfigs(ConfigsToTell configs) {
  if (configs_.texts == configs.texts && configs_.reports == configs.reports) return;
  configs_ = std::move(configs);
  if (session_.has_value()) session_->TellConfigs(configs_);
  news_.Notify();
}

std::shared_ptr<const ConfigReports> PeerLink::config_reports() const {
  const bool synced = session_.has_value() && session_->synced();
  return synced ? view_.config_reports() : nullptr;
}

PeerState PeerLink::state() const {
  PeerState state = view_.state();
  state.health = health_;
  state.dead_gateways = prober_.dead();
  return state;
}

Task<> PeerLink::WatchHealth() {
  while (true) {
    co_await Sleep(loop_, kHealthLook);
    const PeerHealth now = status().health;
    if (now == std::exchange(health_, now)) continue;
    Changed();
  }
}

void PeerLink::Changed() { on_change_(state()); }

void PeerLink::TellRefusals() {
  if (view_.refused() == told_refused_) return;
  told_refused_ = view_.refused();
  Log(LogLevel::kWarning, "peer_service_refused",
      {{"peer", configured_.cluster},
       {"refused", absl::StrCat(told_refused_)},
       {"last", view_.last_refusal()}});
}

PeerStatus PeerLink::status() const {
  const PeerState known = view_.state();
  PeerStatus status;
  status.cluster = configured_.cluster;
  status.trust_domain = configured_.trust_domain;
  status.connected = session_.has_value();
  status.synced = session_.has_value() && session_->synced();
  status.dialed_by_us = session_.has_value() && session_->dialer();
  if (last_heard_.has_value()) status.heard_ago = loop_.Now() - *last_heard_;
  status.health = PeerHealthAt(status.heard_ago, own_.expiry);
  // What is known is from before we started: it has the same time to be heard of again.
  if (!last_heard_.has_value() && loop_.Now() - started_ >= own_.expiry) {
    status.health = PeerHealth::kExpired;
  }
  status.services = known.exports->size();
  status.refused = view_.refused();
  status.cost = configured_.cost;
  status.outbound_only = known.peer->outbound_only;
  status.draining = known.peer->draining;
  status.gateways = prober_.statuses();
  status.last_error = last_error_;
  return status;
}

}  // namespace weft
