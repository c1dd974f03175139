#include "controlplane/world_maker.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "controlplane/model/testing.h"

namespace weft {
namespace {

constexpr char kHost[] = "web.default.svc.cluster.local";

std::string WebYaml(const std::string& address) {
  return absl::StrCat(R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec:
  clusterIP: 10.96.0.10
  ports: [{name: http, port: 80}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: web-1
  namespace: default
  labels: {kubernetes.io/service-name: web}
addressType: IPv4
ports: [{name: http, port: 80}]
endpoints: [{addresses: [)",
                      address, R"(], conditions: {ready: true}}]
)");
}

PeerState West(uint32_t ready) {
  auto peer = std::make_shared<Peer>();
  peer->cluster = "west";
  peer->gateways = {{"192.0.2.1", 15443, 0}};
  auto exports = std::make_shared<PeerExports>();
  ExportedService web;
  web.namespace_ = "default";
  web.name = "web";
  web.ports = {{"http", 80, Protocol::kHttp}};
  web.groups = {{{}, {}, "default", ready}};
  (*exports)[{"default", "web"}] = web;
  return {peer, exports};
}

class WorldMakerTest : public testing::Test {
 protected:
  WorldMakerTest() : maker_(Self(), ExportPolicy::kAll) {
    maker_.Apply(Deltas(WebYaml("10.0.0.1")));
    maker_.SetPeers({{"west", West(2)}});
    maker_.Make();
  }
  static std::shared_ptr<const ClusterIdentity> Self() {
    auto self = std::make_shared<ClusterIdentity>();
    self->cluster = "east";
    return self;
  }
  // Of `web`: each endpoint's address, or cluster, with its weight.
  std::string Endpoints() const {
    std::string text;
    const auto found = maker_.world()->endpoints.find(kHost);
    if (found == maker_.world()->endpoints.end()) return "none";
    for (const Endpoint& endpoint : *found->second) {
      absl::StrAppend(&text, endpoint.remote() ? endpoint.cluster : endpoint.address, "*",
                      endpoint.weight, " ");
    }
    return text;
  }

  WorldMaker maker_;
};

TEST_F(WorldMakerTest, FollowsPodsHereAndThere) {
  EXPECT_EQ(Endpoints(), "10.0.0.1*1 west*2 ");
  maker_.Apply(Deltas(WebYaml("10.0.0.2")));
  auto made = maker_.Make();
  ASSERT_TRUE(made.has_value());
  EXPECT_TRUE(made->change.endpoints_only());
  EXPECT_EQ(made->change.services, std::vector<std::string>{kHost});
  EXPECT_EQ(Endpoints(), "10.0.0.2*1 west*2 ");

  maker_.SetPeers({{"west", West(3)}});
  made = maker_.Make();
  ASSERT_TRUE(made.has_value());
  EXPECT_TRUE(made->change.endpoints_only());
  EXPECT_EQ(Endpoints(), "10.0.0.2*1 west*3 ");
}

TEST_F(WorldMakerTest, WhatChangesNothingIsNoWorld) {
  const auto before = maker_.world();
  EXPECT_FALSE(maker_.Make().has_value());
  PeerState west = West(2);
  west.peer = maker_.world()->peers.at("west");
  west.health = PeerHealth::kSuspect;
  maker_.SetPeers({{"west", west}});
  EXPECT_FALSE(maker_.Make().has_value());
  EXPECT_EQ(maker_.world(), before);
}

TEST_F(WorldMakerTest, Row85AGatewayThatIsDeadTakesThePeersPodsAndNotItsNames) {
  PeerState west = West(2);
  west.dead_gateways = west.peer->gateways;
  maker_.SetPeers({{"west", west}});
  auto made = maker_.Make();
  ASSERT_TRUE(made.has_value());
  EXPECT_FALSE(made->change.endpoints_only());  // a fact about the peer is another one
  EXPECT_EQ(Endpoints(), "10.0.0.1*1 ");
  EXPECT_TRUE(made->world->peers.at("west")->gateways.empty());
  EXPECT_TRUE(made->world->services.contains(kHost));
}

TEST_F(WorldMakerTest, FollowsTheWorkloadsOfClustersWithoutAControlPlane) {
  PeerState west = West(2);
  west.peer = maker_.world()->peers.at("west");
  west.workloads.emplace();
  maker_.SetPeers({{"west", west}});
  maker_.Make();
  (*west.workloads)["10.9.0.1"] = std::make_shared<Workload>();
  maker_.SetPeers({{"west", west}});
  const auto made = maker_.Make();
  ASSERT_TRUE(made.has_value());
  EXPECT_TRUE(made->change.endpoints_only());
  EXPECT_EQ(made->change.workloads, std::vector<std::string>{"10.9.0.1"});
  EXPECT_NE(FindWorkload(*made->world, "west", "10.9.0.1"), nullptr);
}

TEST_F(WorldMakerTest, ExportsOnlyWhatIsItsOwn) {
  const PeerExports exports = maker_.exports();
  ASSERT_EQ(exports.size(), 1u);
  EXPECT_TRUE(exports.begin()->second.groups.empty());  // the pod has no sidecar
}

}  // namespace
}  // namespace weft
