// What one router serves: the servers of all Gateways that select it, arranged by the ports it
// listens on.
//
// Servers of one port are merged where the port can tell them apart: plain HTTP by Host, TLS by
// server name. Where it cannot, the oldest Gateway's counts. What is left out has a Problem that
// names both; a server whose credentials are not there is held back alike. Pure.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_ROUTER_PLAN_H_
#define WEFT_CONTROLPLANE_TRANSLATE_ROUTER_PLAN_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/model/problem.h"
#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"
#include "controlplane/translate/router_credentials.h"

namespace istio::networking::v1alpha3 {
class Server;
}  // namespace istio::networking::v1alpha3

namespace weft {

struct RouterServer {
  const TranslationIndex::GatewayConfig* gateway;
  const istio::networking::v1alpha3::Server* server;
  RouterCredentials credentials = {};

  std::string gateway_name() const;  // "namespace/name"
};

struct RouterPort {
  enum class Carries { kHttp, kTls, kTcp };

  std::string bind;   // an IP or "unix:///path"; empty: all addresses
  uint16_t port = 0;  // where the pod listens
  Carries carries = Carries::kHttp;
  std::vector<RouterServer> servers;  // in order of precedence; of kTcp exactly one

  // "0.0.0.0_8080".
  std::string listener_name() const;
};

struct RouterPlan {
  std::vector<RouterPort> ports;  // in order of bind and port
  std::vector<Problem> problems;
};

RouterPlan PlanRouter(const TranslationIndex& index, const ProxyView& view);

// Whether TLS ends here, and with it what is inside can be seen.
bool TerminatesTls(const istio::networking::v1alpha3::Server& server);
// A port of HTTP, in plain or inside of TLS that ends here.
bool ServesHttp(const istio::networking::v1alpha3::Server& server);
bool PassesByServerName(const istio::networking::v1alpha3::Server& server);

// The hosts that a VirtualService has at the server: what its hosts and the server's have in
// common, as far as the server lets its namespace have them.
std::vector<std::string> HostsAt(const TranslationIndex& index, const RouterServer& server,
                                 const TranslationIndex::VirtualServiceConfig& config);

// The VirtualServices that route what comes to the server, as the router's namespace sees them.
std::vector<const TranslationIndex::VirtualServiceConfig*> VirtualServicesAt(
    const TranslationIndex& index, const RouterServer& server, absl::string_view router_namespace);

// What a router's clusters depend on: only what its routes lead to.
OutboundScope RouterScopeOf(const TranslationIndex& index, const ProxyView& view);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ROUTER_PLAN_H_
