#include "test/simulation/fleet.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "certs/spiffe_id.h"
#include "test/simulation/pki.h"

namespace weft::simulation {
namespace {

constexpr uint16_t kGatewayPort = 15443;
constexpr absl::Duration kWatchLatency = absl::Milliseconds(3);
constexpr absl::Duration kDialTimeout = absl::Seconds(5);
constexpr char kGatewayNetwork[] = "172.16.";

GatewayAddress GatewayOf(int cluster, int number) {
  return {absl::StrCat(kGatewayNetwork, cluster + 1, ".", number + 1), kGatewayPort};
}

ProxyView ViewOf(int cluster, ProxyRole role) {
  ProxyView view;
  view.role = role;
  view.namespace_ = role == ProxyRole::kGateway ? "weft-system" : "default";
  view.address = role == ProxyRole::kGateway ? "10.244.0.4" : "10.244.0.200";
  view.service_account = role == ProxyRole::kGateway ? "gateway" : "client";
  view.cluster = NameOf(cluster);
  view.network = absl::StrCat("net-", NameOf(cluster));
  view.identified = true;
  return view;
}

std::unique_ptr<Proxy> NewProxy(int cluster) {
  const KeyPair& pair = ProxyKeyPair(cluster);
  return std::make_unique<Proxy>(pair.chain_pem, pair.key_pem);
}

int ClustersFor(Context& context) {
  if (context.options.clusters > 0) return context.options.clusters;
  // A few large ones; they cost as the square.
  if (context.random.Percent(2)) return 6 + static_cast<int>(context.random.Below(5));
  return 3 + static_cast<int>(context.random.Below(3));
}

}  // namespace

Fleet::Fleet(Context& context) : context_(context), network_(context), invariants_(context, *this) {
  const int clusters = ClustersFor(context_);
  for (int i = 0; i < clusters; ++i) clusters_.push_back(std::make_unique<Cluster>(i));
  if (context_.random.Percent(15)) {
    const int hidden = static_cast<int>(context_.random.Below(static_cast<uint64_t>(clusters)));
    at(hidden).outbound_only = true;
    context_.journal.Note(NameOf(hidden), " can only dial out");
  }
  for (int i = 0; i < clusters; ++i) Make(i);
  if (context_.random.Percent(30)) {
    const int liar = static_cast<int>(context_.random.Below(static_cast<uint64_t>(clusters)));
    at(liar).liar = std::make_unique<Liar>(context_, liar, clusters);
    context_.journal.Note(NameOf(liar), " is a liar");
  }
  for (int i = 0; i < clusters; ++i) StartWeftd(i);
}

void Fleet::Make(int cluster) {
  Cluster& made = at(cluster);
  if (!made.outbound_only) made.gateways = {GatewayOf(cluster, made.gateways_made++)};
  made.sidecar = NewProxy(cluster);
  made.gateway = NewProxy(cluster);
  Random& random = context_.random;
  made.objects.SetService(SystemService(), true, context_.time.now());
  made.objects.SetPod(SystemService(), 0, true, context_.time.now());
  for (const ServiceName& service : AllServices()) {
    if (random.Percent(70)) made.objects.SetService(service, true, context_.time.now());
    const int pods = static_cast<int>(random.Below(kPodsOfService + 1));
    for (int pod = 0; pod < pods; ++pod) {
      made.objects.SetPod(service, pod, random.Percent(80), context_.time.now());
    }
  }
}

absl::Time Fleet::ClockOf(int cluster) const {
  return StartOfTime() + context_.time.now() + at(cluster).clock_error;
}

int Fleet::OwnerOf(const std::string& address) const {
  const std::vector<absl::string_view> bytes = absl::StrSplit(address, '.');
  int third = 0;
  if (bytes.size() != 4 || bytes[0] != "172" || !absl::SimpleAtoi(bytes[2], &third)) return -1;
  return third - 1;
}

bool Fleet::HasGateway(int cluster, const std::string& address) const {
  for (const GatewayAddress& gateway : at(cluster).gateways) {
    if (gateway.address == address) return true;
  }
  return false;
}

// ---- What may happen.

void Fleet::Tell(int cluster, std::vector<ObjectDelta> deltas) {
  context_.time.After(
      kWatchLatency, [deltas = std::move(deltas), weftd = std::weak_ptr<Weftd>(at(cluster).weftd)] {
        const auto running = weftd.lock();
        // Before its first list came it has no watch.
        if (running != nullptr && running->ready()) running->OnObjects(deltas);
      });
}

void Fleet::SetService(int cluster, const ServiceName& service, bool there) {
  context_.journal.Note(NameOf(cluster), ": service ", service.first, "/", service.second,
                        there ? " is there" : " is gone");
  Tell(cluster, at(cluster).objects.SetService(service, there, context_.time.now()));
}

void Fleet::SetPod(int cluster, const ServiceName& service, int pod, bool ready) {
  context_.journal.Note(NameOf(cluster), ": pod ", pod, " of ", service.first, "/", service.second,
                        ready ? " is ready" : " is not ready");
  Tell(cluster, at(cluster).objects.SetPod(service, pod, ready, context_.time.now()));
}

void Fleet::SetPolicy(int cluster, bool there) {
  const std::vector<ObjectDelta> deltas = at(cluster).objects.SetPolicy(there, context_.time.now());
  context_.journal.Note(
      NameOf(cluster), ": its policy ",
      there ? absl::StrCat("is now ", at(cluster).objects.policy().form) : "is gone");
  Tell(cluster, deltas);
}

// The first one stays: who lost sight of a cluster that moved as a whole has to link anew.
void Fleet::ChangeGateways(int cluster) {
  Cluster& changed = at(cluster);
  if (changed.outbound_only) return;
  changed.gateways.resize(1);
  if (context_.random.Percent(70)) {
    changed.gateways.push_back(GatewayOf(cluster, changed.gateways_made++ % 250));
  }
  context_.journal.Note(NameOf(cluster), ": gateways change, now ", changed.gateways.size());
  if (changed.weftd != nullptr) changed.weftd->SetGateways(changed.gateways);
}

Weftd::Setup Fleet::SetupOf(const Cluster& cluster) const {
  Weftd::Setup setup;
  setup.cluster = cluster.index;
  auto self = std::make_shared<ClusterIdentity>();
  self->cluster = NameOf(cluster.index);
  self->network = absl::StrCat("net-", self->cluster);
  self->mesh_id = "mesh";
  self->trust_domain = DomainOf(cluster.index);
  self->roots_pem = RootsPem(cluster.index, cluster.roots);
  self->peer_api = {"10.244.0.2", 15013};
  self->outbound_only = cluster.outbound_only;
  setup.self = std::move(self);
  setup.signing_root = cluster.signing_root;
  setup.gateways = cluster.gateways;
  for (int other = 0; other < size(); ++other) {
    if (other == cluster.index) continue;
    // As they were linked: one root, the first gateway.
    Peer peer;
    peer.cluster = NameOf(other);
    peer.network = absl::StrCat("net-", peer.cluster);
    peer.trust_domain = DomainOf(other);
    peer.roots_pem = RootsPem(other, 1);
    peer.outbound_only = at(other).outbound_only;
    peer.accept_config = {"shop"};
    if (!peer.outbound_only) peer.gateways = {GatewayOf(other, 0)};
    setup.peers[other] = std::move(peer);
  }
  return setup;
}

void Fleet::StartWeftd(int cluster) {
  Cluster& started = at(cluster);
  if (started.weftd != nullptr) return;
  std::vector<Discovery::Client> clients;
  clients.push_back({started.sidecar.get(), ViewOf(cluster, ProxyRole::kSidecar),
                     [this, cluster] { invariants_.OnSidecarUpdate(cluster); }});
  clients.push_back({started.gateway.get(), ViewOf(cluster, ProxyRole::kGateway), [] {}});
  started.discovery = std::make_shared<Discovery>(context_, std::move(clients));

  Weftd::Surroundings surroundings;
  surroundings.clock = [this, cluster] { return ClockOf(cluster); };
  auto self = std::make_shared<std::weak_ptr<Weftd>>();
  surroundings.dial = [this, cluster, self](int peer, const std::string& address) {
    Dial(self->lock(), cluster, peer, address);
  };
  surroundings.publish = [this, cluster](const std::shared_ptr<const World>& world) {
    Cluster& serving = at(cluster);
    if (serving.serves_since == absl::InfiniteDuration()) {
      serving.serves_since = context_.time.now();
    }
    serving.discovery->Publish(world);
    invariants_.OnWorld(cluster, *world);
  };
  surroundings.heard = [this, cluster, self](int peer, ConnectionId connection,
                                             absl::Duration sent) {
    if (at(cluster).weftd == self->lock()) OnHeard(cluster, peer, connection, sent);
  };
  if (started.liar != nullptr) {
    surroundings.tamper = [this, cluster](int peer, std::vector<peer::v1::PeerMessage>& messages) {
      at(cluster).liar->Tamper(peer, messages);
    };
  }
  started.weftd = std::make_shared<Weftd>(context_, network_, started.disk, SetupOf(started),
                                          std::move(surroundings));
  *self = started.weftd;
  started.weftd->Start();
  // The registry's list.
  context_.time.After(context_.random.Between(absl::Milliseconds(20), absl::Milliseconds(500)),
                      [this, cluster, self] {
                        const auto weftd = self->lock();
                        if (weftd != nullptr) weftd->OnObjects(at(cluster).objects.All());
                      });
}

void Fleet::CrashWeftd(int cluster, bool silent, bool lose_disk) {
  Cluster& crashed = at(cluster);
  if (crashed.weftd == nullptr) return;
  context_.journal.Note(NameOf(cluster), ": weftd ", silent ? "loses power" : "is killed",
                        lose_disk ? " and its disk" : "");
  std::set<int> unsaved;
  for (const auto& [peer, configured] : crashed.weftd->configured()) {
    if (lose_disk || !crashed.weftd->Saved(peer)) unsaved.insert(peer);
  }
  invariants_.OnStart(cluster, unsaved);
  crashed.weftd->Stop(silent);
  crashed.weftd.reset();
  crashed.discovery.reset();
  crashed.serves_since = absl::InfiniteDuration();
  crashed.disk.Crash();
  if (lose_disk) crashed.disk.Lose();
}

void Fleet::LoseHold(int cluster) {
  Cluster& lost = at(cluster);
  if (lost.weftd == nullptr || lost.zombie != nullptr) return;
  context_.journal.Note(NameOf(cluster), ": weftd cannot be reached, another one is to take over");
  std::set<int> unsaved;
  for (const auto& [peer, configured] : lost.weftd->configured()) {
    if (!lost.weftd->Saved(peer)) unsaved.insert(peer);
  }
  invariants_.OnStart(cluster, unsaved);
  lost.weftd->CutOff();
  for (const auto& [connection, ends] : speakers_) {
    if (ends.first.lock() == lost.weftd || ends.second.lock() == lost.weftd) {
      stale_.insert(connection);
    }
  }
  lost.zombie = std::move(lost.weftd);
  lost.discovery.reset();
  lost.serves_since = absl::InfiniteDuration();
  lost.disk.Crash();
}

void Fleet::EndZombie(int cluster) {
  if (at(cluster).zombie == nullptr) return;
  context_.journal.Note(NameOf(cluster), ": the old weftd ends at last");
  at(cluster).zombie->Stop(/*silent=*/false);
  at(cluster).zombie.reset();
}

void Fleet::RestartProxies(int cluster) {
  Cluster& restarted = at(cluster);
  context_.journal.Note(NameOf(cluster), ": proxies restart");
  std::unique_ptr<Proxy> old[] = {std::move(restarted.sidecar), std::move(restarted.gateway)};
  restarted.sidecar = NewProxy(cluster);
  restarted.gateway = NewProxy(cluster);
  invariants_.OnSidecarRestart(cluster);
  if (restarted.discovery == nullptr) return;
  restarted.discovery->Replace(0, restarted.sidecar.get());
  restarted.discovery->Replace(1, restarted.gateway.get());
}

void Fleet::AddRoot(int cluster) {
  if (at(cluster).roots > 1) return;
  ++at(cluster).roots;
  context_.journal.Note(NameOf(cluster), ": has a second root from its next start on");
}

void Fleet::SignByNewestRoot(int cluster) {
  at(cluster).signing_root = at(cluster).roots - 1;
  context_.journal.Note(NameOf(cluster), ": signs by its newest root from its next start on");
}

// ---- Streams between weftds.

void Fleet::Dial(const std::shared_ptr<Weftd>& dialer, int from, int peer,
                 const std::string& address) {
  const bool reached = network_.BothWays(from, peer);
  const absl::Duration takes = reached ? 3 * network_.Latency() : kDialTimeout;
  context_.time.After(takes, [this, weak = std::weak_ptr<Weftd>(dialer), from, peer, address] {
    if (const auto running = weak.lock()) Connect(running, from, peer, address);
  });
}

void Fleet::Connect(const std::shared_ptr<Weftd>& dialer, int from, int peer,
                    const std::string& address) {
  const std::shared_ptr<Weftd> acceptor = at(peer).weftd;
  if (!network_.BothWays(from, peer) || acceptor == nullptr || !HasGateway(peer, address)) {
    return dialer->OnDialFailed(peer, absl::UnavailableError("no answer"));
  }
  // A connection may be refused by either end, for whom it sees there.
  absl::Status trusted = dialer->AcceptsServer(peer, acceptor->OwnChain());
  if (!trusted.ok()) return dialer->OnDialFailed(peer, trusted);
  const absl::StatusOr<int> client = acceptor->AcceptsClient(dialer->OwnChain());
  if (!client.ok()) return dialer->OnDialFailed(peer, client.status());
  invariants_.OnAccepted(peer, *client, from);
  const ConnectionId connection = network_.Open(from, peer);
  speakers_[connection] = {dialer, acceptor};
  if (dialer->cut_off()) stale_.insert(connection);
  if (!acceptor->OnAccepted(*client, connection)) {
    network_.Close(connection, /*dialer=*/false, /*silent=*/true);
    network_.Close(connection, /*dialer=*/true, /*silent=*/true);
    return dialer->OnDialFailed(peer, absl::AlreadyExistsError("there is a stream that stays"));
  }
  dialer->OnConnected(peer, connection);
}

void Fleet::DialForged(int thief, int claimed, int target) {
  const Cluster& robbed = at(target);
  if (robbed.weftd == nullptr || !network_.BothWays(thief, target)) return;
  const certs::SpiffeId id{DomainOf(claimed), "weft-system", "weftd"};
  const auto taken = robbed.weftd->AcceptsClient(ForgedChain(thief, id.ToString()));
  if (taken.ok()) invariants_.OnAccepted(target, *taken, thief);
}

void Fleet::OnHeard(int cluster, int peer, ConnectionId connection, absl::Duration sent) {
  invariants_.OnHeard(cluster, peer, /*speaks=*/!stale_.contains(connection), sent);
}

}  // namespace weft::simulation
