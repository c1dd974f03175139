// Invariants: what must be true whatever happens, checked wherever something changed.
//
// Knowledge of other clusters may be late, never wrong: each check allows for what was true at some
// moment that the message, or the proxy's configuration, can be as old as. The bounds are here.
#ifndef WEFT_TEST_SIMULATION_INVARIANTS_H_
#define WEFT_TEST_SIMULATION_INVARIANTS_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "controlplane/model/world.h"
#include "test/simulation/context.h"
#include "test/simulation/objects.h"

namespace weft::simulation {

class Fleet;

// From a change of an object to the message of its cluster's weftd that tells of it: the watch, the
// turn of its loop, and what damping may hold back.
inline constexpr absl::Duration kMostUntold = absl::Seconds(3);
// From a change of an object to the proxies of its cluster, as long as weftd serves.
inline constexpr absl::Duration kMostUnpushed = absl::Seconds(1);
// What is heard may have been said this long ago: until a silent connection is given up, a
// partition may hold it up.
inline constexpr absl::Duration kMostOnItsWay = absl::Seconds(15);
// From the end of all faults until everybody must know everything.
inline constexpr absl::Duration kSettles = absl::Seconds(40);

class Invariants {
 public:
  Invariants(Context& context, const Fleet& fleet) : context_(context), fleet_(fleet) {}

  // `acceptor` took a caller for the control plane of `claimed`; it was `truly`.
  void OnAccepted(int acceptor, int claimed, int truly);
  // `viewer` took a message. `speaks`: it is of what speaks for the peer now, and was said then.
  void OnHeard(int viewer, int peer, bool speaks, absl::Duration sent);
  void OnWorld(int viewer, const World& world);
  // A new weftd starts. What it cannot know any more, its proxies may lose.
  void OnStart(int viewer, const std::set<int>& unsaved_peers);
  void OnSidecarUpdate(int viewer);
  void OnSidecarRestart(int viewer);
  // A gateway let a connection in and handed it to a pod.
  void OnAdmitted(int owner, const ServiceName& service, const std::string& pod);
  // A sidecar of `acceptor` took a client for `identity`; it runs in the cluster `truly`.
  void OnClientAccepted(int acceptor, const std::string& identity, int truly);

  // When all has settled.
  void AtEnd();

 private:
  using Triple = std::tuple<int, ServiceName, int>;  // viewer, service, owner

  bool Lies(int cluster) const;
  void CheckRoots(int viewer, const Peer& peer);
  std::set<int> OwnersOf(int viewer, const ServiceName& service) const;
  void CheckView(int viewer, int peer);
  void CheckPolicy(int viewer, int owner);
  void CheckPolicies(int viewer, const World& world);
  void CheckPolicyAtEnd(int viewer, int owner);
  void CheckSidecar(int viewer);
  void CheckGateway(int owner);

  Context& context_;
  const Fleet& fleet_;
  // The latest moment of which the viewer has heard all that the peer had to say.
  std::map<std::pair<int, int>, absl::Duration> heard_until_;
  std::map<std::pair<int, int>, absl::Duration> configs_heard_until_;  // likewise
  std::map<Triple, absl::Duration> routed_since_;  // by those sidecars that have endpoints there
  std::map<std::pair<int, int>, absl::Duration> policy_since_;  // viewer and owner
  // Until when what a restart has lost may be missed.
  std::map<Triple, absl::Duration> forgiven_until_;
  std::map<std::pair<int, int>, std::weak_ptr<const Peer>> checked_;
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_INVARIANTS_H_
