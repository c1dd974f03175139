// Which of several clusters and zones come first, through Translate.
#include <map>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controlplane/translate/translate.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kHello[] = "outbound|5000||hello.default.svc.cluster.local";
const Locality kHere = {"eu", "a"}, kNear = {"eu", "b"}, kFar = {"us", "a"};

struct Cluster {
  const char* name = "";
  uint32_t cost = 0;
  bool draining = false;
  Locality locality = {};
};

// Each has a pod of the service; "east" is our own.
struct Mesh {
  std::vector<Cluster> clusters;
  Locality client = {};
  ServiceAffinity affinity = ServiceAffinity::kUnstated;
  bool prefers_close = false;
  const char* setting = "";  // localityLbSetting
};

void AddCluster(const Cluster& cluster, WorldBuilder& builder) {
  const std::string name = cluster.name;
  if (name == "east") {
    ClusterIdentity self = *builder.world().self;
    self.draining = cluster.draining;
    builder.Self(self).Pod("default", "hello", "v1", cluster.locality);
    return;
  }
  // A gateway at 172.16.1.LETTER.
  const std::string address = absl::StrCat("172.16.1.", static_cast<int>(name[0]));
  Peer peer{name, "net-" + name, name + ".local", "ROOT", {{address, 15443}}};
  peer.cost = cluster.cost;
  peer.draining = cluster.draining;
  Endpoint& group =
      builder.Linked(peer).Remote("default", "hello", "v1", 1, cluster.locality).LastEndpoint();
  group.cluster = name;
  group.network = peer.network;
  group.trust_domain = peer.trust_domain;
}

// "east|mars,west": the clusters by priority, each in alphabetical order.
std::string OrderIn(const Mesh& mesh) {
  WorldBuilder builder;
  builder.Service("default", "hello", {{"http", 5000, Protocol::kHttp}});
  builder.LastService().affinity = mesh.affinity;
  builder.LastService().prefers_close = mesh.prefers_close;
  for (const Cluster& cluster : mesh.clusters) AddCluster(cluster, builder);
  if (*mesh.setting != '\0') {
    EXPECT_TRUE(builder
                    .Apply(absl::StrCat("kind: DestinationRule\nmetadata: {name: a}\nspec: {host: "
                                        "hello, trafficPolicy: {loadBalancer: {localityLbSetting: ",
                                        mesh.setting, "}}}"))
                    .ok());
  }
  const auto assignment =
      AssignmentIn(Translate(builder.world(), SidecarIn("default", mesh.client)), kHello);
  std::map<uint32_t, std::map<std::string, int>> priorities;
  for (const auto& group : assignment.endpoints()) {
    for (const auto& endpoint : group.lb_endpoints()) {
      const std::string& ip = endpoint.endpoint().address().socket_address().address();
      std::string name = "east";
      for (const auto& [cluster, peer] : builder.world().peers) {
        if (peer->gateways[0].address == ip) name = cluster;
      }
      ++priorities[group.priority()][name];
    }
  }
  std::vector<std::string> order;
  for (const auto& [priority, names] : priorities) {
    EXPECT_EQ(priority, order.size()) << "a hole";
    order.push_back(absl::StrJoin(
        names, ",", [](std::string* to, const auto& name) { to->append(name.first); }));
  }
  return absl::StrJoin(order, "|");
}

TEST(Locality, OfClusters) {
  struct Row {
    const char* name;
    Mesh mesh;
    const char* order;
  } rows[] = {
      {"even where nothing is stated", {{{"east"}, {"mars"}, {"west"}}}, "east,mars,west"},
      {"zone, region, elsewhere",
       {{{"east", 0, false, kHere}, {"mars", 0, false, kNear}, {"west", 0, false, kFar}}, kHere},
       "east|mars|west"},
      {"a lower cost comes first",
       {{{"east"}, {"mars", 10}, {"pluto", 10}, {"west", 5}}},
       "east|west|mars,pluto"},
      {"cost before locality",
       {{{"east", 0, false, kFar}, {"mars", 10, false, kHere}, {"west", 0, false, kHere}}, kHere},
       "west|east|mars"},
      {"equal cost shares", {{{"mars", 7}, {"west", 7}}}, "mars,west"},
      {"a draining peer comes last",
       {{{"east"}, {"mars", 0, true}, {"west", 10}}},
       "east|west|mars"},
      {"also in the client's zone",
       {{{"east", 0, false, kFar}, {"mars", 0, true, kHere}}, kHere},
       "east|mars"},
      {"we drain", {{{"east", 0, true}, {"west", 10}}}, "west|east"},
      {"everybody drains", {{{"east", 0, true}, {"west", 0, true}}}, "east,west"},
      {"we drain what only we have", {{{"east", 0, true}}}, "east"},
      {"draining whatever a rule says",
       {{{"east"}, {"west", 0, true}}, {}, ServiceAffinity::kUnstated, false, "{enabled: false}"},
       "east|west"},
      {"affinity local",
       {{{"east"}, {"mars"}, {"west"}}, {}, ServiceAffinity::kLocal},
       "east|mars,west"},
      {"affinity remote",
       {{{"east"}, {"mars"}, {"west"}}, {}, ServiceAffinity::kRemote},
       "mars,west|east"},
      {"affinity none",
       {{{"east", 0, false, kHere}, {"west", 0, false, kFar}}, kHere, ServiceAffinity::kNone},
       "east,west"},
      {"affinity local, and zones among the others",
       {{{"east", 0, false, kFar}, {"mars", 0, false, kNear}, {"west", 0, false, kHere}},
        kHere,
        ServiceAffinity::kLocal},
       "east|west|mars"},
      {"a rule goes before affinity none",
       {{{"east", 0, false, kHere}, {"west", 0, false, kFar}},
        kHere,
        ServiceAffinity::kNone,
        false,
        "{enabled: true}"},
       "east|west"},
      {"what is close, without localities",
       {{{"east"}, {"mars"}, {"west"}}, {}, ServiceAffinity::kUnstated, true},
       "east|mars,west"},
      {"what is close: the network before the zone",
       {{{"east", 0, false, kNear}, {"west", 0, false, kHere}},
        kHere,
        ServiceAffinity::kUnstated,
        true},
       "east|west"},
      {"a rule goes before what the service prefers",
       {{{"east"}, {"west"}}, {}, ServiceAffinity::kUnstated, true, "{enabled: false}"},
       "east,west"},
      {"failoverPriority by cluster, and region among the others",
       {{{"east", 0, false, kFar}, {"mars", 0, false, {"asia", "a"}}, {"west", 0, false, kFar}},
        kHere,
        ServiceAffinity::kUnstated,
        false,
        "{failoverPriority: ['topology.istio.io/cluster'], failover: [{from: eu, to: us}]}"},
       "east|west|mars"},
      {"a distribution that falls over",
       {{{"east", 0, false, kHere}, {"mars", 0, false, kNear}, {"west", 0, false, kFar}},
        kHere,
        ServiceAffinity::kUnstated,
        false,
        "{distribute: [{from: eu/a, to: {eu/b: 100}}], failover: [{from: eu, to: us}]}"},
       "mars|east|west"},
      {"one that does not",
       {{{"east", 0, false, kHere}, {"mars", 0, false, kNear}, {"west", 0, false, kFar}},
        kHere,
        ServiceAffinity::kUnstated,
        false,
        "{distribute: [{from: eu/a, to: {eu/b: 50, us: 50}}]}"},
       "mars,west"},
      {"a distribution over a cluster that drains",
       {{{"mars", 0, true, kNear}, {"west", 0, false, kFar}},
        kHere,
        ServiceAffinity::kUnstated,
        false,
        "{distribute: [{from: eu/a, to: {eu/b: 50, us: 50}}]}"},
       "west|mars"},
  };
  for (const Row& row : rows) EXPECT_EQ(OrderIn(row.mesh), row.order) << row.name;
}

}  // namespace
}  // namespace weft
