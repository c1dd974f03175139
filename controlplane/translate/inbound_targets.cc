#include "controlplane/translate/inbound_targets.h"

#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/default_endpoint.h"
#include "controlplane/model/service_entry.h"

namespace weft {
namespace {

using istio::networking::v1alpha3::IstioIngressListener;
using istio::networking::v1alpha3::Sidecar;

// A pod of both families answers where it was called: it may listen on one of them only.
std::string OwnAddress(const ProxyView& view) { return view.families().both() ? "" : view.address; }

InboundTarget TargetOf(const IstioIngressListener& ingress, const ProxyView& view) {
  InboundTarget target;
  target.protocol = NamedProtocol(ingress.port().protocol()).value_or(Protocol::kTcp);
  target.address = OwnAddress(view);
  target.port = static_cast<uint16_t>(ingress.port().number());
  if (const auto endpoint = ParseDefaultEndpoint(ingress.default_endpoint())) {
    if (!endpoint->ip.empty()) target.address = endpoint->ip;
    if (!endpoint->path.empty()) target.address = absl::StrCat("unix://", endpoint->path);
    target.port = endpoint->port;
  }
  if (ingress.has_connection_pool()) target.pool = &ingress.connection_pool();
  return target;
}

}  // namespace

std::map<uint16_t, InboundTarget> InboundTargetsOf(const TranslationIndex& index,
                                                   const ProxyView& view) {
  static const Sidecar kNone;
  const auto* config = index.sidecars().For(view.namespace_, view.labels);
  const Sidecar& sidecar = config == nullptr ? kNone : *config->spec;
  std::map<uint16_t, InboundTarget> targets;
  for (const IstioIngressListener& ingress : sidecar.ingress()) {
    targets.emplace(static_cast<uint16_t>(ingress.port().number()), TargetOf(ingress, view));
  }
  if (sidecar.ingress().empty()) {
    for (const auto& [port, inbound] : index.InboundPortsOf(view)) {
      targets[port] = {inbound.protocol, OwnAddress(view), port, nullptr};
    }
  }
  for (auto& [port, target] : targets) {
    if (target.pool == nullptr && sidecar.has_inbound_connection_pool()) {
      target.pool = &sidecar.inbound_connection_pool();
    }
  }
  return targets;
}

}  // namespace weft
