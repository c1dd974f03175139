#include "controlplane/ads/node.h"

#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "api/envoy/core.pb.h"

namespace weft {
namespace {

envoy::config::core::v3::Node Node(const std::string& id, const std::string& account) {
  envoy::config::core::v3::Node node;
  node.set_id(id);
  (*node.mutable_metadata()->mutable_fields())["SERVICE_ACCOUNT"].set_string_value(account);
  return node;
}

World TestWorld() {
  World world;
  auto self = std::make_shared<ClusterIdentity>();
  self->cluster = "east";
  self->trust_domain = "east.weft";
  world.self = self;
  for (const char* row : {"10.0.0.1 default reviews", "10.0.0.2 weft-system weft-gateway"}) {
    const std::string text = row;
    auto workload = std::make_shared<Workload>();
    const size_t first = text.find(' ');
    const size_t second = text.rfind(' ');
    workload->address = text.substr(0, first);
    workload->namespace_ = text.substr(first + 1, second - first - 1);
    workload->service_account = text.substr(second + 1);
    workload->locality.region = "r1";
    workload->labels = {{"app", "reviews"}};
    world.workloads[workload->address] = workload;
  }
  return world;
}

TEST(ReadNode, NamesWhatIsWrong) {
  for (const char* id : {"", "sidecar", "sidecar~10.0.0.1~p.ns", "ztunnel~10.0.0.1~p.ns~d",
                         "sidecar~host~p.ns~d", "sidecar~10.0.0.1~p~d"}) {
    EXPECT_FALSE(ReadNode(Node(id, "sa")).ok()) << id;
  }
  EXPECT_FALSE(ReadNode(Node("sidecar~10.0.0.1~p." + std::string(2000, 'x') + "~d", "sa")).ok());
}

TEST(ReadNode, OnlyAWeftProxyIsToldOfTunnels) {
  envoy::config::core::v3::Node node = Node("sidecar~10.0.0.1~p.default~d", "reviews");
  EXPECT_FALSE(ViewOf(*ReadNode(node), TestWorld()).tunnels);
  node.add_client_features("envoy.lb.does_not_support_overprovisioning");
  EXPECT_FALSE(ViewOf(*ReadNode(node), TestWorld()).tunnels);
  node.add_client_features("weft.tunnels");
  EXPECT_TRUE(ViewOf(*ReadNode(node), TestWorld()).tunnels);
}

TEST(ReadNode, AProxylessClientHasAnyIdAndNeedBeNoPod) {
  envoy::config::core::v3::Node node = Node("whatever~it is", "");
  auto& fields = *node.mutable_metadata()->mutable_fields();
  fields["GENERATOR"].set_string_value("grpc");
  node.mutable_locality()->set_region("r2");
  ASSERT_TRUE(ReadNode(node).ok());
  EXPECT_EQ(ReadNode(node)->namespace_, "default");
  fields["NAMESPACE"].set_string_value("shop");
  (*fields["LABELS"].mutable_struct_value()->mutable_fields())["app"].set_string_value("till");
  const auto read = ReadNode(node);
  ASSERT_TRUE(read.ok());
  EXPECT_EQ(read->role, ProxyRole::kProxyless);
  const ProxyView view = ViewOf(*read, TestWorld());
  EXPECT_EQ(view.namespace_, "shop");
  EXPECT_EQ(view.address, "");
  EXPECT_EQ(view.locality.region, "r2");
  EXPECT_EQ(view.labels, (Labels{{"app", "till"}}));

  const auto allowed = [&](const char* identity) {
    return CheckNode(*read, *certs::SpiffeId::Parse(identity), TestWorld()).ok();
  };
  EXPECT_TRUE(allowed("spiffe://east.weft/ns/shop/sa/till"));
  EXPECT_FALSE(allowed("spiffe://east.weft/ns/default/sa/till")) << "another namespace's view";
  EXPECT_FALSE(allowed("spiffe://west.weft/ns/shop/sa/till"));
}

TEST(CheckNode, Row78AnotherProxysNodeIdIsRefused) {
  struct Case {
    const char* id;
    const char* account;
    const char* identity;
    absl::StatusCode expected;
  };
  const absl::StatusCode kOk = absl::StatusCode::kOk;
  const absl::StatusCode kDenied = absl::StatusCode::kPermissionDenied;
  const Case cases[] = {
      {"sidecar~10.0.0.1~r.default~d", "reviews", "spiffe://east.weft/ns/default/sa/reviews", kOk},
      {"sidecar~10.0.0.1~r.default~d", "", "spiffe://east.weft/ns/default/sa/reviews", kOk},
      {"sidecar~10.0.0.1~r.default~d", "reviews", "spiffe://west.weft/ns/default/sa/reviews",
       kDenied},
      {"sidecar~10.0.0.1~r.default~d", "reviews", "spiffe://east.weft/ns/other/sa/reviews",
       kDenied},
      {"sidecar~10.0.0.1~r.default~d", "reviews", "spiffe://east.weft/ns/default/sa/ratings",
       kDenied},
      {"sidecar~10.0.0.2~r.default~d", "reviews", "spiffe://east.weft/ns/default/sa/reviews",
       kDenied},
      {"sidecar~10.0.0.9~r.default~d", "reviews", "spiffe://east.weft/ns/default/sa/reviews",
       absl::StatusCode::kUnavailable},
      {"router~10.0.0.1~r.default~d", "reviews", "spiffe://east.weft/ns/default/sa/reviews", kOk},
      {"router~10.0.0.1~r.default~d", "reviews", "spiffe://east.weft/ns/other/sa/reviews", kDenied},
      {"router~10.0.0.1~r.weft-system~d", "reviews", "spiffe://east.weft/ns/default/sa/reviews",
       kDenied},
      {"router~10.0.0.2~g.weft-system~d", "weft-gateway",
       "spiffe://east.weft/ns/weft-system/sa/weft-gateway", kOk},
  };
  const World world = TestWorld();
  for (const Case& c : cases) {
    auto node = ReadNode(Node(c.id, c.account));
    ASSERT_TRUE(node.ok()) << node.status();
    EXPECT_EQ(CheckNode(*node, *certs::SpiffeId::Parse(c.identity), world).code(), c.expected)
        << c.id << " as " << c.identity;
  }
}

TEST(ReadNode, ARouterIsTheEastWestGatewayInTheSystemNamespaceOnly) {
  EXPECT_EQ(ReadNode(Node("router~10.0.0.2~g.weft-system~d", ""))->role, ProxyRole::kGateway);
  EXPECT_EQ(ReadNode(Node("router~10.0.0.1~r.default~d", ""))->role, ProxyRole::kRouter);
}

TEST(ViewOf, TakesLocalityAndLabelsFromTheWorkload) {
  auto node = ReadNode(Node("sidecar~10.0.0.1~r.default~d", "reviews"));
  ASSERT_TRUE(node.ok());
  const ProxyView view = ViewOf(*node, TestWorld());
  EXPECT_EQ(view.locality.region, "r1");
  EXPECT_EQ(view.labels.at("app"), "reviews");
  EXPECT_EQ(view.cluster, "east");
}

TEST(ViewOf, IsTheSameByEachAddressOfTheWorkload) {
  World world = TestWorld();
  auto both = std::make_shared<Workload>(*world.workloads.at("10.0.0.1"));
  both->other_address = "fd00::1";
  world.workloads["10.0.0.1"] = world.workloads["fd00::1"] = both;
  for (const char* address : {"10.0.0.1", "fd00::1"}) {
    const auto node = ReadNode(Node(absl::StrCat("sidecar~", address, "~r.default~d"), "reviews"));
    ASSERT_TRUE(node.ok()) << node.status();
    const ProxyView view = ViewOf(*node, world);
    EXPECT_EQ(view.address, "10.0.0.1");
    EXPECT_EQ(view.other_address, "fd00::1");
    EXPECT_EQ(view.families(), (IpFamilies{true, true}));
  }
}

// TestWorld with a cluster west that has another pod at 10.0.0.1.
World WithWest() {
  World world = TestWorld();
  auto peer = std::make_shared<Peer>();
  peer->cluster = "west";
  peer->network = "west-net";
  world.peers["west"] = peer;
  auto linked = std::make_shared<Peer>();
  linked->cluster = "linked";
  world.peers["linked"] = linked;
  auto workload = std::make_shared<Workload>();
  workload->address = "10.0.0.1";
  workload->namespace_ = "default";
  workload->service_account = "ratings";
  workload->labels = {{"app", "ratings"}};
  world.remote_workloads["west"]["10.0.0.1"] = workload;
  return world;
}

ClientNode NodeOf(const std::string& cluster) {
  envoy::config::core::v3::Node node = Node("sidecar~10.0.0.1~r.default~d", "");
  (*node.mutable_metadata()->mutable_fields())["CLUSTER_ID"].set_string_value(cluster);
  return *ReadNode(node);
}

TEST(CheckNode, Row78AWorkloadIsLookedUpInItsCluster) {
  struct Case {
    const char* cluster;
    const char* account;
    absl::StatusCode expected;
  };
  const Case cases[] = {
      {"", "reviews", absl::StatusCode::kOk},
      {"east", "reviews", absl::StatusCode::kOk},
      {"west", "ratings", absl::StatusCode::kOk},
      {"", "ratings", absl::StatusCode::kPermissionDenied},
      {"east", "ratings", absl::StatusCode::kPermissionDenied},
      {"west", "reviews", absl::StatusCode::kPermissionDenied},
      {"linked", "reviews", absl::StatusCode::kUnavailable},  // it has a control plane
      {"north", "reviews", absl::StatusCode::kUnavailable},
  };
  const World world = WithWest();
  for (const Case& c : cases) {
    const certs::SpiffeId identity{"east.weft", "default", c.account};
    EXPECT_EQ(CheckNode(NodeOf(c.cluster), identity, world).code(), c.expected)
        << c.account << " in " << c.cluster;
  }
}

TEST(ViewOf, IsOfTheClusterAndItsNetwork) {
  World world = WithWest();
  const ProxyView remote = ViewOf(NodeOf("west"), world);
  EXPECT_EQ(remote.cluster, "west");
  EXPECT_EQ(remote.network, "west-net");
  EXPECT_EQ(remote.service_account, "ratings");
  EXPECT_EQ(remote.labels.at("app"), "ratings");
  EXPECT_EQ(ViewOf(NodeOf("east"), world).service_account, "reviews");
  EXPECT_EQ(ViewOf(NodeOf("north"), world).cluster, "east");

  auto elsewhere = std::make_shared<Workload>(*world.remote_workloads["west"].at("10.0.0.1"));
  elsewhere->labels["topology.istio.io/network"] = "dmz";
  world.remote_workloads["west"]["10.0.0.1"] = elsewhere;
  EXPECT_EQ(ViewOf(NodeOf("west"), world).network, "dmz");
}

}  // namespace
}  // namespace weft
