#include "controlplane/translate/destinations.h"

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/parts.h"

namespace weft {
namespace {

using istio::networking::v1alpha3::Destination;
using istio::networking::v1alpha3::Subset;

const ServicePort* OnlyPort(const Service& service) {
  const ServicePort* only = nullptr;
  for (const ServicePort& port : service.ports) {
    if (port.protocol == Protocol::kUdp) continue;
    if (only != nullptr) return nullptr;
    only = &port;
  }
  return only;
}

}  // namespace

absl::StatusOr<ResolvedDestination> ResolveDestination(const RouteContext& context,
                                                       const Destination& destination,
                                                       absl::string_view object_namespace,
                                                       uint16_t request_port) {
  const std::string host =
      context.index.FollowAlias(context.index.ResolveHost(destination.host(), object_namespace));
  const Service* service = context.services.Find(host);
  if (service == nullptr) {
    return absl::NotFoundError(
        absl::StrCat("host '", destination.host(), "' (", host, "): no such service in the mesh"));
  }
  const ServicePort* port;
  if (destination.port().number() != 0) {
    port = FindPort(*service, destination.port().number());
    if (port == nullptr) {
      return absl::NotFoundError(absl::StrCat("host '", destination.host(), "': it has no port ",
                                              destination.port().number()));
    }
  } else {
    port = FindPort(*service, request_port);
    if (port == nullptr) port = OnlyPort(*service);
    if (port == nullptr) {
      return absl::NotFoundError(absl::StrCat("host '", destination.host(), "': it has no port ",
                                              request_port,
                                              " and several others; state destination.port"));
    }
  }
  const AppliedRule& rule = context.rules.at(service);
  const Subset* subset = nullptr;
  if (!destination.subset().empty()) {
    subset = rule.FindSubset(destination.subset());
    if (subset == nullptr) {
      return absl::NotFoundError(absl::StrCat("host '", destination.host(), "' subset '",
                                              destination.subset(),
                                              "': no DestinationRule defines it"));
    }
  }
  return ResolvedDestination{OutboundClusterName(port->port, destination.subset(), host),
                             rule.For(port->port, subset)};
}

}  // namespace weft
