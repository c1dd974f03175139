#include "controlplane/translate/router_plan.h"

#include <map>
#include <optional>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/delegates.h"
#include "controlplane/model/gateway_api_name.h"
#include "controlplane/translate/hosts.h"

namespace weft {
namespace {

using istio::networking::v1alpha3::Destination;
using istio::networking::v1alpha3::Server;
using istio::networking::v1alpha3::ServerTLSSettings;
using istio::networking::v1alpha3::Sidecar;
using istio::networking::v1alpha3::VirtualService;

std::string ProtocolOf(const Server& server) {
  return absl::AsciiStrToUpper(server.port().protocol());
}

RouterPort::Carries CarriesOf(const Server& server) {
  const std::string protocol = ProtocolOf(server);
  if (protocol == "HTTPS" || protocol == "TLS") return RouterPort::Carries::kTls;
  const bool http =
      protocol == "HTTP" || protocol == "HTTP2" || protocol == "GRPC" || protocol == "GRPC-WEB";
  return http ? RouterPort::Carries::kHttp : RouterPort::Carries::kTcp;
}

absl::string_view NameOf(RouterPort::Carries carries) {
  switch (carries) {
    case RouterPort::Carries::kHttp:
      return "plain HTTP";
    case RouterPort::Carries::kTls:
      return "TLS";
    case RouterPort::Carries::kTcp:
      return "TCP";
  }
  return "";
}

// The part behind "namespace/".
absl::string_view HostOf(absl::string_view written) {
  const size_t slash = written.find('/');
  return slash == absl::string_view::npos ? written : written.substr(slash + 1);
}

// Whether VirtualServices of `name_space` may have the host.
bool Admits(absl::string_view written, absl::string_view gateway_namespace,
            absl::string_view name_space) {
  const size_t slash = written.find('/');
  if (slash == absl::string_view::npos) return true;
  const absl::string_view admitted = written.substr(0, slash);
  if (admitted == ".") return name_space == gateway_namespace;
  return admitted == "*" || admitted == name_space;
}

class Planner {
 public:
  Planner(const TranslationIndex& index, const ProxyView& view) : index_(index), view_(view) {}

  RouterPlan Plan() && {
    for (const auto* gateway : index_.GatewaysFor(view_)) {
      for (int i = 0; i < gateway->spec->servers_size(); ++i) {
        gateway_ = gateway;
        at_ = i;
        for (uint16_t port : PortsOf(server().port().number())) Place(port);
      }
    }
    for (auto& [place, port] : ports_) plan_.ports.push_back(std::move(port));
    return std::move(plan_);
  }

 private:
  const Server& server() const { return gateway_->spec->servers(at_); }

  // Clients dial the Service in front; its port leads to one of the pod.
  std::set<uint16_t> PortsOf(uint32_t number) const {
    std::set<uint16_t> ports;
    for (const Service* service : index_.ServicesAt(view_)) {
      if (service->entry.has_value()) continue;
      for (const Endpoint& endpoint : index_.EndpointsOf(*service)) {
        if (!IsAt(endpoint, view_)) continue;
        const auto target = endpoint.target_ports.find(static_cast<uint16_t>(number));
        if (target != endpoint.target_ports.end()) ports.insert(target->second);
      }
    }
    if (ports.empty()) ports.insert(static_cast<uint16_t>(number));
    return ports;
  }

  void Place(uint16_t number) {
    RouterServer placed{gateway_, &server(), {}};
    if (!FindCredentials(placed)) return;
    const RouterPort::Carries carries = CarriesOf(server());
    auto [found, added] = ports_.try_emplace({server().bind(), number});
    RouterPort& port = found->second;
    if (added) {
      port.bind = server().bind();
      port.port = number;
      port.carries = carries;
    } else if (!FitsInto(port, carries)) {
      return;
    }
    port.servers.push_back(std::move(placed));
  }

  bool FindCredentials(RouterServer& placed) {
    if (!TerminatesTls(server()) || server().tls().mode() == ServerTLSSettings::ISTIO_MUTUAL) {
      return true;
    }
    auto credentials = CredentialsOf(index_.world(), server().tls(), view_.namespace_);
    if (credentials.ok() && !credentials->sources.empty() && !view_.identified) {
      credentials = absl::NotFoundError("a proxy that did not prove who it is gets no keys");
    }
    if (!credentials.ok()) {
      Complain("tls.credentialName", absl::StrCat(credentials.status().message(),
                                                  "; the server is held back until it is"));
      return false;
    }
    placed.credentials = *std::move(credentials);
    return true;
  }

  bool FitsInto(const RouterPort& port, RouterPort::Carries carries) {
    const RouterServer& first = port.servers.front();
    if (port.carries != carries) {
      Complain("port", absl::StrCat("port ", port.port, " carries ", NameOf(port.carries), " for ",
                                    ToString(first.gateway->key), ", which is older, and not ",
                                    NameOf(carries), "; the server is left out"));
      return false;
    }
    if (carries == RouterPort::Carries::kTcp) {
      Complain("port",
               absl::StrCat("port ", port.port, " is that of ", ToString(first.gateway->key),
                            ", which is older, and nothing tells connections apart; the "
                            "server is left out"));
      return false;
    }
    if (carries == RouterPort::Carries::kHttp) return true;
    // By its server name a connection has one server.
    for (const RouterServer& other : port.servers) {
      for (const std::string& theirs : other.server->hosts()) {
        for (const std::string& ours : server().hosts()) {
          if (HostOf(theirs) != HostOf(ours)) continue;
          Complain("hosts", absl::StrCat("'", ours, "' on port ", port.port, " is that of ",
                                         ToString(other.gateway->key),
                                         ", which is older; the server is left out"));
          return false;
        }
      }
    }
    return true;
  }

  void Complain(absl::string_view field, std::string message) {
    std::string path = absl::StrCat("spec.servers[", at_, "].", field);
    // What users wrote is a listener; each of them is a Gateway here.
    if (IsOfGatewayApi(gateway_->key)) path = "spec.listeners";
    plan_.problems.push_back({Severity::kError, "", gateway_->key, gateway_->origin,
                              std::move(path), std::move(message)});
  }

  const TranslationIndex& index_;
  const ProxyView& view_;
  const TranslationIndex::GatewayConfig* gateway_ = nullptr;
  int at_ = 0;
  std::map<std::pair<std::string, uint16_t>, RouterPort> ports_;
  RouterPlan plan_;
};

template <typename Visit>
void VisitDestinations(const VirtualService& spec, Visit visit) {
  for (const auto& route : spec.http()) {
    for (const auto& share : route.route()) visit(share.destination());
    if (route.has_mirror()) visit(route.mirror());
    for (const auto& mirror : route.mirrors()) visit(mirror.destination());
  }
  for (const auto& route : spec.tcp()) {
    for (const auto& share : route.route()) visit(share.destination());
  }
  for (const auto& route : spec.tls()) {
    for (const auto& share : route.route()) visit(share.destination());
  }
}

}  // namespace

std::string RouterServer::gateway_name() const {
  return absl::StrCat(gateway->key.namespace_, "/", gateway->key.name);
}

std::string RouterPort::listener_name() const {
  return absl::StrCat(bind.empty() ? "0.0.0.0" : bind, "_", port);
}

bool TerminatesTls(const Server& server) {
  if (CarriesOf(server) != RouterPort::Carries::kTls) return false;
  const auto mode = server.tls().mode();
  return mode != ServerTLSSettings::PASSTHROUGH && mode != ServerTLSSettings::AUTO_PASSTHROUGH;
}

bool ServesHttp(const Server& server) {
  if (CarriesOf(server) == RouterPort::Carries::kHttp) return true;
  return ProtocolOf(server) == "HTTPS" && TerminatesTls(server);
}

bool PassesByServerName(const Server& server) {
  return CarriesOf(server) == RouterPort::Carries::kTls &&
         server.tls().mode() == ServerTLSSettings::AUTO_PASSTHROUGH;
}

RouterPlan PlanRouter(const TranslationIndex& index, const ProxyView& view) {
  return Planner(index, view).Plan();
}

std::vector<std::string> HostsAt(const TranslationIndex& index, const RouterServer& server,
                                 const TranslationIndex::VirtualServiceConfig& config) {
  std::vector<std::string> hosts;
  std::set<std::string> seen;
  for (const std::string& written : config.spec->hosts()) {
    // Of the Gateway API they are names as they are.
    const std::string host =
        IsOfGatewayApi(config.key) ? written : index.ResolveHost(written, config.key.namespace_);
    for (const std::string& of_server : server.server->hosts()) {
      if (!Admits(of_server, server.gateway->key.namespace_, config.key.namespace_)) continue;
      auto both = Intersection(HostOf(of_server), host);
      if (both.has_value() && seen.insert(*both).second) hosts.push_back(*std::move(both));
    }
  }
  return hosts;
}

std::vector<const TranslationIndex::VirtualServiceConfig*> VirtualServicesAt(
    const TranslationIndex& index, const RouterServer& server, absl::string_view router_namespace) {
  std::vector<const TranslationIndex::VirtualServiceConfig*> visible;
  for (const auto* config : index.VirtualServicesOn(*server.gateway)) {
    if (IsVisible(config->spec->export_to(), config->key.namespace_, router_namespace)) {
      visible.push_back(config);
    }
  }
  return visible;
}

OutboundScope RouterScopeOf(const TranslationIndex& index, const ProxyView& view) {
  std::set<std::string> hosts;
  OutboundScope scope = index.ScopeOf(view);
  scope.router = true;
  scope.credentials = view.identified;
  for (const auto* gateway : index.GatewaysFor(view)) {
    for (const Server& server : gateway->spec->servers()) {
      scope.by_server_name |= PassesByServerName(server);
    }
    for (const auto* config : VirtualServicesAt(index, {gateway, nullptr, {}}, view.namespace_)) {
      VisitDestinations(*config->spec, [&](const Destination& destination) {
        hosts.insert(index.ResolveHost(destination.host(), config->key.namespace_));
      });
    }
  }
  // Its clients see nothing but what is named; a Sidecar says that.
  Sidecar sidecar;
  auto* egress = sidecar.add_egress();
  for (const std::string& host : hosts) egress->add_hosts(absl::StrCat("*/", host));
  if (hosts.empty()) egress->add_hosts("~/*");
  scope.egress = sidecar.SerializeAsString();
  return scope;
}

}  // namespace weft
