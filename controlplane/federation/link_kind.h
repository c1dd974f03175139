// The kind Link (api/weft/kinds.proto): a linked cluster as an object, and as the Peer that the
// federation knows. Pure.
#ifndef WEFT_CONTROLPLANE_FEDERATION_LINK_KIND_H_
#define WEFT_CONTROLPLANE_FEDERATION_LINK_KIND_H_

#include <optional>
#include <string>
#include <vector>

#include "api/yaml/document.h"
#include "controlplane/model/world.h"

namespace weft {

namespace v1alpha1 {
class LinkSpec;
}  // namespace v1alpha1

// As objects' keys have it.
inline constexpr char kLinkKind[] = "Link.weft.io";
// Where its objects are: in no namespace.
inline constexpr char kLinksPath[] = "/apis/weft.io/v1alpha1/links";
// Where the Secrets are that a Link may name.
inline constexpr char kLinkSecretNamespace[] = "weft-system";

// The cluster that a valid Link of this name is about; nothing while it waits for a join.
std::optional<Peer> PeerOf(const std::string& name, const v1alpha1::LinkSpec& spec);

// The spec that PeerOf() reads as this peer, as JSON; with every field, so that it also replaces
// what another one said.
std::string LinkSpecOf(const Peer& peer);

// What a linked cluster has said of itself since, over the link. It stands in the Link's status, so
// that weftd finds a cluster again that has other roots by now, whatever became of its own disk.
struct ToldOfLink {
  std::string roots_pem;
  std::vector<GatewayAddress> gateways;
};

// As JSON; "" if it says what it said when it was linked.
std::string ToldBy(const Peer& linked, const Peer& now);
// Of a status's `told`; nothing if it cannot be used, or was told when the Link had other roots.
std::optional<ToldOfLink> ReadTold(const YamlNode& told, const Peer& linked);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_LINK_KIND_H_
