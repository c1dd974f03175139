// Rules of Sidecar.
#include <set>
#include <string>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/default_endpoint.h"
#include "controlplane/model/service_entry.h"
#include "controlplane/model/validate_rules.h"

namespace weft {
namespace {

namespace networking = istio::networking::v1alpha3;
using networking::IstioEgressListener;
using networking::IstioIngressListener;
using networking::OutboundTrafficPolicy;
using networking::Sidecar;
using networking::SidecarPort;

void CheckSidecarPort(const SidecarPort& port, Checker& check) {
  const Checker::In in(check, "port");
  check.RequiredPort("number", port.number());
  if (port.protocol().empty()) {
    check.Error("protocol", "is missing");
  } else if (!NamedProtocol(port.protocol()).has_value()) {
    check.Error("protocol", absl::StrCat("'", port.protocol(),
                                         "' is not a protocol; HTTP, HTTPS, "
                                         "HTTP2, GRPC, TCP and TLS are"));
  }
}

// An IP; listeners on Unix sockets are not made.
void CheckBind(const std::string& bind, Checker& check) {
  if (bind.empty() || IsIp(bind)) return;
  check.Error("bind", absl::StrCat("'", bind, "' is not an IP address"));
}

// "namespace/dnsName", the namespace a name, ".", "*" or "~".
void CheckEgressHost(absl::string_view host, const std::string& field, Checker& check) {
  const size_t slash = host.find('/');
  if (slash == absl::string_view::npos || slash == 0 || slash + 1 == host.size()) {
    check.Error(field, absl::StrCat("'", host, "' is not of the form 'namespace/host', as in ",
                                    "'./*' or 'prod/api.example.com'"));
    return;
  }
  const absl::string_view name_space = host.substr(0, slash);
  if (name_space != "." && name_space != "*" && name_space != "~") check.Label(field, name_space);
  check.Host(field, host.substr(slash + 1), /*wildcard=*/true);
}

void CheckEgress(const IstioEgressListener& egress, Checker& check) {
  if (egress.has_port()) {
    CheckSidecarPort(egress.port(), check);
  } else if (!egress.bind().empty()) {
    check.Error("bind", "needs a port, too");
  }
  CheckBind(egress.bind(), check);
  if (!egress.has_port() && egress.capture_mode() == networking::NONE) {
    check.Error("captureMode", "NONE needs a port: nothing tells where to listen");
  }
  if (egress.hosts().empty()) {
    check.Error("hosts", "is missing; '~/*' says that there are none");
  }
  for (int i = 0; i < egress.hosts_size(); ++i) {
    CheckEgressHost(egress.hosts(i), absl::StrCat("hosts[", i, "]"), check);
  }
}

void CheckAllEgress(const Sidecar& spec, Checker& check) {
  std::set<std::pair<std::string, uint32_t>> taken;
  for (int i = 0; i < spec.egress_size(); ++i) {
    const IstioEgressListener& egress = spec.egress(i);
    const Checker::In in(check, "egress", i);
    CheckEgress(egress, check);
    if (!egress.has_port() && i + 1 < spec.egress_size()) {
      check.Error("port", "is missing; only the last listener, for all else, can be without one");
    }
    if (egress.has_port() && !taken.emplace(egress.bind(), egress.port().number()).second) {
      check.Error("port.number", absl::StrCat(egress.port().number(), " is there twice"));
    }
  }
}

void CheckIngress(const IstioIngressListener& ingress, Checker& check) {
  if (ingress.has_port()) {
    CheckSidecarPort(ingress.port(), check);
  } else {
    check.Error("port", "is missing");
  }
  CheckBind(ingress.bind(), check);
  if (!ingress.default_endpoint().empty() &&
      !ParseDefaultEndpoint(ingress.default_endpoint()).has_value()) {
    check.Error("defaultEndpoint",
                absl::StrCat("'", ingress.default_endpoint(), "' is none of '127.0.0.1:PORT', ",
                             "'0.0.0.0:PORT', '[::1]:PORT', '[::]:PORT' and 'unix:///PATH'"));
  }
  const absl::string_view no_effect = "has no effect: connections come by capture, over mesh TLS";
  if (!ingress.bind().empty()) check.Warning("bind", std::string(no_effect));
  if (ingress.capture_mode() == networking::NONE) {
    check.Warning("captureMode", std::string(no_effect));
  }
  if (ingress.has_tls()) check.Warning("tls", std::string(no_effect));
  if (ingress.has_connection_pool()) {
    CheckConnectionPool("connectionPool", ingress.connection_pool(), check);
  }
}

void CheckAllIngress(const Sidecar& spec, Checker& check) {
  std::set<uint32_t> taken;
  for (int i = 0; i < spec.ingress_size(); ++i) {
    const Checker::In in(check, "ingress", i);
    CheckIngress(spec.ingress(i), check);
    if (!taken.insert(spec.ingress(i).port().number()).second) {
      check.Error("port.number", absl::StrCat(spec.ingress(i).port().number(), " is there twice"));
    }
  }
}

void CheckOutboundPolicy(const OutboundTrafficPolicy& policy, Checker& check) {
  if (!policy.has_egress_proxy()) return;
  const Checker::In in(check, "outboundTrafficPolicy.egressProxy");
  if (policy.mode() != OutboundTrafficPolicy::ALLOW_ANY) {
    check.Error("", "goes with mode ALLOW_ANY only: nothing unknown passes otherwise");
  }
  check.Host("host", policy.egress_proxy().host(), /*wildcard=*/false);
  if (policy.egress_proxy().has_port()) {
    check.RequiredPort("port.number", policy.egress_proxy().port().number());
  }
}

}  // namespace

void CheckSidecar(const Sidecar& spec, Checker& check) {
  if (spec.ingress().empty() && spec.egress().empty() && !spec.has_outbound_traffic_policy() &&
      !spec.has_inbound_connection_pool()) {
    check.Error("",
                "says nothing: it has neither egress, ingress, outboundTrafficPolicy nor "
                "inboundConnectionPool");
  }
  check.SelectorLabels("workloadSelector.labels", spec.workload_selector().labels());
  CheckAllEgress(spec, check);
  CheckAllIngress(spec, check);
  CheckOutboundPolicy(spec.outbound_traffic_policy(), check);
  if (spec.has_inbound_connection_pool()) {
    CheckConnectionPool("inboundConnectionPool", spec.inbound_connection_pool(), check);
  }
}

}  // namespace weft
