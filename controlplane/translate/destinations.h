// From what a VirtualService names (host, subset, port) to the cluster that requests go to.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_DESTINATIONS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_DESTINATIONS_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "controlplane/model/gateway_name.h"
#include "controlplane/translate/destination_rule.h"
#include "controlplane/translate/index.h"
#include "controlplane/translate/sidecar_scope.h"

namespace istio::networking::v1alpha3 {
class Destination;
class L4MatchAttributes;
class VirtualService;
}  // namespace istio::networking::v1alpha3

namespace weft {

// All that translation of one client's routes needs.
struct RouteContext {
  const TranslationIndex& index;
  const OutboundScope& scope;
  const AppliedRules& rules;
  const VisibleServices& services;
  // Whose connections these are: of a Gateway ("namespace/name"), else of all sidecars.
  std::string gateway = std::string(kMeshGateway);
};

struct ResolvedDestination {
  std::string cluster;
  Policy policy;
};

// `object_namespace` completes short names. Without a port the one of the request is meant, or the
// only one. NotFound says which part of the reference leads nowhere.
absl::StatusOr<ResolvedDestination> ResolveDestination(
    const RouteContext& context, const istio::networking::v1alpha3::Destination& destination,
    absl::string_view object_namespace, uint16_t request_port);

// Whether the conditions on the client itself hold: those that are decided at translation and not
// per request. Match is an HTTPMatchRequest, L4MatchAttributes or TLSMatchAttributes of an object
// of this namespace.
template <typename Match>
bool MatchesClient(const Match& match, const RouteContext& context,
                   absl::string_view object_namespace, uint16_t port) {
  if (match.port() != 0 && match.port() != port) return false;
  if (!match.source_namespace().empty() && match.source_namespace() != context.scope.namespace_) {
    return false;
  }
  if (!Selects(match.source_labels(), context.scope.labels)) return false;
  if (match.gateways().empty()) return true;
  for (const std::string& gateway : match.gateways()) {
    if (gateway == context.gateway) return true;
    if (gateway == kMeshGateway) continue;
    const auto [name_space, name] = GatewayNameOf(gateway, object_namespace);
    if (absl::StrCat(name_space, "/", name) == context.gateway) return true;
  }
  return false;
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_DESTINATIONS_H_
