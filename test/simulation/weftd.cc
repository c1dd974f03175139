#include "test/simulation/weftd.h"

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "certs/spiffe_id.h"
#include "controlplane/federation/config_reports.h"
#include "controlplane/federation/peer_snapshot.h"

namespace weft::simulation {
namespace {

using peer::v1::PeerMessage;

constexpr absl::Duration kTick = absl::Milliseconds(250);
constexpr absl::Duration kSnapshotPeriod = absl::Seconds(1);
constexpr absl::Duration kSyncTakes = absl::Milliseconds(10);
constexpr absl::Duration kSilence = absl::Seconds(5);
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
constexpr absl::Duration kLongestBackoff = absl::Seconds(2);
// For how long the cluster whose name comes later waits to be dialed.
constexpr absl::Duration kWaitsForOther = absl::Milliseconds(1500);
constexpr char kEpochFile[] = "epoch";
constexpr char kDistributionFile[] = "distribution";

std::string SnapshotFile(int peer) { return absl::StrCat("peers/", NameOf(peer)); }

certs::SpiffeId ControlPlaneOf(int cluster) { return {DomainOf(cluster), "weft-system", "weftd"}; }

// What a certificate says of itself.
absl::StatusOr<certs::SpiffeId> Claimed(const Chain& chain) {
  auto names = certs::ReadSubjectAltNames(chain.front().x509());
  if (!names.ok()) return names.status();
  if (names->uris.size() != 1) return absl::UnauthenticatedError("no URI");
  return certs::SpiffeId::Parse(names->uris.front());
}

}  // namespace

std::string NameOf(int cluster) { return absl::StrCat("c", cluster); }

Weftd::Weftd(Context& context, Network& network, Disk& disk, Setup setup, Surroundings surroundings)
    : context_(context),
      network_(network),
      disk_(disk),
      setup_(std::move(setup)),
      surroundings_(std::move(surroundings)),
      maker_(setup_.self, ExportPolicy::kAll),
      gateways_(setup_.gateways) {}

void Weftd::Start() {
  running_ = true;
  LoadEpoch();
  LoadDistribution();
  for (const auto& [peer, configured] : setup_.peers) {
    Link& link = links_[peer];
    LoadSnapshot(peer, link);
    if (link.view == nullptr) return;
    link.backoff = kFirstBackoff;
    link.next_dial = now() + (DialsFirst(peer) ? absl::ZeroDuration() : kWaitsForOther);
  }
  TakePeers();
  context_.journal.Note(setup_.self->cluster, ": weftd starts, epoch ", epoch_);
  Tick();
  KeepSnapshots();
}

void Weftd::Stop(bool silent) {
  running_ = false;
  for (auto& [peer, link] : links_) {
    if (link.session != nullptr) network_.Close(link.connection, link.dialed_by_us, silent);
    link.session.reset();
  }
}

bool Weftd::DialsFirst(int peer) const {
  return setup_.self->outbound_only || setup_.self->cluster < NameOf(peer);
}

// As weftd does: rises with each start, whatever the clock says.
void Weftd::LoadEpoch() {
  epoch_ = static_cast<uint64_t>(absl::ToUnixMillis(surroundings_.clock()));
  uint64_t last = 0;
  const auto stored = disk_.Read(kEpochFile);
  const bool rises = context_.defences().rising_epochs;
  if (rises && stored.has_value() && absl::SimpleAtoi(*stored, &last) && last >= epoch_) {
    epoch_ = last + 1;
  }
  disk_.Write(kEpochFile, absl::StrCat(epoch_));
  disk_.Sync();
}

void Weftd::LoadSnapshot(int peer, Link& link) {
  const Peer& configured = setup_.peers.at(peer);
  PeerKnowledge known;
  if (const auto bytes = disk_.Read(SnapshotFile(peer))) {
    auto decoded = DecodeSnapshot(configured, *bytes);
    if (!decoded.ok()) {
      context_.Fail(setup_.self->cluster, " cannot read its snapshot of ", NameOf(peer), ": ",
                    decoded.status().message());
      return;
    }
    known = *std::move(decoded);
  }
  link.view = std::make_unique<PeerView>(configured, std::move(known));
}

void Weftd::LoadDistribution() {
  Distribution::Records records;
  if (const auto bytes = disk_.Read(kDistributionFile)) {
    auto decoded = DecodeRecords(*bytes);
    if (!decoded.ok()) {
      return context_.Fail(setup_.self->cluster,
                           " cannot read what it distributes: ", decoded.status().message());
    }
    records = *std::move(decoded);
  }
  distribution_.emplace(setup_.self->cluster, std::move(records));
}

void Weftd::KeepSnapshots() {
  if (!running_ || cut_off_) return;
  bool wrote = false;
  for (auto& [peer, link] : links_) {
    if (link.written == link.changes) continue;
    if (context_.defences().snapshot_on_disk) {
      disk_.Write(SnapshotFile(peer),
                  EncodeSnapshot(setup_.peers.at(peer), link.view->knowledge()));
    }
    link.written = link.changes;
    wrote = true;
  }
  const auto self = weak_from_this();
  if (wrote) {
    context_.time.After(kSyncTakes, [self] {
      if (const auto weftd = self.lock()) weftd->SyncDisk();
    });
  }
  context_.time.After(kSnapshotPeriod, [self] {
    if (const auto weftd = self.lock()) weftd->KeepSnapshots();
  });
}

void Weftd::SyncDisk() {
  if (!running_ || cut_off_) return;
  disk_.Sync();
  for (auto& [peer, link] : links_) link.saved = link.written;
}

// What a loop's timers do.
void Weftd::Tick() {
  if (!running_) return;
  for (auto& [peer, link] : links_) {
    if (link.session != nullptr) {
      if (now() - link.session->last_heard() > kSilence) End(peer, "fell silent");
    } else if (!link.dialing && now() >= link.next_dial) {
      Dial(peer, link);
    }
  }
  Distribute();
  context_.time.After(kTick, [self = weak_from_this()] {
    if (const auto weftd = self.lock()) weftd->Tick();
  });
}

// As ConfigDistribution::Look().
void Weftd::Distribute() {
  if (!ready()) return;
  Distribution::Heard heard;
  for (const auto& [peer, link] : links_) {
    heard[NameOf(peer)] = Synced(peer) ? link.view->config_reports() : nullptr;
  }
  distribution_->Advance(heard, now());
  if (!cut_off_ && records_written_ != distribution_->records_version()) {
    records_written_ = distribution_->records_version();
    disk_.Write(kDistributionFile, EncodeRecords(distribution_->records()));
    disk_.Sync();
  }
  for (auto& [peer, link] : links_) {
    TellConfigs(peer, link);
    Speak(peer);
  }
}

void Weftd::TellConfigs(int peer, Link& link) {
  if (link.session == nullptr) return;
  ConfigFindings findings;
  findings.conflicts = maker_.config_conflicts();
  ConfigReports reports = ReportsOn(NameOf(peer), *link.view->state().configs, findings);
  if (link.reports == nullptr || *link.reports != reports) {
    link.reports = std::make_shared<const ConfigReports>(std::move(reports));
  }
  link.session->TellConfigs({distribution_->TextsFor(NameOf(peer)), link.reports});
}

void Weftd::Dial(int peer, Link& link) {
  const std::vector<GatewayAddress> gateways = link.view->state().peer->gateways;
  if (gateways.empty()) return;
  link.dialing = true;
  surroundings_.dial(peer, gateways[link.next_gateway++ % gateways.size()].address);
}

void Weftd::OnDialFailed(int peer, const absl::Status& why) {
  Link& link = links_.at(peer);
  link.dialing = false;
  context_.journal.Note(setup_.self->cluster, ": cannot dial ", NameOf(peer), ": ", why.message());
  const absl::Duration wait = context_.random.Between(link.backoff / 2, link.backoff);
  link.next_dial = now() + wait;
  link.backoff = std::min(link.backoff * 2, kLongestBackoff);
}

void Weftd::OnConnected(int peer, ConnectionId connection) {
  links_.at(peer).dialing = false;
  Begin(peer, connection, /*dialed_by_us=*/true);
}

bool Weftd::OnAccepted(int peer, ConnectionId connection) {
  const Link& link = links_.at(peer);
  // Who dials again has lost the stream that it had dialed before.
  if (link.session != nullptr && link.dialed_by_us &&
      !StaysWhenTwo(setup_.self->cluster, NameOf(peer), /*dialed_by_us=*/false)) {
    return false;
  }
  Begin(peer, connection, /*dialed_by_us=*/false);
  return true;
}

void Weftd::Begin(int peer, ConnectionId connection, bool dialed_by_us) {
  Link& link = links_.at(peer);
  if (link.session != nullptr) network_.Close(link.connection, link.dialed_by_us);
  link.session.reset();
  link.connection = connection;
  link.dialed_by_us = dialed_by_us;
  link.session = std::make_unique<PeerSession>(epoch_, *link.view, dialed_by_us, now());
  link.wake = absl::InfiniteDuration();
  link.configs_told = false;
  TellConfigs(peer, link);
  const auto self = weak_from_this();
  network_.Attach(connection, dialed_by_us,
                  {[self, peer, connection](const PeerMessage& message, absl::Duration sent) {
                     const auto weftd = self.lock();
                     if (weftd != nullptr) weftd->OnMessage(peer, connection, message, sent);
                   },
                   [self, peer, connection] {
                     const auto weftd = self.lock();
                     if (weftd == nullptr || !weftd->running_) return;
                     if (weftd->links_.at(peer).connection == connection) {
                       weftd->End(peer, "closed by the other end");
                     }
                   }});
  context_.journal.Note(setup_.self->cluster, ": stream with ", NameOf(peer),
                        dialed_by_us ? ", dialed" : ", accepted");
  if (!context_.defences().hold_until_synced) OnPeersChanged();
  Speak(peer);
}

void Weftd::End(int peer, const std::string& why) {
  Link& link = links_.at(peer);
  if (link.session == nullptr) return;
  context_.journal.Note(setup_.self->cluster, ": stream with ", NameOf(peer), " ends: ", why);
  network_.Close(link.connection, link.dialed_by_us);
  link.session.reset();
  link.connection = 0;
  link.next_dial = now() + context_.random.Between(link.backoff / 2, link.backoff) +
                   (DialsFirst(peer) ? absl::ZeroDuration() : kWaitsForOther);
}

void Weftd::Speak(int peer) {
  Link& link = links_.at(peer);
  if (!running_ || link.session == nullptr) return;
  std::vector<PeerMessage> messages = link.session->Due(own_, now());
  if (surroundings_.tamper != nullptr && !messages.empty()) surroundings_.tamper(peer, messages);
  for (PeerMessage& message : messages) {
    network_.Send(link.connection, link.dialed_by_us, std::move(message));
  }
  const absl::Duration next = std::max(link.session->NextDue(), now() + absl::Milliseconds(1));
  if (link.wake > now() && link.wake <= next) return;
  link.wake = next;
  context_.time.At(next, [self = weak_from_this(), peer, connection = link.connection, next] {
    const auto weftd = self.lock();
    if (weftd == nullptr) return;
    const Link& link = weftd->links_.at(peer);
    if (link.connection == connection && link.wake == next) weftd->Speak(peer);
  });
}

void Weftd::OnMessage(int peer, ConnectionId connection, PeerMessage message, absl::Duration sent) {
  Link& link = links_.at(peer);
  if (!running_ || link.session == nullptr || link.connection != connection) return;
  if (!WithoutDefences(peer, link, message)) return;
  const bool was_synced = link.session->synced();
  const auto changed = link.session->OnMessage(message, now());
  if (!changed.ok()) return End(peer, std::string(changed.status().message()));
  link.configs_told |= message.has_configs_told();
  if (link.session->synced()) link.backoff = kFirstBackoff;
  if (*changed) ++link.changes;
  if (*changed || was_synced != link.session->synced()) OnPeersChanged();
  if (surroundings_.heard != nullptr) surroundings_.heard(peer, connection, sent);
  Speak(peer);
}

bool Weftd::WithoutDefences(int peer, Link& link, PeerMessage& message) {
  const Defences& defences = context_.defences();
  if (!defences.check_sequence) message.set_sequence(++link.fake_sequence);
  if (!defences.drop_stale_epochs) message.set_epoch(1);
  if (!defences.own_bundle_only && message.has_bundle()) {
    for (auto& [other, of_other] : links_) {
      if (other == peer || message.bundle().trust_domain() != DomainOf(other)) continue;
      for (const std::string& roots : message.bundle().roots_pem()) {
        absl::StrAppend(&of_other.foreign_roots, roots);
      }
      OnPeersChanged();
      return false;
    }
  }
  return true;
}

bool Weftd::Synced(int peer) const {
  const Link& link = links_.at(peer);
  return link.session != nullptr && link.session->synced();
}

PeerState Weftd::BelievedOf(int peer) const {
  const Link& link = links_.at(peer);
  PeerState state = link.view->state();
  if (!context_.defences().hold_until_synced && link.session != nullptr && !Synced(peer)) {
    state.exports = std::make_shared<PeerExports>();
  }
  if (!link.foreign_roots.empty()) {
    Peer changed = *state.peer;
    changed.roots_pem += link.foreign_roots;
    state.peer = std::make_shared<const Peer>(std::move(changed));
  }
  return state;
}

void Weftd::OnPeersChanged() {
  if (std::exchange(peers_changed_, true)) return;
  context_.time.After(absl::ZeroDuration(), [self = weak_from_this()] {
    const auto weftd = self.lock();
    if (weftd != nullptr && weftd->running_) weftd->TakePeers();
  });
}

void Weftd::TakePeers() {
  peers_changed_ = false;
  std::map<std::string, PeerState> states;
  bundles_ = certs::TrustBundles();
  all_roots_.clear();
  for (const auto& [peer, link] : links_) {
    PeerState state = BelievedOf(peer);
    const absl::Status set = bundles_.Set(state.peer->trust_domain, state.peer->roots_pem);
    if (!set.ok()) context_.Fail("roots of ", NameOf(peer), " do not parse: ", set.message());
    absl::StrAppend(&all_roots_, state.peer->roots_pem);
    states[state.peer->cluster] = std::move(state);
  }
  maker_.SetPeers(std::move(states));
  Rebuild();
}

void Weftd::OnObjects(const std::vector<ObjectDelta>& deltas) {
  if (!running_) return;
  for (const Problem& problem : maker_.Apply(deltas)) {
    if (problem.severity == Severity::kError) context_.Fail(ToString(problem));
  }
  distribution_->OnObjects(deltas, {});
  distribution_->OnAllRead();
  registry_read_ = true;
  Rebuild();
}

void Weftd::SetGateways(std::vector<GatewayAddress> gateways) {
  gateways_ = std::move(gateways);
  PublishOwn();
}

void Weftd::Rebuild() {
  if (!registry_read_) return;
  const auto made = maker_.Make();
  if (!made.has_value()) return;
  if (!cut_off_) surroundings_.publish(made->world);
  PublishOwn();
}

void Weftd::PublishOwn() {
  if (!ready()) return;
  const auto own = history_.Next(setup_.self, gateways_, maker_.exports());
  if (own == own_) return;
  own_ = own;
  for (const auto& [peer, link] : links_) Speak(peer);
}

const Chain& Weftd::OwnChain() {
  const absl::Time wall = surroundings_.clock();
  // A certificate from the future is one of a clock that was wrong.
  if (wall < chain_made_ || wall >= chain_made_ + certs::kLeafValidity / 2) {
    chain_ = ControlPlaneChain(setup_.cluster, setup_.signing_root, wall);
    chain_made_ = wall;
  }
  return chain_;
}

absl::Status Weftd::AcceptsServer(int peer, const Chain& chain) const {
  const auto id =
      certs::VerifyPeer(chain, bundles_, surroundings_.clock(), certs::PeerRole::kServer);
  if (!id.ok()) return id.status();
  if (*id == ControlPlaneOf(peer)) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat("is ", id->ToString()));
}

absl::StatusOr<int> Weftd::AcceptsClient(const Chain& chain) const {
  const Defences& defences = context_.defences();
  const absl::Time wall = surroundings_.clock();
  absl::StatusOr<certs::SpiffeId> id;
  if (!defences.verify_identity) {
    id = Claimed(chain);
  } else if (!defences.separate_bundles) {
    const auto store = certs::MakeStore(*certs::ParseCertificates(all_roots_));
    absl::Status led = certs::VerifyChain(chain, store->get(), wall, certs::PeerRole::kClient);
    if (!led.ok()) return led;
    id = Claimed(chain);
  } else {
    id = certs::VerifyPeer(chain, bundles_, wall, certs::PeerRole::kClient);
  }
  if (!id.ok()) return id.status();
  for (const auto& [peer, link] : links_) {
    if (*id == ControlPlaneOf(peer)) return peer;
  }
  return absl::PermissionDeniedError(absl::StrCat(id->ToString(), " is no peer"));
}

}  // namespace weft::simulation
