#include "test/simulation/scale.h"

#include <malloc.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <ctime>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "api/weft/peer.pb.h"
#include "controlplane/federation/peer_session.h"
#include "controlplane/federation/peer_view.h"
#include "controlplane/translate/resources.h"
#include "controlplane/translations.h"
#include "controlplane/world_maker.h"

namespace weft::simulation {
namespace {

constexpr int kClusters = 100;
constexpr int kServices = 1000;
constexpr int kGroups = 2;  // of each: two zones
constexpr int kChanges = 20;

double CpuMicroseconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) * 1e6 + static_cast<double>(now.tv_nsec) / 1e3;
}

double HeapBytes() { return static_cast<double>(mallinfo2().uordblks); }

std::shared_ptr<const ClusterIdentity> IdentityOf(int cluster) {
  auto self = std::make_shared<ClusterIdentity>();
  self->cluster = absl::StrCat("c", cluster);
  self->network = absl::StrCat("net-c", cluster);
  self->trust_domain = absl::StrCat("c", cluster, ".test");
  return self;
}

Peer PeerOf(int cluster) {
  const auto identity = IdentityOf(cluster);
  Peer peer;
  peer.cluster = identity->cluster;
  peer.network = identity->network;
  peer.trust_domain = identity->trust_domain;
  peer.gateways = {{absl::StrCat("172.16.", cluster, ".1"), 15443}};
  return peer;
}

// Its services are its own: nobody else has one of that name.
std::shared_ptr<const OwnState> StateOf(int cluster, uint32_t ready) {
  auto own = std::make_shared<OwnState>();
  own->self = IdentityOf(cluster);
  own->gateways = PeerOf(cluster).gateways;
  for (int i = 0; i < kServices; ++i) {
    ExportedService service;
    service.namespace_ = absl::StrCat("team-", cluster);
    service.name = absl::StrCat("service-", i);
    service.ports = {{"http", 80, Protocol::kHttp}};
    for (int zone = 0; zone < kGroups; ++zone) {
      ExportedGroup group;
      group.locality = {absl::StrCat("region-", cluster), absl::StrCat("zone-", zone)};
      group.labels = {{"app", service.name}, {"version", "v1"}};
      group.service_account = service.name;
      group.ready = i == 0 && zone == 0 ? ready : 5;
      service.groups.push_back(std::move(group));
    }
    own->exports.emplace(std::make_pair(service.namespace_, service.name), std::move(service));
  }
  return own;
}

// Everything that is due on its way, once.
std::vector<std::string> Say(PeerSession& session, std::shared_ptr<const OwnState> own,
                             absl::Duration now) {
  std::vector<std::string> wire;
  for (const auto& message : session.Due(std::move(own), now)) {
    if (!message.has_heartbeat()) wire.push_back(message.SerializeAsString());
  }
  return wire;
}

bool Hear(PeerSession& session, const std::vector<std::string>& wire, absl::Duration now) {
  bool changed = false;
  for (const std::string& bytes : wire) {
    peer::v1::PeerMessage message;
    message.ParseFromString(bytes);
    const auto taken = session.OnMessage(message, now);
    if (!taken.ok()) printf("refused: %s\n", std::string(taken.status().message()).c_str());
    changed |= taken.value_or(false);
  }
  return changed;
}

// A link as both of its ends see it. Cluster 0 is the one that is measured.
struct Link {
  explicit Link(int other)
      : far(PeerOf(0)),
        near(PeerOf(other)),
        far_session(1, far, true, absl::ZeroDuration()),
        near_session(1, near, false, absl::ZeroDuration()) {}

  PeerView far;   // what the other end knows of us
  PeerView near;  // what we know of it
  PeerSession far_session;
  PeerSession near_session;
};

size_t SizeOf(const std::vector<std::string>& wire) {
  size_t size = 0;
  for (const std::string& message : wire) size += message.size();
  return size;
}

class Scale {
 public:
  Scale() : maker_(IdentityOf(0), ExportPolicy::kAll) {}

  int Run() {
    Learn();
    Tell();
    Receive();
    return failed_ ? 1 : 0;
  }

 private:
  void Learn();
  void Tell();
  void Receive();
  void Exchange(Link& link, std::shared_ptr<const OwnState> far_own,
                std::shared_ptr<const OwnState> near_own);
  std::shared_ptr<const World> MakeWorld();

  absl::Duration now_ = absl::ZeroDuration();
  std::map<int, std::unique_ptr<Link>> links_;
  WorldMaker maker_;
  Translations translations_;
  ProxyView view_;
  bool failed_ = false;
};

void Scale::Exchange(Link& link, std::shared_ptr<const OwnState> far_own,
                     std::shared_ptr<const OwnState> near_own) {
  for (int round = 0; round < 3; ++round) {
    Hear(link.near_session, Say(link.far_session, far_own, now_), now_);
    Hear(link.far_session, Say(link.near_session, near_own, now_), now_);
  }
}

std::shared_ptr<const World> Scale::MakeWorld() {
  std::map<std::string, PeerState> states;
  for (const auto& [cluster, link] : links_) {
    states[absl::StrCat("c", cluster)] = link->near.state();
  }
  maker_.SetPeers(std::move(states));
  const auto made = maker_.Make();
  return made.has_value() ? made->world : maker_.world();
}

void Scale::Learn() {
  const auto own = StateOf(0, 5);
  // What we know of others; what they know of us goes before the count begins.
  for (int other = 1; other < kClusters; ++other) links_[other] = std::make_unique<Link>(other);
  const double before = HeapBytes();
  size_t bytes = 0;
  double cpu = 0;
  for (auto& [other, link] : links_) {
    const auto theirs = StateOf(other, 5);
    Hear(link->near_session, Say(link->far_session, nullptr, now_), now_);
    Hear(link->far_session, Say(link->near_session, nullptr, now_), now_);
    const auto wire = Say(link->far_session, theirs, now_);
    bytes += SizeOf(wire);
    const double start = CpuMicroseconds();
    Hear(link->near_session, wire, now_);
    cpu += CpuMicroseconds() - start;
    failed_ |= link->near.state().exports->size() != kServices;
  }
  constexpr double kRemote = (kClusters - 1.0) * kServices;
  printf("%d clusters of %d exported services of %d groups each\n", kClusters, kServices, kGroups);
  printf("to learn all of them: %.1f bytes and %.2f us of CPU a service\n",
         static_cast<double>(bytes) / kRemote, cpu / kRemote);
  const double learnt = HeapBytes();
  printf("memory of a remote service, as heard: %.0f bytes\n", (learnt - before) / kRemote);
  double start = CpuMicroseconds();
  const auto world = MakeWorld();
  const double merged = HeapBytes();
  printf("merged into a World: %.0f bytes more, %.1f ms of CPU for all\n",
         (merged - learnt) / kRemote, (CpuMicroseconds() - start) / 1e3);
  view_.namespace_ = "default";
  view_.address = "10.244.0.200";
  view_.cluster = "c0";
  view_.network = "net-c0";
  start = CpuMicroseconds();
  translations_.Of(world, view_);
  printf("translated for sidecars: %.0f bytes more, %.1f ms of CPU for all\n",
         (HeapBytes() - merged) / kRemote, (CpuMicroseconds() - start) / 1e3);
  // And all know us.
  for (auto& [other, link] : links_) {
    Hear(link->far_session, Say(link->near_session, own, now_), now_);
  }
}

// One endpoint of ours changes; all others are told.
void Scale::Tell() {
  size_t bytes = 0;
  double cpu = 0;
  for (int change = 0; change < kChanges; ++change) {
    now_ += absl::Minutes(1);
    const auto own = StateOf(0, 6 + static_cast<uint32_t>(change));
    for (auto& [other, link] : links_) {
      const double start = CpuMicroseconds();
      const auto wire = Say(link->near_session, own, now_);
      cpu += CpuMicroseconds() - start;
      bytes += SizeOf(wire);
      failed_ |= !Hear(link->far_session, wire, now_);
    }
  }
  printf("one endpoint changes: the sender says %.1f bytes a link, %.1f us of CPU a link\n",
         static_cast<double>(bytes) / kChanges / (kClusters - 1), cpu / kChanges / (kClusters - 1));
}

// One endpoint of another cluster changes: from the message to the bytes for our sidecars.
void Scale::Receive() {
  Link& link = *links_.at(1);
  double heard = 0;
  double made = 0;
  double translated = 0;
  for (int change = 0; change < kChanges; ++change) {
    now_ += absl::Minutes(1);
    const auto wire = Say(link.far_session, StateOf(1, 6 + static_cast<uint32_t>(change)), now_);
    const double start = CpuMicroseconds();
    failed_ |= !Hear(link.near_session, wire, now_);
    const double after_hearing = CpuMicroseconds();
    const auto world = MakeWorld();
    const double after_making = CpuMicroseconds();
    translations_.Of(world, view_);
    heard += after_hearing - start;
    made += after_making - after_hearing;
    translated += CpuMicroseconds() - after_making;
  }
  printf("the receiver of one: %.2f ms to hear it, %.2f ms for the World, %.2f ms to translate\n",
         heard / kChanges / 1e3, made / kChanges / 1e3, translated / kChanges / 1e3);
}

}  // namespace

int PrintScale() { return Scale().Run(); }

}  // namespace weft::simulation
