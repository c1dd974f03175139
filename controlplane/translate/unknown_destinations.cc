#include "controlplane/translate/unknown_destinations.h"

#include "api/envoy/route.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/parts.h"

namespace weft {

using envoy::config::route::v3::Route;
using envoy::config::route::v3::VirtualHost;

std::string UnknownCluster(const RouteContext& context) {
  if (context.services.registry_only()) return kBlackHoleCluster;
  const auto* proxy = context.services.egress_proxy();
  if (proxy == nullptr) return kPassthroughCluster;
  // What was to go through the proxy must not go round it because the proxy is not there.
  const auto resolved = ResolveDestination(context, *proxy, context.scope.namespace_, 0);
  return resolved.ok() ? resolved->cluster : kBlackHoleCluster;
}

VirtualHost UnknownHost(const RouteContext& context) {
  const bool blocked = context.services.registry_only();
  const char* name = blocked ? "block_all" : "allow_any";
  VirtualHost host;
  host.set_name(name);
  host.add_domains("*");
  Route* route = host.add_routes();
  route->set_name(name);
  route->mutable_match()->set_prefix("/");
  if (blocked) {
    route->mutable_direct_response()->set_status(502);
  } else {
    route->mutable_route()->set_cluster(UnknownCluster(context));
    route->mutable_route()->mutable_timeout();  // 0: none
  }
  return host;
}

}  // namespace weft
