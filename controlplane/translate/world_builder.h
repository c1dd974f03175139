// For tests: a World from a few lines, and resources read back from their bytes.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_WORLD_BUILDER_H_
#define WEFT_CONTROLPLANE_TRANSLATE_WORLD_BUILDER_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/endpoint.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/route.pb.h"
#include "controlplane/model/world.h"
#include "controlplane/translate/resources.h"

namespace weft {

class WorldBuilder {
 public:
  // A control plane of cluster "east", with peer "west" behind one gateway at 172.16.0.2:15443.
  WorldBuilder();

  // "helloworld" in "default", local and exported; its address is the next of 10.96.0.x.
  WorldBuilder& Service(const std::string& name_space, const std::string& name,
                        std::vector<ServicePort> ports);
  // A pod of east with a sidecar for one service, labelled app=NAME and version; target ports are
  // those of the service. Its address is the next of 10.244.0.x.
  WorldBuilder& Pod(const std::string& name_space, const std::string& name,
                    const std::string& version, Locality locality = {});
  // Ready pods of a version in west.
  WorldBuilder& Remote(const std::string& name_space, const std::string& name,
                       const std::string& version, uint32_t pods, Locality locality = {});
  WorldBuilder& PeerGateways(std::vector<GatewayAddress> gateways);
  // Adds the peer, or replaces the one of that name.
  WorldBuilder& Linked(Peer peer);
  WorldBuilder& Self(ClusterIdentity self);
  // A pod of east's own gateways.
  WorldBuilder& GatewayPod(const std::string& address);
  // East and west are of one trust domain.
  WorldBuilder& SharedTrustDomain();
  // Keys as fetched from there.
  WorldBuilder& KeySet(const std::string& uri, std::string jwks);
  // Istio's kinds of a YAML text, and ConfigMaps with mesh-wide settings; others are passed over.
  absl::Status Apply(absl::string_view yaml);

  // For what the above does not do.
  Endpoint& LastEndpoint() { return *last_endpoint_; }
  weft::Service& LastService() { return *last_service_; }

  const World& world() const { return world_; }

 private:
  Endpoint& AddEndpoint(const std::string& name_space, const std::string& name,
                        const std::string& version, Locality locality);

  World world_;
  std::map<std::string, std::shared_ptr<Endpoints>> endpoints_;
  weft::Service* last_service_ = nullptr;
  Endpoint* last_endpoint_ = nullptr;
  int addresses_ = 0;
};

ProxyView SidecarIn(const std::string& name_space, Locality locality = {});

// Fails the test if the resource is not there or is of another type.
envoy::config::cluster::v3::Cluster ClusterIn(const Resources& resources, const std::string& name);
envoy::config::endpoint::v3::ClusterLoadAssignment AssignmentIn(const Resources& resources,
                                                                const std::string& name);
envoy::config::listener::v3::Listener ListenerIn(const Resources& resources,
                                                 const std::string& name);
envoy::config::route::v3::RouteConfiguration RoutesIn(const Resources& resources,
                                                      const std::string& name);
// The virtual host of a domain; empty if there is none.
envoy::config::route::v3::VirtualHost HostIn(const Resources& resources, const std::string& routes,
                                             const std::string& domain);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_WORLD_BUILDER_H_
