// RemoteView: another cluster as its API server has it, as if it were a linked one that says what
// it exports.
//
// So it joins the World the way a peer does (federation/merge.h), and everything behind that knows
// of no third kind of cluster. It has no weftd: its proxies are served by ours and have
// certificates of our CA, in our trust domain, as Istio has it with a remote cluster. So its state
// has its workloads, and of its services each pod.
//
// Where its pods are, `topology.istio.io/network` says: of the pod, else of its namespace
// weft-system or istio-system; else they are on a network of the cluster's own name, as weftd's
// --network has it. Clients on that network dial them; others go through the Services with that
// label of the cluster's network, by their external addresses.
//
// Pure; not thread-safe.
#ifndef WEFT_CONTROLPLANE_FEDERATION_REMOTE_VIEW_H_
#define WEFT_CONTROLPLANE_FEDERATION_REMOTE_VIEW_H_

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/federation/exports.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/raw_object.h"
#include "controlplane/model/registry.h"
#include "controlplane/model/world.h"

namespace weft {

class RemoteView {
 public:
  // As of a peer (federation/peer_view.h).
  static constexpr size_t kMaxServices = 10000;
  // Where gateways take mesh TLS, unless their Service's label networking.istio.io/gatewayPort says
  // otherwise.
  static constexpr uint16_t kGatewayPort = 15443;

  // `self` is our own cluster. Of the services of this one, those are in the cluster set that its
  // objects or `exports` say (model/sharing.h); its own clients have all of them.
  RemoteView(std::string cluster, std::shared_ptr<const ClusterIdentity> self,
             ExportPolicy exports);

  std::vector<Problem> Apply(const std::vector<ObjectDelta>& deltas);
  // Makes state() of all that was applied; whether it is another one.
  bool Build();
  const PeerState& state() const { return state_; }

 private:
  using Name = std::pair<std::string, std::string>;  // namespace, name
  // A Service that leads to a gateway of the network that its label names.
  struct Gateway {
    std::string network;
    std::vector<GatewayAddress> addresses;

    friend bool operator==(const Gateway&, const Gateway&) = default;
  };

  static Gateway ReadGateway(const RawObject& service, std::vector<Problem>& problems);
  void PutGateway(const Name& name, Gateway gateway);
  std::string NetworkOf(const World& world) const;
  static ExportedService Export(const Service& service, const Endpoints& endpoints,
                                const std::string& network);

  const std::string cluster_;
  const std::shared_ptr<const ClusterIdentity> self_;
  Registry registry_;
  World built_;  // what state_ was made of
  std::map<Name, Gateway> gateways_;
  bool gateways_changed_ = true;
  PeerState state_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_REMOTE_VIEW_H_
