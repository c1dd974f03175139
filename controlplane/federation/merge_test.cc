#include "controlplane/federation/merge.h"

#include <random>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "controlplane/federation/virtual_addresses.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

PeerState PeerOf(const std::string& cluster, std::vector<ExportedService> services) {
  auto peer = std::make_shared<Peer>();
  peer->cluster = cluster;
  peer->network = cluster + "-net";
  peer->trust_domain = cluster + ".test";
  auto exports = std::make_shared<PeerExports>();
  for (ExportedService& service : services) {
    exports->emplace(std::make_pair(service.namespace_, service.name), std::move(service));
  }
  return {peer, exports};
}

ExportedService Exported(const std::string& name, std::vector<ExportedGroup> groups) {
  return {"default", name, {{"http", 80, Protocol::kHttp}}, std::move(groups)};
}

std::string Host(const std::string& name) { return name + ".default.svc.cluster.local"; }
std::string ClusterSetHost(const std::string& name) {
  return name + ".default.svc.clusterset.local";
}

World Local(const std::string& name) {
  World world;
  auto self = std::make_shared<ClusterIdentity>();
  self->cluster = "east";
  world.self = self;
  Service service{"default", name, Host(name), "10.96.0.1",
                  "",        true, true,       {{"http", 80, Protocol::kHttp}}};
  world.services[Host(name)] = std::make_shared<Service>(service);
  Endpoint endpoint;
  endpoint.cluster = "east";
  endpoint.labels = {{"v", "1"}};
  endpoint.service_account = "sa";
  endpoint.mtls = true;
  endpoint.address = "10.1.0.1";
  Endpoint second = endpoint, plain = endpoint, other = endpoint;
  second.address = "10.1.0.2";
  plain.address = "10.1.0.3";
  plain.mtls = false;
  other.address = "10.1.0.4";
  other.labels = {{"v", "2"}};
  world.endpoints[Host(name)] =
      std::make_shared<Endpoints>(Endpoints{endpoint, second, plain, other});
  return world;
}

TEST(MergeWorld, JoinsTheSameNameOfSeveralClusters) {
  const World local = Local("web");
  const ExportedGroup group{{"eu", "eu-1"}, {{"v", "1"}}, "sa", 3};
  const ExportedGroup none{{"eu", "eu-2"}, {{"v", "1"}}, "sa", 0};
  const MergedWorld merged =
      MergeWorld(local, {{"west", PeerOf("west", {Exported("web", {group, none})})}}, nullptr);
  EXPECT_TRUE(merged.problems.empty());
  EXPECT_EQ(*merged.world.services.at(Host("web")), *local.services.at(Host("web")));
  const Endpoints& endpoints = *merged.world.endpoints.at(Host("web"));
  ASSERT_EQ(endpoints.size(), 5u);
  const Endpoint& remote = endpoints[4];
  EXPECT_TRUE(remote.remote());
  EXPECT_TRUE(remote.mtls);
  EXPECT_EQ(remote.cluster, "west");
  EXPECT_EQ(remote.network, "west-net");
  EXPECT_EQ(remote.trust_domain, "west.test");
  EXPECT_EQ(remote.weight, 3u);
  EXPECT_EQ(remote.locality.zone, "eu-1");
  EXPECT_EQ(merged.world.peers.size(), 1u);
}

TEST(MergeWorld, TakesPodsOfAClusterOnOurNetworkAsTheyAre) {
  ExportedService exported = Exported("web", {});
  Endpoint pod;
  pod.cluster = "west";
  pod.address = "10.2.0.1";
  exported.pods = {pod};
  const World local = Local("web");
  const MergedWorld merged = MergeWorld(local, {{"west", PeerOf("west", {exported})}}, nullptr);
  const Endpoints& endpoints = *merged.world.endpoints.at(Host("web"));
  ASSERT_EQ(endpoints.size(), 5u);
  EXPECT_EQ(endpoints[4], pod);
}

TEST(MergeWorld, AClusterWithoutAControlPlaneHasItsWorkloads) {
  PeerState remote = PeerOf("west", {});
  remote.workloads.emplace();
  (*remote.workloads)["10.1.0.1"] = std::make_shared<Workload>();
  const MergedWorld merged =
      MergeWorld(Local("web"), {{"linked", PeerOf("linked", {})}, {"west", remote}}, nullptr);
  ASSERT_EQ(merged.world.remote_workloads.size(), 1u);
  EXPECT_EQ(FindWorkload(merged.world, "west", "10.1.0.1"), remote.workloads->at("10.1.0.1"));
  EXPECT_EQ(FindWorkload(merged.world, "east", "10.1.0.1"), nullptr);
  EXPECT_EQ(WorkloadsOf(merged.world, "linked"), nullptr);
}

// ---- Names.

// Which clusters' pods stand behind a name; "nothing" where it is no name.
std::string BehindHost(const World& world, const std::string& host) {
  const auto alias = world.aliases.find(host);
  const std::string& key = alias == world.aliases.end() ? host : alias->second.target;
  if (!world.services.contains(key)) return "nothing";
  std::set<std::string> clusters;
  if (const auto found = world.endpoints.find(key); found != world.endpoints.end()) {
    for (const Endpoint& endpoint : *found->second) clusters.insert(endpoint.cluster);
  }
  return absl::StrJoin(clusters, " ");
}

TEST(MergeWorld, ANameInTheClusterSetIsAnotherOneOfTheLocalNameWhereBothAreTheSame) {
  struct Row {
    const char* name;
    bool we_have, we_export, we_merge;
    bool west_exports, cluster_set_only;
    const char* local;
    const char* cluster_set;
    bool alias;
  } rows[] = {
      {"ours alone", true, true, true, false, false, "east", "east", true},
      {"ours alone, not exported", true, false, false, false, false, "east", "nothing", false},
      {"theirs alone", false, false, true, true, false, "west", "west", true},
      {"theirs alone, local names stay local", false, false, false, true, false, "nothing", "west",
       false},
      {"theirs alone, in the set only", false, false, true, true, true, "nothing", "west", false},
      {"both", true, true, true, true, false, "east west", "east west", true},
      {"both, but ours is not exported", true, false, false, true, false, "east", "west", false},
      {"ours is not exported and merges", true, false, true, true, false, "east west", "west",
       false},
      {"both, but the local name stays local", true, true, false, true, false, "east", "east west",
       false},
      {"both, theirs in the set only", true, true, true, true, true, "east", "east west", false},
  };
  for (const Row& row : rows) {
    World local = row.we_have ? Local("web") : Local("other");
    auto self = std::make_shared<ClusterIdentity>(*local.self);
    self->merges_local_names = row.we_merge;
    local.self = self;
    if (row.we_have) {
      Service own = *local.services.at(Host("web"));
      own.exported = row.we_export;
      own.merges = row.we_merge;
      local.services[Host("web")] = std::make_shared<Service>(own);
    }
    std::vector<ExportedService> exports;
    if (row.west_exports) exports.push_back(Exported("web", {{{}, {}, "sa", 1}}));
    if (row.cluster_set_only) exports[0].cluster_set_only = true;
    const World world = MergeWorld(local, {{"west", PeerOf("west", exports)}}, nullptr).world;
    EXPECT_EQ(BehindHost(world, Host("web")), row.local) << row.name;
    EXPECT_EQ(BehindHost(world, ClusterSetHost("web")), row.cluster_set) << row.name;
    EXPECT_EQ(world.aliases.contains(ClusterSetHost("web")), row.alias) << row.name;
    EXPECT_EQ(world.services.contains(ClusterSetHost("web")),
              !row.alias && std::string(row.cluster_set) != "nothing")
        << row.name;
    const auto import = world.imports.find(ClusterSetHost("web"));
    ASSERT_EQ(import != world.imports.end(), std::string(row.cluster_set) != "nothing") << row.name;
    if (import == world.imports.end()) continue;
    EXPECT_EQ(absl::StrJoin(import->second->clusters, " "), row.cluster_set) << row.name;
    EXPECT_FALSE(import->second->ips.empty()) << row.name;
  }
}

TEST(MergeWorld, PortsInConflictMakeTwoServicesOfTheTwoNames) {
  ExportedService older = Exported("web", {{{}, {}, "sa", 1}});
  older.ports = {{"http", 80, Protocol::kGrpc}, {"more", 90, Protocol::kTcp}};
  World local = Local("web");
  Service own = *local.services.at(Host("web"));
  own.exported_at = 5;
  local.services[Host("web")] = std::make_shared<Service>(own);
  older.exported_at = 4;
  const World world = MergeWorld(local, {{"west", PeerOf("west", {older})}}, nullptr).world;
  // Whoever relies on our own name finds our protocol there, and elsewhere what all agree on.
  EXPECT_EQ(world.services.at(Host("web"))->ports[0].protocol, Protocol::kHttp);
  const Service& service = *world.services.at(ClusterSetHost("web"));
  EXPECT_TRUE(service.cluster_set);
  EXPECT_FALSE(service.local || service.exported);
  EXPECT_EQ(service.ports, older.ports);
  EXPECT_TRUE(absl::StartsWith(service.address, "240.240.")) << service.address;
  EXPECT_EQ(world.imports.at(ClusterSetHost("web"))->conflict, "PortConflict");
}

TEST(MergeWorld, APortThatOnlySomeClustersHaveGetsRequestsThereAlone) {
  ExportedService more = Exported("far", {{{}, {}, "sa", 1}});
  more.ports.push_back({"more", 90, Protocol::kTcp});
  const World world =
      MergeWorld(Local("web"),
                 {{"north", PeerOf("north", {Exported("far", {{{}, {}, "sa", 1}})})},
                  {"west", PeerOf("west", {more})}},
                 nullptr)
          .world;
  const Endpoints& endpoints = *world.endpoints.at(Host("far"));
  ASSERT_EQ(endpoints.size(), 2u);
  EXPECT_EQ(endpoints[0].target_ports, (std::map<uint16_t, uint16_t>{{80, 80}}));
  EXPECT_TRUE(endpoints[1].target_ports.empty());  // all
}

TEST(MergeWorld, WhatAClusterWithoutAControlPlaneDoesNotExportIsForItsOwnClients) {
  ExportedService theirs = Exported("far", {});
  theirs.pods.emplace_back().cluster = "west";
  theirs.in_cluster_set = false;
  PeerState remote = PeerOf("west", {theirs});
  remote.workloads.emplace();
  const World world = MergeWorld(Local("web"), {{"west", remote}}, nullptr).world;
  EXPECT_EQ(BehindHost(world, Host("far")), "west");
  EXPECT_EQ(BehindHost(world, ClusterSetHost("far")), "nothing");
  EXPECT_FALSE(world.imports.contains(ClusterSetHost("far")));
}

TEST(MergeWorld, Row81SystemServicesAreOnesOwn) {
  World local = Local("web");
  Service dns;
  dns.namespace_ = "kube-system";
  dns.name = "dns";
  dns.host = "dns.kube-system.svc.cluster.local";
  local.services[dns.host] = std::make_shared<Service>(dns);
  ExportedService theirs = Exported("dns", {});
  theirs.namespace_ = "kube-system";
  theirs.in_cluster_set = false;
  theirs.pods.emplace_back().address = "10.2.0.1";
  ExportedService other = theirs, weftd = theirs;
  other.name = "metrics";
  weftd.namespace_ = "weft-system";
  PeerState state = PeerOf("west", {theirs, other, weftd});
  EXPECT_FALSE(MergeWorld(local, {{"west", state}}, nullptr).world.endpoints.contains(dns.host));
  state.workloads.emplace();
  const World merged = MergeWorld(local, {{"west", state}}, nullptr).world;
  EXPECT_EQ(*merged.endpoints.at(dns.host), theirs.pods);
  EXPECT_EQ(merged.services.size(), 2u);
}

TEST(MergeWorld, GivesRemoteServicesAnAddressThatStays) {
  std::vector<ExportedService> services;
  for (int i = 0; i < 2000; ++i) services.push_back(Exported(absl::StrCat("s", i), {}));
  const std::map<std::string, PeerState> peers = {{"west", PeerOf("west", services)}};
  const World local = Local("web");
  const MergedWorld first = MergeWorld(local, peers, nullptr);
  std::set<std::string> addresses;
  for (int i = 0; i < 2000; ++i) {
    const Service& service = *first.world.services.at(Host(absl::StrCat("s", i)));
    EXPECT_FALSE(service.local || service.exported);
    EXPECT_TRUE(absl::StartsWith(service.address, "240.240."));
    EXPECT_EQ(service.other_address, VirtualAddresses::Ipv6Of(service.address));
    EXPECT_TRUE(addresses.insert(service.address).second) << service.address;
  }
  // From scratch the same; and whatever comes and goes, nobody moves.
  const MergedWorld again = MergeWorld(local, peers, nullptr);
  services.erase(services.begin(), services.begin() + 1000);
  services.push_back(Exported("new", {}));
  const MergedWorld later = MergeWorld(local, {{"west", PeerOf("west", services)}}, &first.world);
  for (int i = 0; i < 2000; ++i) {
    const std::string host = Host(absl::StrCat("s", i));
    EXPECT_EQ(*again.world.services.at(host), *first.world.services.at(host));
    EXPECT_EQ(later.world.services.contains(host), i >= 1000);
    if (i >= 1000) {
      EXPECT_EQ(later.world.services.at(host), first.world.services.at(host));
    }
  }
}

TEST(MergeWorld, KeepsPointersOfWhatDidNotChange) {
  const World local = Local("web");
  const ExportedGroup group{{}, {}, "sa", 2};
  const auto peers = [&](uint32_t ready) {
    ExportedGroup changing = group;
    changing.ready = ready;
    return std::map<std::string, PeerState>{
        {"west", PeerOf("west", {Exported("web", {group}), Exported("far", {changing})})}};
  };
  const World before = MergeWorld(local, peers(2), nullptr).world;
  const World after = MergeWorld(local, peers(1), &before).world;
  EXPECT_EQ(before.services, after.services);
  EXPECT_EQ(before.endpoints.at(Host("web")), after.endpoints.at(Host("web")));
  EXPECT_NE(before.endpoints.at(Host("far")), after.endpoints.at(Host("far")));
}

// Every service's endpoints by value, every service by its address, so that what follows the World
// sees the same change in both.
std::string Describe(const World& world) {
  std::string text;
  for (const auto& [key, service] : world.services) {
    absl::StrAppend(&text, key, " ", absl::Hex(reinterpret_cast<uintptr_t>(service.get())), "\n");
  }
  for (const auto& [key, endpoints] : world.endpoints) {
    absl::StrAppend(&text, key, ":");
    for (const Endpoint& e : *endpoints) {
      absl::StrAppend(&text, " ", e.cluster, "/", e.address, "/", e.locality.zone, "*", e.weight);
    }
    absl::StrAppend(&text, "\n");
  }
  for (const auto& [host, alias] : world.aliases) {
    absl::StrAppend(&text, host, " is ", alias.target, "\n");
  }
  for (const auto& [host, import] : world.imports) {
    absl::StrAppend(&text, host, " of ", absl::StrJoin(import->clusters, ","), "\n");
  }
  for (const auto& [cluster, peer] : world.peers) {
    absl::StrAppend(&text, cluster, " has ", peer->gateways.size(), " gateways\n");
  }
  absl::StrAppend(&text, world.workloads.size(), " workloads here\n");
  for (const auto& [cluster, workloads] : world.remote_workloads) {
    absl::StrAppend(&text, cluster, " has ", workloads.size(), " workloads\n");
  }
  return text;
}

// A cluster and its peers, in which something happens.
class Fleet {
 public:
  explicit Fleet(uint32_t seed) : random_(seed) {
    local_ = Local("s0");
    AddOwn("s1", /*exported=*/false);
    AddOwn("s6", /*exported=*/true);
    local_.aliases[Host("s5")] = {Host("s5"), "default", "s5", "db.example.com"};
    for (const char* cluster : {"north", "west"}) {
      std::vector<ExportedService> services;
      for (int i = 0; i < 6; ++i) services.push_back(Exported(absl::StrCat("s", i), {}));
      services[2].cluster_set_only = true;
      if (std::string(cluster) == "west") {
        services[3].ports[0].protocol = Protocol::kTcp;
        services[4].in_cluster_set = false;
      }
      PeerState state = PeerOf(cluster, std::move(services));
      auto peer = std::make_shared<Peer>(*state.peer);
      peer->gateways = {{"192.0.2.1", 15443, 0}, {"192.0.2.2", 15443, 0}};
      state.peer = std::move(peer);
      peers_[cluster] = std::move(state);
    }
    peers_["west"].workloads.emplace();
  }

  // Whether services stay what they are.
  bool Step() {
    PeerState& peer = peers_[Draw(2) == 0 ? "north" : "west"];
    switch (Draw(8)) {
      case 0:
        peer.dead_gateways.assign(peer.peer->gateways.begin(),
                                  peer.peer->gateways.begin() + Draw(3));
        return true;
      case 1:
        (*peers_["west"].workloads)[absl::StrCat("10.3.0.", Draw(9))] =
            std::make_shared<Workload>();
        return true;
      case 2: {
        const char* kOwn[] = {"s0", "s1", "s6"};
        const std::string host = Host(kOwn[Draw(3)]);
        Endpoints endpoints = *local_.endpoints.at(host);
        endpoints.resize(1 + Draw(4), endpoints[0]);
        local_.endpoints[host] = std::make_shared<Endpoints>(endpoints);
        local_.workloads[absl::StrCat("10.1.0.", Draw(9))] = std::make_shared<Workload>();
        return true;
      }
      case 3:
        if (Draw(4) != 0) return true;
        ChangeService(peer);
        return false;
      default:
        ChangeGroups(peer);
        return true;
    }
  }

  World local_;
  std::map<std::string, PeerState> peers_;

 private:
  int Draw(int below) { return static_cast<int>(random_() % below); }

  ExportedService& OneOf(PeerExports& exports) {
    return std::next(exports.begin(), Draw(6))->second;
  }
  void ChangeGroups(PeerState& peer) {
    auto exports = std::make_shared<PeerExports>(*peer.exports);
    ExportedService& service = OneOf(*exports);
    service.groups = {{{"r", "a"}, {}, "sa", static_cast<uint32_t>(Draw(3))},
                      {{"r", "b"}, {}, "sa", static_cast<uint32_t>(Draw(3))}};
    service.pods.assign(static_cast<size_t>(Draw(2)), {});
    peer.exports = std::move(exports);
  }
  void ChangeService(PeerState& peer) {
    if (Draw(4) == 0) {
      Service own = *local_.services.at(Host("s1"));
      own.exported = !own.exported;
      own.merges = own.exported;
      local_.services[Host("s1")] = std::make_shared<Service>(own);
      return;
    }
    auto exports = std::make_shared<PeerExports>(*peer.exports);
    ExportedService& service = OneOf(*exports);
    if (Draw(2) == 0) {
      service.cluster_set_only = !service.cluster_set_only;
    } else {
      service.ports.push_back({"more", static_cast<uint16_t>(1000 + Draw(9000)), Protocol::kTcp});
    }
    peer.exports = std::move(exports);
  }
  // One that this cluster has.
  void AddOwn(const std::string& name, bool exported) {
    Service service = *local_.services.at(Host("s0"));
    service.name = name;
    service.host = Host(name);
    service.exported = service.merges = exported;
    local_.services[service.host] = std::make_shared<Service>(service);
    local_.endpoints[service.host] = local_.endpoints.at(Host("s0"));
  }

  std::mt19937 random_;
};

TEST(MergeEndpoints, EqualsAMergeFromScratchWhateverHappens) {
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  Fleet fleet(seed);
  MergedFrom from{fleet.local_, fleet.peers_,
                  MergeWorld(fleet.local_, fleet.peers_, nullptr).world};
  int followed_steps = 0;
  for (int step = 0; step < 1000; ++step) {
    const bool same_services = fleet.Step();
    const World whole = MergeWorld(fleet.local_, fleet.peers_, &from.world).world;
    const auto followed = MergeEndpoints(from, fleet.local_, fleet.peers_);
    ASSERT_EQ(followed.has_value(), same_services) << step;
    if (followed.has_value()) {
      ++followed_steps;
      ASSERT_EQ(Describe(*followed), Describe(whole)) << step;
      // What did not change is the same object.
      for (const auto& [key, endpoints] : followed->endpoints) {
        const auto before = from.world.endpoints.find(key);
        if (before != from.world.endpoints.end() && *before->second == *endpoints &&
            !fleet.local_.endpoints.contains(key)) {
          ASSERT_EQ(before->second, endpoints) << step << key;
        }
      }
    }
    from = {fleet.local_, fleet.peers_, followed.has_value() ? *followed : whole};
  }
  EXPECT_GT(followed_steps, 900);
}

TEST(MergeEndpoints, ServicesThatComeOrGoAreMore) {
  const World local = Local("web");
  const auto peers = [](std::vector<ExportedService> services) {
    return std::map<std::string, PeerState>{{"west", PeerOf("west", std::move(services))}};
  };
  const auto before_peers = peers({Exported("web", {}), Exported("far", {})});
  const MergedFrom before{local, before_peers, MergeWorld(local, before_peers, nullptr).world};
  EXPECT_TRUE(MergeEndpoints(before, local, before_peers).has_value());
  EXPECT_FALSE(MergeEndpoints(before, local, peers({Exported("web", {})})).has_value());
  EXPECT_FALSE(
      MergeEndpoints(before, local, peers({Exported("web", {}), Exported("new", {})})).has_value());
  EXPECT_FALSE(MergeEndpoints(before, local, {}).has_value());
  EXPECT_FALSE(MergeEndpoints(before, Local("other"), before_peers).has_value());
}

TEST(MergeWorld, UnitesPortsAndTheLocalProtocolCounts) {
  ExportedService exported = Exported("web", {});
  exported.ports = {{"http", 80, Protocol::kGrpc}, {"more", 90, Protocol::kTcp}};
  const MergedWorld merged =
      MergeWorld(Local("web"), {{"west", PeerOf("west", {exported})}}, nullptr);
  const std::vector<ServicePort> expected = {{"http", 80, Protocol::kHttp},
                                             {"more", 90, Protocol::kTcp}};
  EXPECT_EQ(merged.world.services.at(Host("web"))->ports, expected);
  ASSERT_EQ(merged.problems.size(), 1u);
  EXPECT_EQ(ToString(merged.problems[0]),
            "warning: Service default/web: port 80: cluster west speaks another protocol there; "
            "this cluster's counts");
}

// A peer adds its own pods to a name, under its own trust domain, and takes nothing from it.
TEST(MergeWorld, Row90APeerTakesNoNameOver) {
  World local = Local("web");
  local.aliases[Host("db")] = {Host("db"), "default", "db", "db.example.com"};
  ExportedService web = Exported("web", {{{}, {}, "admin", 5}});
  web.ports[0].protocol = Protocol::kTcp;
  const MergedWorld merged = MergeWorld(
      local, {{"west", PeerOf("west", {web, Exported("db", {{{}, {}, "sa", 1}})})}}, nullptr);
  EXPECT_FALSE(merged.world.services.contains(Host("db")));
  EXPECT_EQ(merged.world.aliases.at(Host("db")), local.aliases.at(Host("db")));
  EXPECT_EQ(BehindHost(merged.world, ClusterSetHost("db")), "west");
  const Service& service = *merged.world.services.find(Host("web"))->second;
  EXPECT_EQ(service.address, "10.96.0.1");
  EXPECT_EQ(service.ports[0].protocol, Protocol::kHttp);
  for (const Endpoint& endpoint : *merged.world.endpoints.find(Host("web"))->second) {
    EXPECT_EQ(endpoint.trust_domain, endpoint.remote() ? "west.test" : "");
  }
  EXPECT_EQ(merged.problems.size(), 1u);  // of the protocol
}

TEST(MergeWorld, TakesNoSystemServicesFromPeers) {
  ExportedService system = Exported("weftd", {{{}, {}, "sa", 1}});
  system.namespace_ = "weft-system";
  const MergedWorld merged =
      MergeWorld(Local("web"), {{"west", PeerOf("west", {system})}}, nullptr);
  EXPECT_EQ(merged.world.services.size(), 1u);
}

TEST(Exports, SumsUpReadyPodsThatAnswerMtls) {
  const World merged =
      MergeWorld(Local("web"),
                 {{"west", PeerOf("west", {Exported("web", {{{}, {}, "sa", 9}}),
                                           Exported("far", {{{}, {}, "sa", 9}})})}},
                 nullptr)
          .world;
  const PeerExports exports = Exports(merged);
  ASSERT_EQ(exports.size(), 1u);  // what west has is not passed on
  const std::vector<ExportedGroup> expected = {{{}, {{"v", "1"}}, "sa", 2},
                                               {{}, {{"v", "2"}}, "sa", 1}};
  EXPECT_EQ(exports.at({"default", "web"}).groups, expected);
}

TEST(VirtualAddresses, HaveAPairOfIpv6) {
  EXPECT_EQ(VirtualAddresses::Ipv6Of("240.240.1.2"), "2001:2::f0f0:102");
  EXPECT_EQ(VirtualAddresses::Ipv6Of("240.240.0.7"), "2001:2::f0f0:7");
  EXPECT_EQ(VirtualAddresses::Ipv6Of("10.0.0.1"), "");
  EXPECT_EQ(VirtualAddresses::Ipv6Of(""), "");
}

TEST(VirtualAddresses, AreAllGivenOnceAndThenRunOut) {
  VirtualAddresses addresses;
  EXPECT_TRUE(addresses.Reserve("240.240.1.2"));
  EXPECT_FALSE(addresses.Reserve("240.240.1.2"));
  EXPECT_FALSE(addresses.Reserve("10.0.0.1"));
  std::set<std::string> given = {"240.240.1.2"};
  for (int i = 1; i < 65534; ++i) {
    ASSERT_TRUE(given.insert(addresses.Allocate(absl::StrCat("h", i))).second) << i;
  }
  EXPECT_FALSE(given.contains("240.240.0.0"));
  EXPECT_FALSE(given.contains("240.240.255.255"));
  EXPECT_EQ(addresses.Allocate("one too many"), "");
}

}  // namespace
}  // namespace weft
