#include "test/simulation/scale.h"

#include <malloc.h>

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
#include "controlplane/federation/exports.h"
#include "controlplane/federation/own_state.h"
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
constexpr double kRemote = (kClusters - 1.0) * kServices;
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

// Its services are its own: nobody else has one of that name. `ready` is of one group.
PeerExports ExportsOf(int cluster, uint32_t ready) {
  PeerExports exports;
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
    exports.emplace(std::make_pair(service.namespace_, service.name), std::move(service));
  }
  return exports;
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

// A cluster's states, one after the other.
class Own {
 public:
  explicit Own(int cluster) : cluster_(cluster), self_(IdentityOf(cluster)) {}

  const std::shared_ptr<const OwnState>& last() const { return history_.last(); }
  std::shared_ptr<const OwnState> Next(PeerExports exports) {
    return history_.Next(self_, PeerOf(cluster_).gateways, std::move(exports));
  }

 private:
  const int cluster_;
  const std::shared_ptr<const ClusterIdentity> self_;
  OwnHistory history_;
};

// A link as both of its ends see it. Cluster 0 is the one that is measured.
struct Link {
  explicit Link(int other)
      : own(other),
        far(PeerOf(0)),
        near(PeerOf(other)),
        far_session(1, far, true, absl::ZeroDuration()),
        near_session(1, near, false, absl::ZeroDuration()) {}

  Own own;        // of the other end
  PeerView far;   // what it knows of us
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
  Scale() : own_(0), maker_(IdentityOf(0), ExportPolicy::kAll) {}

  int Run() {
    Learn();
    Tell();
    Receive();
    return failed_ ? 1 : 0;
  }

 private:
  void Greet(Link& link, std::shared_ptr<const OwnState> theirs);
  void Learn();
  void MakeFirst();
  void Tell();
  void Receive();
  std::shared_ptr<const World> MakeWorld();

  absl::Duration now_ = absl::ZeroDuration();
  Own own_;
  std::map<int, std::unique_ptr<Link>> links_;
  WorldMaker maker_;
  Translations translations_;
  ProxyView view_;
  bool failed_ = false;
};

std::shared_ptr<const World> Scale::MakeWorld() {
  std::map<std::string, PeerState> states;
  for (const auto& [cluster, link] : links_) {
    states[absl::StrCat("c", cluster)] = link->near.state();
  }
  maker_.SetPeers(std::move(states));
  const auto made = maker_.Make();
  return made.has_value() ? made->world : maker_.world();
}

// What the two ends of a stream say of themselves before all else.
void Scale::Greet(Link& link, std::shared_ptr<const OwnState> theirs) {
  Hear(link.near_session, Say(link.far_session, std::move(theirs), now_), now_);
  Hear(link.far_session, Say(link.near_session, own_.Next(ExportsOf(0, 5)), now_), now_);
}

void Scale::Learn() {
  double bytes = 0;
  double cpu = 0;
  double heap = 0;
  for (int other = 1; other < kClusters; ++other) {
    Link& link = *(links_[other] = std::make_unique<Link>(other));
    const auto theirs = link.own.Next(ExportsOf(other, 5));
    Greet(link, theirs);
    const auto wire = Say(link.far_session, theirs, now_);
    bytes += static_cast<double>(SizeOf(wire));
    const double heap_before = HeapBytes();
    const double start = CpuMicroseconds();
    Hear(link.near_session, wire, now_);
    cpu += CpuMicroseconds() - start;
    heap += HeapBytes() - heap_before;
    failed_ |= link.near.state().exports->size() != kServices;
    // And they know us.
    Hear(link.far_session, Say(link.near_session, own_.last(), now_), now_);
  }
  printf("%d clusters of %d exported services of %d groups each\n", kClusters, kServices, kGroups);
  printf("to learn all of them: %.1f bytes on the wire and %.2f us of CPU a service\n",
         bytes / kRemote, cpu / kRemote);
  printf("memory of a remote service, as heard: %.0f bytes\n", heap / kRemote);
  MakeFirst();
}

void Scale::MakeFirst() {
  const double heap_before = HeapBytes();
  double start = CpuMicroseconds();
  const auto world = MakeWorld();
  const double heap_merged = HeapBytes();
  printf("  in the World: %.0f bytes more, %.1f ms of CPU for all\n",
         (heap_merged - heap_before) / kRemote, (CpuMicroseconds() - start) / 1e3);
  view_.namespace_ = "default";
  view_.address = "10.244.0.200";
  view_.cluster = "c0";
  view_.network = "net-c0";
  start = CpuMicroseconds();
  translations_.Of(world, view_);
  printf("  as resources of all sidecars of a scope: %.0f bytes more, %.1f ms of CPU for all\n",
         (HeapBytes() - heap_merged) / kRemote, (CpuMicroseconds() - start) / 1e3);
}

// One endpoint of ours changes; all others are told.
void Scale::Tell() {
  double bytes = 0;
  double stated = 0;
  double cpu = 0;
  for (int change = 0; change < kChanges; ++change) {
    now_ += absl::Minutes(1);
    PeerExports exports = ExportsOf(0, 6 + static_cast<uint32_t>(change));
    double start = CpuMicroseconds();
    const auto own = own_.Next(std::move(exports));
    stated += CpuMicroseconds() - start;
    for (auto& [other, link] : links_) {
      start = CpuMicroseconds();
      const auto wire = Say(link->near_session, own, now_);
      cpu += CpuMicroseconds() - start;
      bytes += static_cast<double>(SizeOf(wire));
      failed_ |= !Hear(link->far_session, wire, now_);
    }
  }
  const double links = kChanges * (kClusters - 1.0);
  printf("one endpoint changes: the sender says %.1f bytes a link; CPU: %.1f us for the state, "
         "%.1f us a link\n",
         bytes / links, stated / kChanges, cpu / links);
}

// One endpoint of another cluster changes: from the message to the bytes for our sidecars.
void Scale::Receive() {
  Link& link = *links_.at(1);
  double heard = 0;
  double made = 0;
  double translated = 0;
  for (int change = 0; change < kChanges; ++change) {
    now_ += absl::Minutes(1);
    const auto theirs = link.own.Next(ExportsOf(1, 6 + static_cast<uint32_t>(change)));
    const auto wire = Say(link.far_session, theirs, now_);
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
  printf("  a receiver: CPU %.2f ms to hear it, %.2f ms for the World, %.2f ms to translate\n",
         heard / kChanges / 1e3, made / kChanges / 1e3, translated / kChanges / 1e3);
}

}  // namespace

int PrintScale() { return Scale().Run(); }

}  // namespace weft::simulation
