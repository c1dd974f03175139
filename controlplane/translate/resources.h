// The xDS resources for one ProxyView: what Translate makes and ADS delivers.
//
// A resource is encoded once; the same bytes go to every proxy that sees it. Equal bytes mean an
// unchanged resource, so a push is a comparison of what a proxy has with what it should have.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_RESOURCES_H_
#define WEFT_CONTROLPLANE_TRANSLATE_RESOURCES_H_

#include <map>
#include <memory>
#include <string>

#include "controlplane/model/ip_families.h"
#include "controlplane/model/world.h"

namespace weft {

// What makes two proxies differ; the cache key of config: a generator receives this and the World
// and nothing else.
enum class ProxyRole {
  kSidecar,
  kGateway,    // east-west
  kRouter,     // at the mesh's edge: what Gateways select
  kProxyless,  // an application that speaks xDS itself, by gRPC's own client
};

struct ProxyView {
  ProxyRole role = ProxyRole::kSidecar;
  std::string namespace_;
  std::string address;             // the pod's IP
  std::string other_address = {};  // of the other IP family, if it has one
  std::string service_account;
  std::string cluster;
  std::string network;
  Labels labels;
  Locality locality;
  // It has proven who it is. Private keys of Secrets are sent to nobody else.
  bool identified = false;
  // It is a weft-proxy, which knows the extensions of api/weft/tunnel.proto; others would refuse
  // them.
  bool tunnels = false;

  IpFamilies families() const { return FamiliesOf(address, other_address); }
  friend bool operator==(const ProxyView&, const ProxyView&) = default;
  friend auto operator<=>(const ProxyView&, const ProxyView&) = default;
};

// Serialized google.protobuf.Any's of one type, by resource name. Copies share all they have in
// common, so what changed between two of them is cheap to tell.
using EncodedResources = SharedMap<std::string, std::shared_ptr<const std::string>>;

struct Resources {
  EncodedResources clusters;    // envoy.config.cluster.v3.Cluster
  EncodedResources endpoints;   // envoy.config.endpoint.v3.ClusterLoadAssignment
  EncodedResources listeners;   // envoy.config.listener.v3.Listener
  EncodedResources routes;      // envoy.config.route.v3.RouteConfiguration
  EncodedResources secrets;     // envoy.extensions.transport_sockets.tls.v3.Secret: "ROOTCA", …
  EncodedResources name_table;  // istio.networking.nds.v1.NameTable, one resource named ""
};

inline constexpr EncodedResources Resources::* kAllResources[] = {
    &Resources::clusters, &Resources::endpoints, &Resources::listeners,
    &Resources::routes,   &Resources::secrets,   &Resources::name_table};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_RESOURCES_H_
