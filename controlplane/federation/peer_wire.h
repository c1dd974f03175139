// ExportedService and Peer facts to and from the peer API's messages. What comes from a peer is
// foreign: it is checked here, field by field, and nothing unchecked gets past. Pure.
#ifndef WEFT_CONTROLPLANE_FEDERATION_PEER_WIRE_H_
#define WEFT_CONTROLPLANE_FEDERATION_PEER_WIRE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "controlplane/federation/exports.h"

namespace weft::peer::v1 {
class Gateways;
class Group;
class ServiceSummary;
}  // namespace weft::peer::v1

namespace weft {

// What one service may hold: far above what the API server of a cluster allows in practice, and
// low enough that one message cannot cost much.
inline constexpr int kMaxPortsOfService = 256;
inline constexpr int kMaxGroupsOfService = 2000;
inline constexpr int kMaxLabelsOfGroup = 64;
inline constexpr int kMaxGateways = 64;

void ToWire(const ExportedService& service, peer::v1::ServiceSummary& wire);
// Errors name the service and the field.
absl::StatusOr<ExportedService> FromWire(const peer::v1::ServiceSummary& wire);
absl::StatusOr<ExportedGroup> GroupFromWire(const peer::v1::Group& wire);
void ToWire(const ClusterIdentity& self, const std::vector<GatewayAddress>& gateways,
            peer::v1::Gateways& wire);
absl::StatusOr<std::vector<GatewayAddress>> FromWire(const peer::v1::Gateways& wire);

// An RFC 1123 label, as Kubernetes names namespaces and services.
bool IsDnsLabel(absl::string_view name);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_PEER_WIRE_H_
