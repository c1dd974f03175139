#include "controlplane/model/registry.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/references.h"
#include "controlplane/model/testing.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kHost[] = "web.default.svc.cluster.local";

std::shared_ptr<const ClusterIdentity> Self() {
  auto self = std::make_shared<ClusterIdentity>();
  self->cluster = "east";
  self->network = "east-net";
  self->trust_domain = "east.test";
  return self;
}

constexpr char kService[] = R"(---
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  clusterIP: 10.96.0.7
  ports:
  - {name: http-web, port: 80, targetPort: 8080}
  - {name: admin, port: 81, appProtocol: grpc}
  - {name: db, port: 82}
)";

std::string Pod(const std::string& name, const std::string& address) {
  return absl::StrCat(R"(---
apiVersion: v1
kind: Pod
metadata:
  name: )",
                      name, R"(
  labels: {app: web, pod-template-hash: abc}
  annotations: {sidecar.istio.io/status: "{}"}
  ownerReferences: [{apiVersion: apps/v1, kind: ReplicaSet, name: web-v1-abc, controller: true}]
spec: {serviceAccountName: web-sa, nodeName: node-a, containers: [{name: web}]}
status: {podIP: )",
                      address, ", phase: Running}\n");
}

std::string Slice(const std::string& endpoints, const std::string& service = "web") {
  return absl::StrCat(R"(---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: )",
                      service, R"(-1, labels: {kubernetes.io/service-name: )", service, R"(}}
addressType: IPv4
ports: [{name: http-web, port: 8080}, {name: admin, port: 9090}]
endpoints: )",
                      endpoints, "\n");
}

constexpr char kNode[] = R"(---
apiVersion: v1
kind: Node
metadata:
  name: node-a
  labels: {topology.kubernetes.io/region: eu, topology.kubernetes.io/zone: eu-1}
)";

constexpr char kTwoPods[] =
    "[{addresses: [10.1.0.1], targetRef: {kind: Pod, name: web-1}}, "
    "{addresses: [10.1.0.2], conditions: {ready: false}}]";

class RegistryTest : public ::testing::Test {
 protected:
  void Apply(const std::string& yaml) { problems_ = Lines(registry_.Apply(Deltas(yaml))); }
  Endpoints EndpointsNow() { return *registry_.BuildLocal().endpoints.at(kHost); }

  Registry registry_{Self(), ExportPolicy::kAll};
  std::string problems_;
};

TEST_F(RegistryTest, MakesAServiceWithPortsAndProtocols) {
  Apply(kService);
  const Service service = *registry_.BuildLocal().services.at(kHost);
  EXPECT_EQ(service.address, "10.96.0.7");
  EXPECT_TRUE(service.local && service.exported);
  const std::vector<ServicePort> expected = {{"http-web", 80, Protocol::kHttp},
                                             {"admin", 81, Protocol::kGrpc},
                                             {"db", 82, Protocol::kTcp}};
  EXPECT_EQ(service.ports, expected);
}

TEST_F(RegistryTest, MakesEndpointsFromSlicesPodsAndNodes) {
  Apply(absl::StrCat(kNode, kService, Pod("web-1", "10.1.0.1"), Slice(kTwoPods)));
  EXPECT_EQ(problems_, "");
  Endpoint expected;
  expected.cluster = "east";
  expected.network = "east-net";
  expected.locality = {"eu", "eu-1"};
  expected.labels = {{"app", "web"}, {"pod-template-hash", "abc"}};
  expected.namespace_ = "default";
  expected.service_account = "web-sa";
  expected.trust_domain = "east.test";
  expected.pod = "web-1";
  expected.workload = "web-v1";
  expected.mtls = true;
  expected.address = "10.1.0.1";
  expected.target_ports = {{80, 8080}, {81, 9090}};
  EXPECT_EQ(EndpointsNow(), Endpoints{expected});
  const Workload workload = *registry_.BuildLocal().workloads.at("10.1.0.1");
  EXPECT_EQ(workload.name, "web-1");
  EXPECT_EQ(workload.workload, "web-v1");
  EXPECT_EQ(workload.locality.zone, "eu-1");
  EXPECT_TRUE(workload.injected);
}

TEST_F(RegistryTest, AServiceSaysWhereItsClientsAreToGo) {
  struct Row {
    const char* annotations;
    const char* spec;
    ServiceAffinity affinity;
    bool close;
  } rows[] = {
      {"", "", ServiceAffinity::kUnstated, false},
      {"service.cilium.io/affinity: local", "", ServiceAffinity::kLocal, false},
      {"service.cilium.io/affinity: Remote", "", ServiceAffinity::kRemote, false},
      {"service.cilium.io/affinity: none", "", ServiceAffinity::kNone, false},
      {"service.cilium.io/affinity: elsewhere", "", ServiceAffinity::kUnstated, false},
      {"", "trafficDistribution: PreferClose,", ServiceAffinity::kUnstated, true},
      {"", "trafficDistribution: PreferSameZone,", ServiceAffinity::kUnstated, true},
      {"", "trafficDistribution: Any,", ServiceAffinity::kUnstated, false},
      {"networking.istio.io/traffic-distribution: preferclose", "", ServiceAffinity::kUnstated,
       true},
      {"networking.istio.io/traffic-distribution: PreferClose", "trafficDistribution: Any,",
       ServiceAffinity::kUnstated, false},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(absl::StrCat(row.annotations, " ", row.spec));
    Apply(absl::StrCat("---\napiVersion: v1\nkind: Service\nmetadata: {name: web, annotations: {",
                       row.annotations, "}}\nspec: {", row.spec,
                       " clusterIP: 10.2.0.1, ports: [{name: http, port: 80}]}\n"));
    const World& world = registry_.BuildLocal();
    ASSERT_TRUE(world.services.contains(kHost)) << problems_;
    EXPECT_EQ(world.services.at(kHost)->affinity, row.affinity);
    EXPECT_EQ(world.services.at(kHost)->prefers_close, row.close);
  }
}

TEST_F(RegistryTest, SaysOfTheClusterThatItIsBeingDrained) {
  Apply(kService);
  const World before = registry_.BuildLocal();
  auto draining = std::make_shared<ClusterIdentity>(*before.self);
  draining->draining = true;
  registry_.SetSelf(draining);
  EXPECT_EQ(registry_.BuildLocal().self, draining);
  EXPECT_FALSE(before.self->draining);
}

TEST_F(RegistryTest, AnExternalNameIsAnAliasAndNoService) {
  const std::string alias =
      "---\napiVersion: v1\nkind: Service\nmetadata: {name: web}\n"
      "spec: {type: ExternalName, externalName: other.example.}\n";
  Apply(kService);
  registry_.BuildLocal();
  Apply(alias);
  EXPECT_EQ(problems_, "");
  const World world = registry_.BuildLocal();
  EXPECT_EQ(world.services.count(kHost), 0u);
  EXPECT_EQ(world.aliases.at(kHost), (Alias{kHost, "default", "web", "other.example"}));
  Apply(kService);
  EXPECT_TRUE(registry_.BuildLocal().aliases.empty());
  EXPECT_EQ(registry_.BuildLocal().services.count(kHost), 1u);
}

TEST_F(RegistryTest, APodOfAHeadlessServiceKeepsItsHostname) {
  Apply(absl::StrCat(kService, Slice("[{addresses: [10.1.0.1], hostname: web-0}]")));
  ASSERT_EQ(EndpointsNow().size(), 1u);
  EXPECT_EQ(EndpointsNow()[0].hostname, "web-0");
}

TEST_F(RegistryTest, DoesNotDependOnTheOrderOfObjects) {
  const std::vector<std::string> parts = {kNode, kService, Pod("web-1", "10.1.0.1"),
                                          Slice(kTwoPods)};
  Apply(absl::StrJoin(parts, ""));
  const Endpoints expected = EndpointsNow();
  std::vector<int> order = {0, 1, 2, 3};
  do {
    Registry registry(Self(), ExportPolicy::kAll);
    for (int i : order) {
      registry.Apply(Deltas(parts[i]));
      registry.BuildLocal();  // one build for each, so that each change must reach the endpoints
    }
    EXPECT_EQ(*registry.BuildLocal().endpoints.at(kHost), expected) << absl::StrJoin(order, ",");
  } while (std::next_permutation(order.begin(), order.end()));
}

TEST_F(RegistryTest, PublishesNotReadyAddressesWhereAsked) {
  std::string service = kService;
  absl::string_view spec = "clusterIP: 10.96.0.7";
  service.replace(service.find(spec.data()), spec.size(),
                  "clusterIP: None\n  publishNotReadyAddresses: true");
  Apply(service + Slice(kTwoPods));
  EXPECT_EQ(EndpointsNow().size(), 2u);
  EXPECT_EQ(registry_.BuildLocal().services.at(kHost)->address, "");
}

TEST_F(RegistryTest, FollowsRemovals) {
  Apply(absl::StrCat(kService, Pod("web-1", "10.1.0.1"), Slice(kTwoPods)));
  EXPECT_TRUE(EndpointsNow()[0].mtls);
  registry_.Apply({{{"Pod", "default", "web-1"}, nullptr}});
  EXPECT_FALSE(EndpointsNow()[0].mtls);
  EXPECT_TRUE(registry_.BuildLocal().workloads.empty());
  registry_.Apply({{{"EndpointSlice", "default", "web-1"}, nullptr}});
  EXPECT_TRUE(EndpointsNow().empty());
  registry_.Apply({{{"Service", "default", "web"}, nullptr}});
  EXPECT_TRUE(registry_.BuildLocal().services.empty());
  EXPECT_TRUE(registry_.BuildLocal().endpoints.empty());
}

TEST_F(RegistryTest, KeepsThePointersOfWhatDidNotChange) {
  Apply(absl::StrCat(kService, Pod("web-1", "10.1.0.1"), Slice(kTwoPods)));
  const World before = registry_.BuildLocal();
  // Another service, and the same objects once more.
  Apply(absl::StrCat(kService, Pod("web-1", "10.1.0.1"), Slice(kTwoPods),
                     "---\napiVersion: v1\nkind: Service\nmetadata: {name: b}\n"
                     "spec: {ports: [{port: 1}]}\n",
                     Slice(kTwoPods, "b")));
  const World after = registry_.BuildLocal();
  EXPECT_EQ(before.services.at(kHost), after.services.at(kHost));
  EXPECT_EQ(before.endpoints.at(kHost), after.endpoints.at(kHost));
  EXPECT_EQ(before.workloads.at("10.1.0.1"), after.workloads.at("10.1.0.1"));
  EXPECT_EQ(after.services.size(), 2u);
}

TEST_F(RegistryTest, ExportsNothingOfTheSystemNamespaces) {
  std::string service = kService;
  service.replace(service.find("{name: web}"), 11, "{name: web, namespace: weft-system}");
  Apply(service);
  EXPECT_FALSE(registry_.BuildLocal().services.begin()->second->exported);
}

constexpr char kRoute[] = R"(---
apiVersion: networking.istio.io/v1
kind: VirtualService
metadata: {name: web}
spec: {hosts: [web], http: [{timeout: 5s, route: [{destination: {host: web}}]}]}
)";

TEST_F(RegistryTest, KeepsTheLastGoodStateOfABadObject) {
  Apply(absl::StrCat(kService, kRoute));
  std::string bad = kRoute;
  bad.replace(bad.find("timeout: 5s"), 11, "timeout: 5m5");
  Apply(bad);
  EXPECT_TRUE(absl::StrContains(problems_, "spec.http[0].timeout: not a duration: '5m5'"));
  EXPECT_EQ(registry_.BuildLocal().virtual_services.at({"default", "web"}).spec->http(0).timeout(),
            "5s");
  bad.replace(bad.find("timeout: 5m5"), 12, "timeuot: 5s");
  Apply(bad);
  EXPECT_TRUE(absl::StrContains(problems_, "did you mean 'timeout'")) << problems_;
  EXPECT_EQ(registry_.BuildLocal().virtual_services.size(), 1u);
}

TEST_F(RegistryTest, SaysOnceWhatItSkips) {
  Apply(
      "---\napiVersion: example.com/v1\nkind: Thing\nmetadata: {name: t}\n"
      "---\napiVersion: apps/v1\nkind: Deployment\nmetadata: {name: d}\n");
  EXPECT_EQ(problems_,
            "test.yaml:2: info: Thing.example.com default/t: skipped: example.com/v1 is a kind the "
            "mesh does not use");
}

TEST_F(RegistryTest, SecurityPoliciesComeAndGo) {
  const std::string policy =
      "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\n"
      "metadata: {name: p, annotations: {istio.io/dry-run: 'true'}}\n";
  Apply(policy);
  Apply(
      "---\napiVersion: security.istio.io/v1beta1\nkind: RequestAuthentication\n"
      "metadata: {name: r}\nspec: {jwtRules: [{issuer: i, jwksUri: 'https://i/keys'}]}\n");
  EXPECT_EQ(problems_, "");
  const World& world = registry_.BuildLocal();
  ASSERT_EQ(world.authorization_policies.size(), 1u);
  ASSERT_EQ(world.request_authentications.size(), 1u);
  EXPECT_EQ(world.authorization_policies.begin()->second.annotations.at("istio.io/dry-run"),
            "true");
  // The trial is over: that is a change, though the spec is the same.
  Apply("---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\n");
  EXPECT_TRUE(registry_.BuildLocal().authorization_policies.begin()->second.annotations.empty());
  // What is broken keeps its last good form: a policy that is mistyped does not let anybody in.
  Apply(
      "---\napiVersion: security.istio.io/v1\nkind: AuthorizationPolicy\nmetadata: {name: p}\n"
      "spec: {rules: [{form: []}]}\n");
  EXPECT_TRUE(absl::StrContains(problems_, "spec.rules[0].form")) << problems_;
  EXPECT_EQ(registry_.BuildLocal().authorization_policies.size(), 1u);
  registry_.Apply({{{"AuthorizationPolicy", "default", "p"}, nullptr},
                   {{"RequestAuthentication", "default", "r"}, nullptr}});
  EXPECT_TRUE(registry_.BuildLocal().authorization_policies.empty());
  EXPECT_TRUE(registry_.BuildLocal().request_authentications.empty());
}

TEST_F(RegistryTest, SurvivesAPodWithoutAnything) {
  Apply("---\napiVersion: v1\nkind: Pod\nmetadata: {name: p}\n");
  EXPECT_TRUE(registry_.BuildLocal().workloads.empty());
}

TEST_F(RegistryTest, ReferencesAreNamedAndHeld) {
  Apply(absl::StrCat(kService, kRoute));
  const World good = HoldDangling(registry_.BuildLocal(), nullptr).world;
  ASSERT_EQ(good.virtual_services.size(), 1u);
  std::string dangling = kRoute;
  dangling.replace(dangling.find("{host: web}"), 11, "{host: web, subset: v9}");
  Apply(dangling);
  EXPECT_EQ(problems_, "");
  const HeldWorld held = HoldDangling(registry_.BuildLocal(), &good);
  EXPECT_EQ(Lines(held.problems),
            "test.yaml:2: VirtualService default/web: spec.http[0].route[0].destination.subset: "
            "Referenced host+subset in destinationrule not found: \"web+v9\" [IST0101]");
  EXPECT_EQ(held.world.virtual_services.begin()->second.spec,
            good.virtual_services.begin()->second.spec);
  EXPECT_TRUE(HoldDangling(registry_.BuildLocal(), nullptr).world.virtual_services.empty());
  // Taken up as soon as the subset is there.
  Apply(
      "---\napiVersion: networking.istio.io/v1\nkind: DestinationRule\nmetadata: {name: web}\n"
      "spec: {host: web.default.svc.cluster.local, subsets: [{name: v9, labels: {a: b}}]}\n");
  const HeldWorld now = HoldDangling(registry_.BuildLocal(), &held.world);
  EXPECT_EQ(Lines(now.problems), "");
  EXPECT_EQ(
      now.world.virtual_services.begin()->second.spec->http(0).route(0).destination().subset(),
      "v9");
}

TEST_F(RegistryTest, ReferencesToHostsPortsAndGateways) {
  struct {
    const char* spec;
    const char* expected;
  } rows[] = {
      {"{hosts: [w], http: [{route: [{destination: {host: nowhere}}]}]}",
       "Referenced host not found: \"nowhere\""},
      {"{hosts: [w], http: [{route: [{destination: {host: web.default}}]}]}", ""},
      {"{hosts: [w], http: [{route: [{destination: {host: web.other}}]}]}", "\"web.other\""},
      {"{hosts: [w], http: [{route: [{destination: {host: web, port: {number: 99}}}]}]}",
       "Referenced port not found: \"web:99\""},
      {"{hosts: [w], gateways: [g], http: [{route: [{destination: {host: web}}]}]}",
       "Referenced gateway not found: \"g\""},
      {"{hosts: [w], gateways: [mesh], tcp: [{route: [{destination: {host: web}}]}]}", ""},
  };
  for (const auto& row : rows) {
    Registry registry(Self(), ExportPolicy::kAll);
    registry.Apply(Deltas(kService));
    registry.Apply(Deltas(absl::StrCat(
        "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: w}\nspec: ",
        row.spec)));
    const std::string problems = Lines(CheckReferences(registry.BuildLocal()));
    if (*row.expected == '\0') {
      EXPECT_EQ(problems, "") << row.spec;
    } else {
      EXPECT_TRUE(absl::StrContains(problems, row.expected)) << problems;
    }
  }
}

std::string BothSlices(const std::string& v4, const std::string& v6) {
  std::string second = Slice(v6);
  second.replace(second.find("web-1"), 5, "web-2");
  second.replace(second.find("IPv4"), 4, "IPv6");
  return Slice(v4) + second;
}

TEST_F(RegistryTest, APodOfBothFamiliesIsOneEndpoint) {
  std::string pod = Pod("web-1", "10.1.0.1");
  pod.insert(pod.find(", phase"), ", podIPs: [{ip: 10.1.0.1}, {ip: 'fd00::1'}]");
  struct {
    const char* what;
    const char* v4;
    const char* v6;
    const char* expected;
  } const rows[] = {
      {"by its reference", "{addresses: [10.1.0.1], targetRef: {kind: Pod, name: other}}",
       "{addresses: ['fd00::1'], targetRef: {kind: Pod, name: other}}", "10.1.0.1 fd00::1,"},
      {"by the pod at its address", "{addresses: [10.1.0.1]}", "{addresses: ['fd00::1']}",
       "10.1.0.1 fd00::1,"},
      {"by node and host name", "{addresses: [10.9.0.1], nodeName: n, hostname: a}",
       "{addresses: ['fd00::9'], nodeName: n, hostname: a}", "10.9.0.1 fd00::9,"},
      {"another host name", "{addresses: [10.9.0.1], nodeName: n, hostname: a}",
       "{addresses: ['fd00::9'], nodeName: n, hostname: b}", "10.9.0.1 ,fd00::9 ,"},
      {"nothing tells", "{addresses: [10.9.0.1]}", "{addresses: ['fd00::9']}",
       "10.9.0.1 ,fd00::9 ,"},
      {"not ready in one", "{addresses: [10.1.0.1], conditions: {ready: false}}",
       "{addresses: ['fd00::1']}", "fd00::1 ,"},
  };
  for (const auto& row : rows) {
    Apply(absl::StrCat(kService, pod,
                       BothSlices(absl::StrCat("[", row.v4, "]"), absl::StrCat("[", row.v6, "]"))));
    EXPECT_EQ(problems_, "") << row.what;
    std::string all;
    for (const Endpoint& endpoint : EndpointsNow()) {
      absl::StrAppend(&all, endpoint.address, " ", endpoint.other_address, ",");
      EXPECT_EQ(endpoint.target_ports.at(80), 8080) << row.what;
    }
    EXPECT_EQ(all, row.expected) << row.what;
  }
}

TEST_F(RegistryTest, AServiceAndAWorkloadHaveAddressesOfBothFamilies) {
  std::string service = kService;
  service.insert(service.find("  ports"), "  clusterIPs: [10.96.0.7, 'fd00:96::7']\n");
  std::string pod = Pod("web-1", "10.1.0.1");
  pod.insert(pod.find(", phase"), ", podIPs: [{ip: 10.1.0.1}, {ip: 'fd00::1'}]");
  Apply(service + pod);
  const World& world = registry_.BuildLocal();
  EXPECT_EQ(world.services.at(kHost)->address, "10.96.0.7");
  EXPECT_EQ(world.services.at(kHost)->other_address, "fd00:96::7");
  ASSERT_TRUE(world.workloads.contains("fd00::1"));
  EXPECT_EQ(*world.workloads.at("fd00::1"), *world.workloads.at("10.1.0.1"));
  EXPECT_EQ(world.workloads.at("fd00::1")->address, "10.1.0.1");
  EXPECT_EQ(world.workloads.at("fd00::1")->other_address, "fd00::1");
  Apply(Pod("web-1", "10.1.0.1"));
  EXPECT_FALSE(registry_.BuildLocal().workloads.contains("fd00::1"));
  EXPECT_EQ(registry_.BuildLocal().workloads.at("10.1.0.1")->other_address, "");
}

}  // namespace
}  // namespace weft
