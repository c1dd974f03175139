// What a change of endpoints costs, and that nothing is lost by it.
#include "controlplane/translations.h"

#include <gtest/gtest.h>

#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "controlplane/translate/world_builder.h"

namespace weft {
namespace {

const ServicePort kHttp = {"http", 80, Protocol::kHttp};
const ServicePort kTcp = {"tcp", 9000, Protocol::kTcp};

std::string Differing(const Resources& a, const Resources& b) {
  std::string names;
  for (auto type : kAllResources) {
    EncodedResources::Diff(a.*type, b.*type,
                           [&](const std::string& name, const auto* of_a, const auto* of_b) {
                             if (of_a != nullptr && of_b != nullptr && **of_a == **of_b) return;
                             absl::StrAppend(&names, names.empty() ? "" : " ", name);
                           });
  }
  return names;
}

// Views that differ in all that a view may differ in.
std::vector<ProxyView> Views() {
  std::vector<ProxyView> views;
  for (const char* name_space : {"default", "other"}) {
    for (const Locality& locality : {Locality{}, Locality{"eu", "eu-1"}}) {
      views.push_back(SidecarIn(name_space, locality));
      views.push_back(views.back());
      views.back().role = ProxyRole::kProxyless;
      views.back().address = "";
    }
  }
  for (int pod : {1, 2, 3}) {
    views.push_back(SidecarIn("default"));
    views.back().address = absl::StrCat("10.244.1.", pod);
    if (pod == 2) views.back().other_address = "fd00:1::2";
    views.back().labels = {{"app", "s0"}, {"version", "v1"}};
  }
  views.push_back(SidecarIn("default"));
  views.back().address = "fd00:1::3";
  for (int pod : {1, 5}) {
    views.push_back(SidecarIn("default"));
    views.back().role = ProxyRole::kRouter;
    views.back().address = absl::StrCat("10.244.1.", pod);
    views.back().labels = {{"istio", "ingress"}};
    views.back().identified = pod == 1;
  }
  views.push_back(SidecarIn("weft-system"));
  views.back().role = ProxyRole::kGateway;
  views.push_back(views.back());
  views.back().other_address = "fd00:1::7";
  // Of a remote cluster, on its own network and on ours.
  for (const char* network : {"net-north", "net-east"}) {
    for (ProxyRole role : {ProxyRole::kSidecar, ProxyRole::kGateway, ProxyRole::kRouter}) {
      views.push_back(SidecarIn("default"));
      views.back().role = role;
      views.back().address = "10.244.1.1";
      views.back().labels = {{"istio", "ingress"}, {"app", "s0"}};
      views.back().cluster = "north";
      views.back().network = network;
    }
  }
  for (size_t i = 0, count = views.size(); i < count; ++i) {
    if (views[i].role == ProxyRole::kProxyless) continue;
    views.push_back(views[i]);
    views.back().tunnels = true;
  }
  return views;
}

// A World that changes at random; each version is a value.
class RandomWorld {
 public:
  explicit RandomWorld(unsigned seed) : random_(seed) {
    WorldBuilder builder;
    builder.PeerGateways({{"172.16.0.2", 15443, 15008}, {"172.16.0.3", 15443}});
    Peer mars{"mars", "net-mars", "mars.local", "MARS ROOT", {}};
    mars.outbound_only = true;
    builder.Linked(mars).GatewayPod("10.244.0.4");
    for (int i = 0; i < 6; ++i) {
      builder.Service(i % 2 == 0 ? "default" : "other", absl::StrCat("s", i), {kHttp, kTcp});
      if (i == 5) builder.LastService().address = "";  // headless
      hosts_.push_back(builder.LastService().host);
    }
    EXPECT_TRUE(builder
                    .Apply(R"(
kind: DestinationRule
metadata: {name: subsets}
spec: {host: s0, subsets: [{name: v1, labels: {version: v1}}, {name: v2, labels: {version: v2}}]}
---
kind: VirtualService
metadata: {name: split}
spec:
  hosts: [s0]
  http:
  - route:
    - {destination: {host: s0, subset: v1}, weight: 30}
    - {destination: {host: s0, subset: v2}, weight: 70}
---
kind: Gateway
metadata: {name: edge}
spec:
  selector: {istio: ingress}
  servers:
  - {port: {number: 80, name: http, protocol: HTTP}, hosts: ['*']}
  - {port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: a}}
  - {port: {number: 444, name: auto, protocol: TLS}, hosts: ['*.local'], tls: {mode: AUTO_PASSTHROUGH}}
---
kind: VirtualService
metadata: {name: edge}
spec:
  hosts: ['*']
  gateways: [edge]
  http:
  - {match: [{uri: {prefix: /s1}}], route: [{destination: {host: s1.other.svc.cluster.local, port: {number: 80}}}]}
  - {match: [{uri: {prefix: /s2}}], route: [{destination: {host: s2, port: {number: 80}}}]}
  - {match: [{uri: {prefix: /s5}}], route: [{destination: {host: s5.other.svc.cluster.local, port: {number: 80}}}]}
  - {route: [{destination: {host: s0, port: {number: 80}}}]}
---
kind: DestinationRule
metadata: {name: secured}
spec: {host: s2, trafficPolicy: {tls: {mode: SIMPLE, credentialName: a}}}
)")
                    .ok());
    world_ = builder.world();
    auto self = std::make_shared<ClusterIdentity>(*world_.self);
    self->gateways = {{"172.16.0.1", 15443}};
    world_.self = std::move(self);
    world_.peers["north"] = std::make_shared<Peer>(
        Peer{"north", "net-north", "east.local", "", {{"172.16.0.3", 15443}}});
    with_policies_ = world_;
  }

  // Says what it did.
  std::string Change() {
    switch (Below(12)) {
      case 0:
        return ChangePolicies();
      case 1:
        return ChangeService();
      case 3:
        return ChangeSecret();
      case 2:
        if (Below(3) == 0) return ChangeGatewayPods();
        (Below(2) == 0 ? world_.workloads : world_.remote_workloads["north"])[Address()] =
            std::make_shared<Workload>();
        return "workload";
      default:
        return ChangeEndpoints();
    }
  }
  std::shared_ptr<const World> Get() const { return std::make_shared<const World>(world_); }
  unsigned Below(unsigned limit) { return random_() % limit; }

 private:
  const std::string& Host() { return hosts_[Below(hosts_.size())]; }
  std::string Address() { return absl::StrCat("10.244.1.", 1 + Below(6)); }
  std::string Ipv6Address() { return absl::StrCat("fd00:1::", 1 + Below(6)); }

  Endpoint NewEndpoint(const Service& service) {
    Endpoint endpoint;
    const bool remote = Below(3) == 0;
    const std::string cluster = !remote ? "east" : Below(2) == 0 ? "west" : "mars";
    endpoint.cluster = cluster;
    endpoint.network = absl::StrCat("net-", cluster);
    endpoint.trust_domain = absl::StrCat(cluster, ".local");
    if (Below(2) == 0) endpoint.locality = {"eu", absl::StrCat("eu-", 1 + Below(2))};
    endpoint.labels = {{"app", service.name}, {"version", absl::StrCat("v", 1 + Below(2))}};
    endpoint.namespace_ = service.namespace_;
    endpoint.service_account = absl::StrCat("sa", Below(2));
    endpoint.mtls = remote || Below(3) > 0;
    endpoint.ready = Below(4) > 0;
    endpoint.weight = remote ? 1 + Below(4) : 1;
    if (!remote && Below(3) == 0) {
      endpoint.cluster = "north";
      if (Below(3) > 0) endpoint.network = "net-north";
    }
    if (!remote) {
      endpoint.address = Below(6) == 0 ? Ipv6Address() : Address();
      if (Below(3) == 0) endpoint.other_address = Ipv6Address();
    }
    for (const ServicePort& port : service.ports) {
      if (Below(6) > 0) endpoint.target_ports[port.port] = port.port + 8000;
    }
    return endpoint;
  }

  std::string ChangeGatewayPods() {
    const std::string address = absl::StrCat("10.244.0.", 4 + Below(2));
    if (world_.workloads.erase(address) > 0) return "no gateway at " + address;
    WorldBuilder builder;
    world_.workloads[address] = builder.GatewayPod(address).world().workloads.at(address);
    return "gateway at " + address;
  }

  std::string ChangeEndpoints() {
    std::string hosts;
    for (unsigned changes = 1 + Below(2); changes > 0; --changes) {
      const std::string& host = Host();
      const auto service = world_.services.find(host);
      if (service == world_.services.end()) continue;
      Endpoints endpoints;
      for (unsigned i = Below(4); i > 0; --i) endpoints.push_back(NewEndpoint(*service->second));
      if (Below(10) == 0) {
        world_.endpoints.erase(host);
      } else {
        world_.endpoints[host] = std::make_shared<Endpoints>(std::move(endpoints));
      }
      absl::StrAppend(&hosts, " ", host);
    }
    return "endpoints of" + hosts;
  }

  std::string ChangeService() {
    const std::string& host = Host();
    const auto known = world_.services.find(host);
    if (known == world_.services.end()) return "nothing";
    Service service = *known->second;
    if (Below(2) == 0) {
      service.exported = !service.exported;
    } else {
      service.ports =
          Below(2) == 0 ? std::vector<ServicePort>{kHttp} : std::vector<ServicePort>{kHttp, kTcp};
    }
    world_.services[host] = std::make_shared<Service>(std::move(service));
    return "service " + host;
  }

  std::string ChangeSecret() {
    if (Below(3) == 0) {
      world_.secrets.erase("default/a");
      return "no secret";
    }
    const std::string text = absl::StrCat("pem", Below(3));
    world_.secrets["default/a"] = std::make_shared<TlsSecret>(TlsSecret{text, text, text, ""});
    return "secret " + text;
  }

  std::string ChangePolicies() {
    if (Below(3) == 0 && !world_.virtual_services.empty()) {
      world_.virtual_services.erase({"default", "edge"});
      return "no route at the edge";
    }
    if (world_.virtual_services.empty()) {
      world_.virtual_services = with_policies_.virtual_services;
      world_.destination_rules = with_policies_.destination_rules;
      return "policies are back";
    }
    world_.virtual_services.clear();
    if (Below(2) == 0) world_.destination_rules.clear();
    return "policies are gone";
  }

  std::mt19937 random_;
  World world_;
  World with_policies_;
  std::vector<std::string> hosts_;
};

TEST(Translations, AfterAnyChangesAreWhatTheyWouldBeFromScratch) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  printf("seed %u\n", seed);
  for (unsigned round = 0; round < 4; ++round) {
    RandomWorld changing(seed + round);
    Translations translations;
    const std::vector<ProxyView> views = Views();
    std::string history;
    for (int step = 0; step < 60; ++step) {
      absl::StrAppend(&history, changing.Change(), "; ");
      const auto world = changing.Get();
      translations.IndexOf(world);
      // Some Worlds nobody asks for, and some views are away for a while.
      if (changing.Below(4) == 0) continue;
      for (const ProxyView& view : views) {
        if (changing.Below(4) == 0) continue;
        const auto resources = translations.Of(world, view);
        const std::string differing = Differing(*resources, Translate(*world, view));
        ASSERT_EQ(differing, "") << "for " << view.namespace_ << " " << view.address << " role "
                                 << static_cast<int>(view.role) << " after " << history;
      }
    }
  }
}

struct Mesh {
  WorldBuilder builder;
  std::string host;

  explicit Mesh(int services) {
    for (int i = 0; i < services; ++i) {
      const std::string name = absl::StrCat("s", i);
      builder.Service("default", name, {kHttp});
      for (int pod = 0; pod < 2; ++pod) builder.Pod("default", name, "v1");
    }
    host = "s7.default.svc.cluster.local";
  }
  std::shared_ptr<const World> Before() { return std::make_shared<const World>(builder.world()); }
  // With a pod less for `host`.
  std::shared_ptr<const World> After() {
    World world = builder.world();
    Endpoints endpoints = *world.endpoints.at(host);
    endpoints.pop_back();
    world.endpoints[host] = std::make_shared<Endpoints>(std::move(endpoints));
    return std::make_shared<const World>(std::move(world));
  }
};

TEST(Translations, AnEndpointsChangeMakesThatAssignmentAnewAndNothingElse) {
  Mesh mesh(200);
  Translations translations;
  const ProxyView view = SidecarIn("default");
  const auto before = translations.Of(mesh.Before(), view);
  const auto after = translations.Of(mesh.After(), view);
  EXPECT_EQ(translations.full_translations(), 1u);
  EXPECT_EQ(Differing(*before, *after), absl::StrCat("outbound|80||", mesh.host));
  EXPECT_TRUE(before->clusters.SharesAllWith(after->clusters));
  EXPECT_TRUE(before->listeners.SharesAllWith(after->listeners));
  EXPECT_TRUE(before->routes.SharesAllWith(after->routes));
}

TEST(Translations, AVirtualServiceMakesRoutesAnewAndNothingElse) {
  Mesh mesh(200);
  Translations translations;
  const ProxyView view = SidecarIn("default");
  const auto before = translations.Of(mesh.Before(), view);
  ASSERT_TRUE(mesh.builder
                  .Apply(R"(
kind: VirtualService
metadata: {name: s7}
spec: {hosts: [s7], http: [{timeout: 3s, route: [{destination: {host: s7}}]}]}
)")
                  .ok());
  const auto after = translations.Of(mesh.Before(), view);
  EXPECT_EQ(translations.full_translations(), 1u);
  EXPECT_EQ(Differing(*before, *after), "80");
  EXPECT_TRUE(before->clusters.SharesAllWith(after->clusters));
}

TEST(Translations, WhomAChangeDoesNotConcernKeepsTheSameResources) {
  Mesh mesh(20);
  mesh.builder.LastService().exported = false;
  mesh.host = mesh.builder.LastService().host;
  Translations translations;
  ProxyView gateway = SidecarIn("weft-system");
  gateway.role = ProxyRole::kGateway;
  const auto before = translations.Of(mesh.Before(), gateway);
  EXPECT_EQ(translations.Of(mesh.After(), gateway), before) << "the service is not exported";
  const ProxyView view = SidecarIn("default");
  const auto sidecar = translations.Of(mesh.After(), view);
  const auto again = translations.Of(mesh.After(), view);
  EXPECT_EQ(sidecar, again) << "an equal World";
}

TEST(Translations, ARotatedSecretCostsARouterItsOwnAndOthersNothing) {
  Mesh mesh(50);
  ASSERT_TRUE(mesh.builder
                  .Apply(R"(
kind: Gateway
metadata: {name: edge}
spec: {selector: {istio: ingress}, servers: [{port: {number: 443, name: https, protocol: HTTPS}, hosts: ['*'], tls: {mode: SIMPLE, credentialName: a}}]}
)")
                  .ok());
  const auto with = [&](const std::string& text) {
    World world = mesh.builder.world();
    world.secrets["default/a"] = std::make_shared<TlsSecret>(TlsSecret{text, text, "", ""});
    return std::make_shared<const World>(std::move(world));
  };
  ProxyView router = SidecarIn("default");
  router.role = ProxyRole::kRouter;
  router.labels = {{"istio", "ingress"}};
  router.identified = true;
  Translations translations;
  const ProxyView sidecar = SidecarIn("default");
  const auto first = with("one");
  const auto of_sidecar = translations.Of(first, sidecar);
  const auto before = translations.Of(first, router);
  const auto second = with("two");
  EXPECT_EQ(translations.Of(second, sidecar), of_sidecar);
  EXPECT_EQ(Differing(*before, *translations.Of(second, router)), "kubernetes://a");
}

TEST(Translations, SidecarsOfOneScopeShareTheirTables) {
  Mesh mesh(50);
  const auto world = mesh.Before();
  Translations translations;
  ProxyView one = SidecarIn("default");
  ProxyView other = one;
  other.address = "10.244.0.201";
  EXPECT_TRUE(translations.Of(world, one)
                  ->endpoints.SharesAllWith(translations.Of(world, other)->endpoints));
  EXPECT_EQ(translations.full_translations(), 1u);
}

}  // namespace
}  // namespace weft
