// Fleet: all clusters of one run, what joins them, and all that can happen to them.
#ifndef WEFT_TEST_SIMULATION_FLEET_H_
#define WEFT_TEST_SIMULATION_FLEET_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/time/time.h"
#include "controlplane/model/world.h"
#include "test/simulation/context.h"
#include "test/simulation/discovery.h"
#include "test/simulation/disk.h"
#include "test/simulation/invariants.h"
#include "test/simulation/liar.h"
#include "test/simulation/network.h"
#include "test/simulation/objects.h"
#include "test/simulation/proxy.h"
#include "test/simulation/weftd.h"

namespace weft::simulation {

struct Cluster {
  explicit Cluster(int number) : index(number), objects(number) {}

  const int index;
  Objects objects;
  Disk disk;
  absl::Duration clock_error = absl::ZeroDuration();
  // Nobody can dial it: it has no gateways, and dials all its peers.
  bool outbound_only = false;
  std::vector<GatewayAddress> gateways;
  int gateways_made = 0;
  int roots = 1;         // that are trusted
  int signing_root = 0;  // the generation
  std::unique_ptr<Proxy> sidecar;
  std::unique_ptr<Proxy> gateway;
  std::shared_ptr<Weftd> weftd;          // null while it is down
  std::shared_ptr<Weftd> zombie;         // an earlier one that nobody managed to stop
  std::shared_ptr<Discovery> discovery;  // of weftd
  absl::Duration serves_since = absl::InfiniteDuration();  // discovery does
  std::unique_ptr<Liar> liar;                              // not null: its weftd is in wrong hands
};

class Fleet {
 public:
  explicit Fleet(Context& context);

  int size() const { return static_cast<int>(clusters_.size()); }
  Cluster& at(int cluster) { return *clusters_[cluster]; }
  const Cluster& at(int cluster) const { return *clusters_[cluster]; }
  absl::Time ClockOf(int cluster) const;
  Network& network() { return network_; }
  Invariants& invariants() { return invariants_; }
  // The cluster that has, or had, a gateway at this address; -1: none.
  int OwnerOf(const std::string& address) const;
  bool HasGateway(int cluster, const std::string& address) const;

  // What may happen.
  void SetService(int cluster, const ServiceName& service, bool there);
  void SetPod(int cluster, const ServiceName& service, int pod, bool ready);
  void SetPolicy(int cluster, bool there);
  void ChangeGateways(int cluster);
  void StartWeftd(int cluster);
  // `silent`: as when power fails.
  void CrashWeftd(int cluster, bool silent, bool lose_disk);
  // It cannot be reached and is started elsewhere, but goes on talking to its peers.
  void LoseHold(int cluster);
  void EndZombie(int cluster);
  void RestartProxies(int cluster);
  // Trusts one more root of its own, from its next start on; or signs by the newest.
  void AddRoot(int cluster);
  void SignByNewestRoot(int cluster);
  // Someone in `thief` tries to dial as `claimed`, by a certificate that a root of its own signed.
  void DialForged(int thief, int claimed, int target);

 private:
  void Make(int cluster);
  void Tell(int cluster, std::vector<ObjectDelta> deltas);
  Weftd::Setup SetupOf(const Cluster& cluster) const;
  Weftd::Surroundings SurroundingsOf(int cluster, const std::weak_ptr<Weftd>& self);
  void Dial(const std::shared_ptr<Weftd>& dialer, int from, int peer, const std::string& address);
  void Connect(const std::shared_ptr<Weftd>& dialer, int from, int peer,
               const std::string& address);
  void OnHeard(int cluster, int peer, ConnectionId connection, absl::Duration sent);

  Context& context_;
  Network network_;
  std::vector<std::unique_ptr<Cluster>> clusters_;
  Invariants invariants_;
  // Who dialed, and who accepted; both may be gone.
  std::map<ConnectionId, std::pair<std::weak_ptr<Weftd>, std::weak_ptr<Weftd>>> speakers_;
  std::set<ConnectionId> stale_;  // of weftds that were cut off
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_FLEET_H_
