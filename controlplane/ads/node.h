// Who a proxy says it is, whether it may say so, and what it therefore gets to see.
//
// A node id and its metadata are a claim; the identity proven by the connection's certificate is
// what decides. Pure.
#ifndef WEFT_CONTROLPLANE_ADS_NODE_H_
#define WEFT_CONTROLPLANE_ADS_NODE_H_

#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "certs/spiffe_id.h"
#include "controlplane/model/world.h"
#include "controlplane/translate/resources.h"

namespace envoy::config::core::v3 {
class Node;
}  // namespace envoy::config::core::v3

namespace weft {

// East-west gateways run here, and only what runs here gets the configuration of one. A router of
// any other namespace serves the Gateways that select it.
inline constexpr char kSystemNamespace[] = "weft-system";

struct ClientNode {
  ProxyRole role = ProxyRole::kSidecar;
  std::string id;       // as it was sent; bounded, may hold any bytes
  std::string address;  // of the pod; empty if proxyless
  std::string cluster;  // where it says it is; empty: here
  std::string namespace_;
  std::string service_account;
  Labels labels;            // as stated; those of a known workload win
  Locality locality;        // likewise
  bool identified = false;  // its certificate has proven that it may be this
  bool tunnels = false;     // it says that it knows them (api/weft/tunnel.proto)
};

// Reads "sidecar~IP~POD.NS~NS.svc.cluster.local" ("router~…" for a gateway) and the metadata. With
// GENERATOR "grpc" there it is a proxyless client: any id will do, and NAMESPACE says what it sees
// ("default" unless stated).
absl::StatusOr<ClientNode> ReadNode(const envoy::config::core::v3::Node& node);

// Whether whoever proved to be `identity` may be `node`: the same namespace and service account,
// and a workload of its cluster that runs as that at the node's address. PermissionDenied if not;
// Unavailable if no workload there is known (yet), or no such cluster. A proxyless client need be
// no workload of ours.
absl::Status CheckNode(const ClientNode& node, const certs::SpiffeId& identity, const World& world);

// What makes this proxy's configuration: from the World where it knows the workload. Who is of no
// cluster that is known is taken to be of ours.
ProxyView ViewOf(const ClientNode& node, const World& world);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_NODE_H_
