// Who may go where by a gateway's tunnels, as the proxy decides it.
#include <string>

#include "absl/strings/str_cat.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "controlplane/translate/inbound_verdict.h"
#include "controlplane/translate/translate.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using envoy::config::listener::v3::Listener;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;

// Of a gateway of east, with peers west and mars, of which nobody can dial mars. Left out is what
// comes before authorization, the choice of a chain and the filter that checks a tunnel's headers,
// and how the tunnel is made behind it.
Listener TunnelListener() {
  WorldBuilder builder;
  Peer mars{"mars", "net-mars", "mars.local", "MARS ROOT", {}};
  mars.outbound_only = true;
  builder.Linked(mars);
  ProxyView view;
  view.role = ProxyRole::kGateway;
  view.tunnels = true;
  Listener listener = ListenerIn(Translate(builder.world(), view), "0.0.0.0_15008");
  listener.mutable_filter_chains()->DeleteSubrange(1, listener.filter_chains_size() - 1);
  auto& chain = *listener.mutable_filter_chains(0);
  chain.clear_filter_chain_match();
  HttpConnectionManager http;
  EXPECT_TRUE(chain.filters(0).typed_config().UnpackTo(&http));
  EXPECT_EQ(http.http_filters(0).name(), "weft.filters.http.tunnel");
  http.mutable_http_filters()->DeleteSubrange(0, 1);
  auto& route = *http.mutable_route_config()->mutable_virtual_hosts(0)->mutable_routes(0);
  EXPECT_TRUE(route.route().upgrade_configs(0).has_connect_config());
  route.mutable_route()->clear_upgrade_configs();
  chain.mutable_filters(0)->mutable_typed_config()->PackFrom(http);
  return listener;
}

TEST(TunnelAccess, OnlyOurOwnGoToOtherClustersThroughUs) {
  const std::string name = "outbound_.80_._.web.default.svc.cluster.local";
  struct Row {
    const char* principal;
    std::string authority;
    const char* verdict;
  } rows[] = {
      {"east.local/ns/default/sa/sleep", name, "allowed"},
      {"west.local/ns/default/sa/sleep", name, "allowed"},
      {"west.local/ns/weft-system/sa/weft-gateway", name, "allowed"},
      {"east.local/ns/default/sa/sleep", absl::StrCat("mars.", name), "allowed"},
      {"west.local/ns/default/sa/sleep", absl::StrCat("mars.", name), "denied: none"},
      {"west.local/ns/weft-system/sa/weft-gateway", absl::StrCat("mars.", name), "denied: none"},
      {"mars.local/ns/weft-system/sa/weft-gateway", absl::StrCat("mars.", name), "denied: none"},
      // A trust domain whose name begins as ours does is another one.
      {"east.local.evil/ns/default/sa/sleep", absl::StrCat("mars.", name), "denied: none"},
      // What clusters there are beside those of services.
      {"east.local/ns/default/sa/sleep", "peer.east.weft", "denied: none"},
      {"east.local/ns/default/sa/sleep", "BlackHoleCluster", "denied: none"},
      {"east.local/ns/default/sa/sleep", "", "denied: none"},
  };
  InboundProxy gateway(TunnelListener());
  for (const Row& row : rows) {
    Call call;
    call.principal = row.principal;
    call.method = "CONNECT";
    call.host = row.authority;
    EXPECT_EQ(gateway.Ask(call), row.verdict) << row.principal << " to " << row.authority;
  }
}

}  // namespace
}  // namespace weft
