#include <map>
#include <numeric>
#include <string>

#include "controlplane/translate/translate.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kHello[] = "outbound|5000||helloworld.default.svc.cluster.local";

WorldBuilder Helloworld() {
  WorldBuilder builder;
  builder.Service("default", "helloworld", {{"http", 5000, Protocol::kHttp}});
  return builder;
}

// "10.244.0.2:5000" → weight, of one priority.
std::map<std::string, uint32_t> WeightsOf(
    const envoy::config::endpoint::v3::ClusterLoadAssignment& assignment, uint32_t priority) {
  std::map<std::string, uint32_t> weights;
  for (const auto& group : assignment.endpoints()) {
    if (group.priority() != priority) continue;
    uint32_t sum = 0;
    for (const auto& endpoint : group.lb_endpoints()) {
      const auto& address = endpoint.endpoint().address().socket_address();
      weights[address.address() + ":" + std::to_string(address.port_value())] =
          endpoint.load_balancing_weight().value();
      sum += endpoint.load_balancing_weight().value();
    }
    EXPECT_EQ(group.load_balancing_weight().value(), sum);
  }
  return weights;
}

using Weights = std::map<std::string, uint32_t>;

TEST(Endpoints, SpreadEvenlyOverTwoClustersWithoutLocalities) {
  WorldBuilder builder = Helloworld();
  builder.Pod("default", "helloworld", "v1").Pod("default", "helloworld", "v2");
  // Two groups behind one gateway: one place, as heavy as both.
  builder.Remote("default", "helloworld", "v1", 1).Remote("default", "helloworld", "v2", 1);
  Resources resources = Translate(builder.world(), SidecarIn("default"));
  auto assignment = AssignmentIn(resources, kHello);
  EXPECT_EQ(WeightsOf(assignment, 0),
            (Weights{{"10.244.0.2:5000", 1}, {"10.244.0.3:5000", 1}, {"172.16.0.2:15443", 2}}));
  EXPECT_EQ(assignment.policy().overprovisioning_factor().value(), 140u);
  const auto& gateway = assignment.endpoints(0).lb_endpoints(2);
  const auto& metadata = gateway.metadata().filter_metadata();
  EXPECT_EQ(metadata.at("weft").fields().at("fanout").number_value(), 2);
  EXPECT_EQ(metadata.at("envoy.transport_socket_match").fields().at("tlsMode").string_value(),
            "istio");
}

TEST(Endpoints, NearestComeFirst) {
  const Locality here{"eu", "a"}, same_region{"eu", "b"}, far{"us", "a"};
  struct Case {
    const char* name;
    Locality client, first, second, remote;
    std::vector<uint32_t> priorities;  // of first, second, remote
  } cases[] = {
      {"all three distances", here, here, same_region, far, {0, 1, 2}},
      {"without holes", here, here, here, far, {0, 0, 1}},
      {"none near", here, far, far, far, {0, 0, 0}},
      {"the client's not stated", {}, here, same_region, far, {0, 0, 0}},
      {"an endpoint's not stated", here, here, {}, far, {0, 0, 0}},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    WorldBuilder builder = Helloworld();
    builder.Pod("default", "helloworld", "v1", c.first);
    builder.Pod("default", "helloworld", "v2", c.second);
    builder.Remote("default", "helloworld", "v1", 3, c.remote);
    auto assignment =
        AssignmentIn(Translate(builder.world(), SidecarIn("default", c.client)), kHello);
    const char* addresses[] = {"10.244.0.2:5000", "10.244.0.3:5000", "172.16.0.2:15443"};
    for (int i = 0; i < 3; ++i) {
      EXPECT_EQ(WeightsOf(assignment, c.priorities[i]).count(addresses[i]), 1u) << addresses[i];
    }
  }
}

TEST(Endpoints, LocalityIsNoMatterWhereTheRuleSaysSo) {
  WorldBuilder builder = Helloworld();
  builder.Pod("default", "helloworld", "v1", {"eu", "a"});
  builder.Remote("default", "helloworld", "v1", 1, {"us", "a"});
  ASSERT_TRUE(builder
                  .Apply(R"(
kind: DestinationRule
metadata: {name: hello}
spec:
  host: helloworld
  trafficPolicy: {loadBalancer: {localityLbSetting: {enabled: false}}}
)")
                  .ok());
  auto assignment =
      AssignmentIn(Translate(builder.world(), SidecarIn("default", {"eu", "a"})), kHello);
  EXPECT_EQ(WeightsOf(assignment, 0).size(), 2u);
}

TEST(Endpoints, GatewaysShareTheirPods) {
  WorldBuilder builder = Helloworld();
  builder.PeerGateways({{"172.16.0.2", 15443}, {"172.16.0.3", 15443}});
  builder.Pod("default", "helloworld", "v1").Remote("default", "helloworld", "v1", 1);
  auto assignment = AssignmentIn(Translate(builder.world(), SidecarIn("default")), kHello);
  // One pod here, one there behind two gateways: half and half.
  EXPECT_EQ(WeightsOf(assignment, 0),
            (Weights{{"10.244.0.2:5000", 2}, {"172.16.0.2:15443", 1}, {"172.16.0.3:15443", 1}}));
}

TEST(Endpoints, LeaveOutWhatCannotAnswer) {
  WorldBuilder builder = Helloworld();
  builder.Pod("default", "helloworld", "v1").LastEndpoint().ready = false;
  builder.Pod("default", "helloworld", "v1").LastEndpoint().target_ports.clear();
  // Without a sidecar nobody there understands what a gateway passes through.
  builder.Remote("default", "helloworld", "v1", 1).LastEndpoint().mtls = false;
  builder.Remote("default", "helloworld", "v1", 1).LastEndpoint().cluster = "unknown";
  auto assignment = AssignmentIn(Translate(builder.world(), SidecarIn("default")), kHello);
  EXPECT_EQ(assignment.endpoints_size(), 0);
}

TEST(Endpoints, SubsetsHoldThePodsWithTheirLabels) {
  WorldBuilder builder = Helloworld();
  builder.Pod("default", "helloworld", "v1").Pod("default", "helloworld", "v2");
  builder.Remote("default", "helloworld", "v2", 2);
  ASSERT_TRUE(builder
                  .Apply(R"(
kind: DestinationRule
metadata: {name: hello}
spec:
  host: helloworld
  subsets: [{name: two, labels: {version: v2}}, {name: none, labels: {version: v9}}]
)")
                  .ok());
  Resources resources = Translate(builder.world(), SidecarIn("default"));
  EXPECT_EQ(
      WeightsOf(AssignmentIn(resources, "outbound|5000|two|helloworld.default.svc.cluster.local"),
                0),
      (Weights{{"10.244.0.3:5000", 1}, {"172.16.0.2:15443", 2}}));
  EXPECT_EQ(AssignmentIn(resources, "outbound|5000|none|helloworld.default.svc.cluster.local")
                .endpoints_size(),
            0);
}

// The tlsMode that a client uses for the only pod; "" is plaintext.
std::string TlsModeOf(const Resources& resources) {
  const auto metadata =
      AssignmentIn(resources, kHello).endpoints(0).lb_endpoints(0).metadata().filter_metadata();
  auto found = metadata.find("envoy.transport_socket_match");
  return found == metadata.end() ? "" : found->second.fields().at("tlsMode").string_value();
}

TEST(Endpoints, MeshTlsWhereASidecarAnswersAndNothingForbidsIt) {
  struct Case {
    const char* name;
    bool sidecar;
    const char* yaml;
    const char* mode;
  } cases[] = {
      {"sidecar", true, "", "istio"},
      {"no sidecar", false, "", ""},
      {"the client's rule", true,
       "kind: DestinationRule\nmetadata: {name: a}\n"
       "spec: {host: helloworld, trafficPolicy: {tls: {mode: DISABLE}}}",
       ""},
      {"the client's rule for another port", true,
       "kind: DestinationRule\nmetadata: {name: a}\n"
       "spec: {host: helloworld, trafficPolicy: {portLevelSettings: "
       "[{port: {number: 80}, tls: {mode: DISABLE}}]}}",
       "istio"},
      {"the server's policy", true,
       "kind: PeerAuthentication\nmetadata: {name: a}\nspec: {mtls: {mode: DISABLE}}", ""},
      {"STRICT", true,
       "kind: PeerAuthentication\nmetadata: {name: a}\nspec: {mtls: {mode: STRICT}}", "istio"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.name);
    WorldBuilder builder = Helloworld();
    builder.Pod("default", "helloworld", "v1").LastEndpoint().mtls = c.sidecar;
    ASSERT_TRUE(builder.Apply(c.yaml).ok());
    EXPECT_EQ(TlsModeOf(Translate(builder.world(), SidecarIn("default"))), c.mode);
  }
}

}  // namespace
}  // namespace weft
