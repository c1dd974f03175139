// A DestinationRule's settings as the fields of a Cluster: balancing, limits, how HTTP is spoken,
// outliers, TLS of the rule's own. Which rule it is that holds, destination_rule.h says.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_CLUSTER_POLICY_H_
#define WEFT_CONTROLPLANE_TRANSLATE_CLUSTER_POLICY_H_

#include <string>

#include "absl/time/time.h"
#include "controlplane/model/world.h"
#include "controlplane/translate/destination_rule.h"
#include "controlplane/translate/router_credentials.h"

namespace envoy::config::cluster::v3 {
class Cluster;
}  // namespace envoy::config::cluster::v3
namespace envoy::config::core::v3 {
class TransportSocket;
}  // namespace envoy::config::core::v3

namespace weft {

inline constexpr absl::Duration kConnectTimeout = absl::Seconds(2);

// Connections go where the client wanted to, not to an endpoint that is chosen here.
bool IsPassthrough(const Policy& policy);

// What connections to a port carry: nothing but HTTP/2, or HTTP/1 too, or bytes.
bool SpeaksHttp2(const Policy& policy, Protocol protocol);

// All that does not depend on the type of the cluster, but for the transport socket.
void ApplyPolicy(const Policy& policy, Protocol protocol,
                 envoy::config::cluster::v3::Cluster& cluster);

// TLS as the rule says (ClientTls::kOwn). Where it states no name the server's is the service's
// host, and its certificate is for that or for those that the ServiceEntry states. Certificate and
// roots are those of `credentials`; null: of files, or the system's.
envoy::config::core::v3::TransportSocket OwnTls(const Policy& policy, const Service& service,
                                                bool http2, const RouterCredentials* credentials);

// The socket, behind a PROXY header if the rule asks for one.
envoy::config::core::v3::TransportSocket Proxied(const Policy& policy,
                                                 envoy::config::core::v3::TransportSocket socket);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_CLUSTER_POLICY_H_
