// RBAC among the network filters of a chain; what a policy compiles to, decide/authorize_test.cc
// has.
#include "proxy/config/compile_rbac.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>

#include "api/envoy/listener.pb.h"
#include "api/envoy/network_rbac.pb.h"
#include "api/envoy/sni_cluster.pb.h"
#include "api/envoy/tcp_proxy.pb.h"
#include "proxy/config/compile.h"
#include "proxy/config/secrets.h"

namespace weft {
namespace {

constexpr char kTcp[] =
    "filters { name: 'tcp' typed_config { "
    "[type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy] { stat_prefix: "
    "'t' cluster: 'c' } } } ";
constexpr char kSni[] =
    "filters { name: 'sni' typed_config { "
    "[type.googleapis.com/envoy.extensions.filters.network.sni_cluster.v3.SniCluster] {} } } ";

std::string Rbac(const std::string& fields) {
  return "filters { name: 'rbac' typed_config { "
         "[type.googleapis.com/envoy.extensions.filters.network.rbac.v3.RBAC] { " +
         fields + " } } } ";
}

absl::StatusOr<std::shared_ptr<const ListenerConfig>> Compile(const std::string& filters) {
  envoy::config::listener::v3::Listener message;
  const std::string text =
      "name: 'l' address { socket_address { address: '127.0.0.1' port_value: 1 } } filter_chains "
      "{ " +
      filters + " }";
  if (!google::protobuf::TextFormat::ParseFromString(text, &message)) {
    return absl::InternalError("the test's own text is broken: " + text);
  }
  return CompileListener(message, Secrets());
}

TEST(NetworkRbac, StandsBeforeWhatServes) {
  const auto listener = Compile(Rbac("stat_prefix: 'one' rules { action: DENY }") + kSni +
                                Rbac("stat_prefix: 'two' shadow_rules { action: ALLOW }") + kTcp);
  ASSERT_TRUE(listener.ok()) << listener.status();
  const FilterChainConfig& chain = (*listener)->chains[0];
  ASSERT_EQ(chain.authorization.size(), 2u);
  EXPECT_EQ(chain.authorization[0]->stat_prefix, "one");
  EXPECT_TRUE(chain.authorization[0]->rules.has_value());
  EXPECT_EQ(chain.authorization[1]->stat_prefix, "two");
  EXPECT_FALSE(chain.authorization[1]->rules.has_value());
  EXPECT_TRUE(chain.authorization[1]->shadow_rules.has_value());
  EXPECT_TRUE(std::get<TcpProxyConfig>(chain.service).sni_cluster);
}

TEST(NetworkRbac, RefusesWhatItWouldNotDo) {
  const std::pair<std::string, const char*> cases[] = {
      {Rbac("matcher {}") + kTcp, "filter_chains[0].filters[0].typed_config.matcher: is not"},
      {kSni + Rbac("delay_deny { seconds: 1 }") + kTcp, "filters[1].typed_config.delay_deny"},
      {Rbac("enforcement_type: CONTINUOUS") + kTcp, "typed_config.enforcement_type: only"},
      {Rbac("rules { policies { key: 'p' value {} } }") + kTcp,
       "typed_config.rules.policies['p'].permissions: must not be empty"},
      {Rbac(""), "filters[0]: unsupported filter 'rbac'"},
  };
  for (const auto& [filters, error] : cases) {
    const auto listener = Compile(filters);
    ASSERT_FALSE(listener.ok()) << filters;
    EXPECT_NE(listener.status().message().find(error), absl::string_view::npos)
        << listener.status();
  }
}

}  // namespace
}  // namespace weft
