// From xDS resources to the parts of a Snapshot: pure functions, one per kind of resource.
//
// An error is the text of the NACK: the path of the field, and what is wrong with it. The code
// kFailedPrecondition is special: the resource is well-formed but needs a secret that has not come
// yet, so it has to wait ("warm") rather than be refused. Extensions that are not known are errors;
// fields that change nothing Weft does are ignored.
#ifndef WEFT_PROXY_CONFIG_COMPILE_H_
#define WEFT_PROXY_CONFIG_COMPILE_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proxy/config/resolved_endpoints.h"
#include "proxy/config/runtime_values.h"
#include "proxy/config/snapshot.h"

namespace envoy::config::bootstrap::v3 {
class LayeredRuntime;
}
namespace envoy::config::listener::v3 {
class Listener;
}
namespace envoy::config::cluster::v3 {
class Cluster;
}
namespace envoy::config::endpoint::v3 {
class ClusterLoadAssignment;
}
namespace envoy::config::route::v3 {
class RouteConfiguration;
}
namespace istio::networking::nds::v1 {
class NameTable;
}

namespace weft {

struct Secrets;

absl::StatusOr<std::shared_ptr<const ListenerConfig>> CompileListener(
    const envoy::config::listener::v3::Listener& from, const Secrets& secrets);

// `assignment` is what EDS says of the cluster; null: the cluster's own load_assignment, if any.
absl::StatusOr<std::shared_ptr<const ClusterConfig>> CompileCluster(
    const envoy::config::cluster::v3::Cluster& from,
    const envoy::config::endpoint::v3::ClusterLoadAssignment* assignment, const Secrets& secrets);

// The same cluster with other endpoints; everything else is shared with `cluster`.
absl::StatusOr<std::shared_ptr<const ClusterConfig>> WithEndpoints(
    const ClusterConfig& cluster,
    const envoy::config::endpoint::v3::ClusterLoadAssignment& assignment);

// A cluster of a DNS type with the endpoints whose addresses are known now: `cluster` itself if
// they are the ones it has.
std::shared_ptr<const ClusterConfig> WithAddresses(
    const std::shared_ptr<const ClusterConfig>& cluster, const KnownAddresses& known);

// What health checks have said so far of the endpoints of one cluster, by EndpointConfig::key.
using KnownHealth = std::map<std::string, CheckedHealth>;

// The same cluster with what the checks say of its endpoints: `cluster` itself if it knows that. An
// endpoint nobody has checked yet is left as it is.
std::shared_ptr<const ClusterConfig> WithHealth(const std::shared_ptr<const ClusterConfig>& cluster,
                                                const KnownHealth& known);

// Of `secrets` the reader of files and the runtime's values are used, as filters may need them.
absl::StatusOr<std::shared_ptr<const RouteTable>> CompileRoutes(
    const envoy::config::route::v3::RouteConfiguration& from, const Secrets& secrets);

// The static layers; the later ones go over the earlier. Other kinds of layers that could say
// something are errors.
absl::StatusOr<RuntimeValues> CompileRuntime(
    const envoy::config::bootstrap::v3::LayeredRuntime& from);

absl::StatusOr<std::shared_ptr<const NameTable>> CompileNameTable(
    const istio::networking::nds::v1::NameTable& from);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_H_
