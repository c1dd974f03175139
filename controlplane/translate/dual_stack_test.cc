// Services and pods of both IP families, of one, and clients of each: from YAML to what a proxy
// does.
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/translate/simulated_mesh.h"
#include "controlplane/translate/translate.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kCluster[] = R"(---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {clusterIP: 10.96.0.1, clusterIPs: [10.96.0.1, 'fd00:96::1'], ports: [{name: http, port: 80}]}
---
apiVersion: v1
kind: Service
metadata: {name: db, namespace: default}
spec: {clusterIP: 10.96.0.2, clusterIPs: [10.96.0.2, 'fd00:96::2'], ports: [{name: tcp, port: 3306}]}
---
apiVersion: v1
kind: Service
metadata: {name: six, namespace: default}
spec: {clusterIP: 'fd00:96::3', clusterIPs: ['fd00:96::3'], ports: [{name: tcp, port: 9000}]}
---
apiVersion: v1
kind: Service
metadata: {name: pods, namespace: default}
spec: {clusterIP: None, ports: [{name: tcp, port: 7000}]}
)";

std::string SlicesOf(const std::string& service, int port, bool ipv4 = true) {
  std::string slices;
  for (const bool v4 : {true, false}) {
    if (v4 && !ipv4) continue;
    absl::StrAppend(&slices, R"(---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: default, name: )",
                    service, v4 ? "-a" : "-b", ", labels: {kubernetes.io/service-name: ", service,
                    "}}\naddressType: ", v4 ? "IPv4" : "IPv6",
                    "\nports: [{name: ", service == "web" ? "http" : "tcp", ", port: ", port,
                    "}]\nendpoints: [{addresses: [", v4 ? "10.244.0.9" : "'fd00:244::9'",
                    "], hostname: one, targetRef: {kind: Pod, name: app-1}}]\n");
  }
  return slices;
}

constexpr char kPod[] = R"(---
apiVersion: v1
kind: Pod
metadata: {name: app-1, namespace: default, annotations: {sidecar.istio.io/status: '{}'}}
spec: {serviceAccountName: app, containers: [{name: app}]}
status: {podIP: 10.244.0.9, podIPs: [{ip: 10.244.0.9}, {ip: 'fd00:244::9'}], phase: Running}
)";

constexpr char kEntry[] = R"(---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: far, namespace: default}
spec: {hosts: [far.test], ports: [{number: 5000, name: tcp, protocol: TCP}], resolution: STATIC,
  endpoints: [{address: 192.0.2.8}, {address: '2001:db8::8'}]}
---
apiVersion: networking.istio.io/v1
kind: ServiceEntry
metadata: {name: stated, namespace: default}
spec: {hosts: [stated.test], addresses: ['2001:db8::5', 192.0.2.5, '2001:db8:1::/48'],
  ports: [{number: 5001, name: tcp, protocol: TCP}], resolution: NONE}
)";

class DualStack : public ::testing::Test {
 protected:
  void SetUp() override {
    EXPECT_EQ(mesh_.Apply(absl::StrCat(kCluster, kPod, kEntry, SlicesOf("web", 8080),
                                       SlicesOf("db", 3306), SlicesOf("six", 9000, false),
                                       SlicesOf("pods", 7000))),
              "");
  }
  static ProxyView Client(const std::string& address, const std::string& other = "") {
    ProxyView view = ClientIn("default");
    view.address = address;
    view.other_address = other;
    return view;
  }
  std::unique_ptr<SimulatedProxy> Proxy(const ProxyView& view) { return mesh_.ProxyFor(view); }

  const ProxyView v4_ = Client("10.244.0.200");
  const ProxyView v6_ = Client("fd00:244::200");
  const ProxyView both_ = Client("10.244.0.200", "fd00:244::200");
  SimulatedMesh mesh_;
};

TEST_F(DualStack, APodIsOneEndpointDialedByWhatTheClientSpeaks) {
  const char* web = "outbound|80||web.default.svc.cluster.local";
  EXPECT_EQ(Proxy(v4_)->Endpoints(web), "10.244.0.9:8080/tlsMode-istio=1");
  EXPECT_EQ(Proxy(v6_)->Endpoints(web), "[fd00:244::9]:8080/tlsMode-istio=1");
  EXPECT_EQ(Proxy(both_)->Endpoints(web), "10.244.0.9:8080/tlsMode-istio=1");
}

TEST_F(DualStack, AnEndpointOfAnotherFamilyIsOutOfReach) {
  const char* six = "outbound|9000||six.default.svc.cluster.local";
  EXPECT_EQ(Proxy(v4_)->Endpoints(six), "");
  EXPECT_EQ(Proxy(both_)->Endpoints(six), "[fd00:244::9]:9000/tlsMode-istio=1");
  const char* far = "outbound|5000||far.test";
  EXPECT_EQ(Proxy(v4_)->Endpoints(far), "192.0.2.8:5000=1");
  EXPECT_EQ(Proxy(v6_)->Endpoints(far), "[2001:db8::8]:5000=1");
}

TEST_F(DualStack, NamesHaveTheAddressesThatTheClientCanDial) {
  const auto v4 = Proxy(v4_), v6 = Proxy(v6_), both = Proxy(both_);
  const std::string web = "web.default.svc.cluster.local";
  EXPECT_EQ(v4->Resolve(web), "10.96.0.1");
  EXPECT_EQ(v6->Resolve(web), "fd00:96::1");
  EXPECT_EQ(both->Resolve(web), "10.96.0.1 fd00:96::1");
  const std::string six = "six.default.svc.cluster.local";
  EXPECT_EQ(v4->Resolve(six), "") << "known, but without an address";
  EXPECT_EQ(both->Resolve(six), "fd00:96::3");
  EXPECT_EQ(both->Resolve("pods.default.svc.cluster.local"), "10.244.0.9 fd00:244::9");
  EXPECT_EQ(v6->Resolve("one.pods.default.svc.cluster.local"), "fd00:244::9");
  EXPECT_EQ(both->Resolve("stated.test"), "192.0.2.5 2001:db8::5");
  EXPECT_EQ(v4->Resolve("stated.test"), "192.0.2.5");
}

TEST_F(DualStack, VirtualAddressesComeInPairs) {
  const std::string v4 = Proxy(v4_)->Resolve("far.test");
  const std::string v6 = Proxy(v6_)->Resolve("far.test");
  EXPECT_TRUE(absl::StartsWith(v4, "240.240.")) << v4;
  EXPECT_TRUE(absl::StartsWith(v6, "2001:2::f0f0:")) << v6;
  EXPECT_EQ(Proxy(both_)->Resolve("far.test"), absl::StrCat(v6, " ", v4));
  EXPECT_EQ(Proxy(v6_)->Connect(absl::StrCat("[", v6, "]:5000")), "outbound|5000||far.test");
}

TEST_F(DualStack, CapturedConnectionsOfEitherFamilyFindTheirListener) {
  const auto both = Proxy(both_), v6 = Proxy(v6_);
  const std::string db = "outbound|3306||db.default.svc.cluster.local";
  EXPECT_EQ(both->Connect("10.96.0.2:3306"), db);
  EXPECT_EQ(both->Connect("[fd00:96::2]:3306"), db);
  EXPECT_EQ(v6->Connect("[fd00:96::2]:3306"), db);
  EXPECT_EQ(both->Connect("[fd00:96::7]:3306"), "PassthroughCluster");
  const std::string web = "outbound|80||web.default.svc.cluster.local";
  EXPECT_EQ(both->Request("[fd00:96::1]:80", "web"), web);
  EXPECT_EQ(both->Request("[fd00:96::1]:80", "[fd00:96::1]"), web);
  EXPECT_EQ(v6->Request("[fd00:96::1]:80", "[fd00:96::1]:80"), web);
  const std::string pods = "outbound|7000||*.pods.default.svc.cluster.local";
  EXPECT_EQ(both->Connect("10.244.0.9:7000"), pods);
  EXPECT_EQ(both->Connect("[fd00:244::9]:7000"), pods);
  EXPECT_EQ(both->Connect("[2001:db8:1::77]:5001"), "outbound|5001||stated.test");
  EXPECT_EQ(both->Connect("[2001:db8:2::77]:5001"), "PassthroughCluster");
}

TEST_F(DualStack, SidecarsListenInTheFamiliesOfTheirPod) {
  const auto sockets = [&](const ProxyView& view, const std::string& name) {
    const auto listener = ListenerIn(*mesh_.ResourcesFor(view), name);
    std::string all = listener.address().socket_address().address();
    for (const auto& more : listener.additional_addresses()) {
      absl::StrAppend(&all, " ", more.address().socket_address().address());
    }
    return all;
  };
  for (const char* name : {"virtualInbound", "virtualOutbound", "0.0.0.0_80"}) {
    EXPECT_EQ(sockets(v4_, name), "0.0.0.0") << name;
    EXPECT_EQ(sockets(v6_, name), "::") << name;
    EXPECT_EQ(sockets(both_, name), "0.0.0.0 ::") << name;
  }
}

TEST_F(DualStack, APodAnswersWhereItWasCalled) {
  const auto inbound = [&](const std::string& address, const std::string& other) {
    return ClusterIn(*mesh_.ResourcesFor(Client(address, other)), "inbound|9000||");
  };
  // What only a service of IPv6 names is a port of the pod all the same.
  const auto both = inbound("10.244.0.9", "fd00:244::9");
  EXPECT_EQ(both.type(), envoy::config::cluster::v3::Cluster::ORIGINAL_DST);
  EXPECT_EQ(both.upstream_bind_config().source_address().address(), "127.0.0.6");
  ASSERT_EQ(both.upstream_bind_config().extra_source_addresses_size(), 1);
  EXPECT_EQ(both.upstream_bind_config().extra_source_addresses(0).address().address(), "::6");
  const auto v6 = inbound("fd00:244::9", "");
  EXPECT_EQ(v6.type(), envoy::config::cluster::v3::Cluster::STATIC);
  EXPECT_EQ(v6.load_assignment()
                .endpoints(0)
                .lb_endpoints(0)
                .endpoint()
                .address()
                .socket_address()
                .address(),
            "fd00:244::9");
  EXPECT_EQ(Proxy(Client("10.244.0.9", "fd00:244::9"))->Inbound(9000, true), "inbound|9000||");
}

TEST_F(DualStack, AGatewayListensAndDialsInItsOwnFamilies) {
  const std::string name = "outbound_.9000_._.six.default.svc.cluster.local";
  const auto endpoints = [&](ProxyView view) {
    view.role = ProxyRole::kGateway;
    const auto assignment = AssignmentIn(*mesh_.ResourcesFor(view), name);
    return assignment.endpoints().empty() ? 0 : assignment.endpoints(0).lb_endpoints_size();
  };
  EXPECT_EQ(endpoints(v4_), 0);
  EXPECT_EQ(endpoints(both_), 1);
}

TEST_F(DualStack, WhatBecomesReadyInTheSecondFamilyIsFollowed) {
  const char* db = "outbound|3306||db.default.svc.cluster.local";
  const ProxyView pod = Client("10.244.0.9", "fd00:244::9");
  EXPECT_EQ(Proxy(v6_)->Endpoints(db), "[fd00:244::9]:3306/tlsMode-istio=1");
  EXPECT_EQ(Proxy(pod)->Inbound(3306, true), "inbound|3306||");
  std::string gone = SlicesOf("db", 3306);
  gone = gone.substr(gone.rfind("---"));
  gone.insert(gone.find("namespace:"), "deletionTimestamp: x, ");
  EXPECT_EQ(mesh_.Apply(gone), "");
  EXPECT_EQ(Proxy(v6_)->Endpoints(db), "");
  EXPECT_EQ(Proxy(both_)->Endpoints(db), "10.244.0.9:3306/tlsMode-istio=1");
  EXPECT_EQ(mesh_.Apply(SlicesOf("db", 3306)), "");
  EXPECT_EQ(Proxy(v6_)->Endpoints(db), "[fd00:244::9]:3306/tlsMode-istio=1");
}

// Gateways of a peer may be told with addresses of both families.
TEST(PeerGateways, AreDialedInOneFamily) {
  WorldBuilder builder;
  builder.Service("default", "web", {{"http", 80, Protocol::kHttp}})
      .Remote("default", "web", "v1", 4)
      .PeerGateways({{"172.16.0.2", 15443}, {"fd00:16::2", 15443}});
  const auto gateways = [&](const std::string& address, const std::string& other) {
    ProxyView view = SidecarIn("default");
    view.address = address;
    view.other_address = other;
    std::string all;
    const auto assignment = AssignmentIn(Translate(builder.world(), view),
                                         "outbound|80||web.default.svc.cluster.local");
    for (const auto& group : assignment.endpoints()) {
      for (const auto& one : group.lb_endpoints()) {
        absl::StrAppend(&all, one.endpoint().address().socket_address().address(), "=",
                        one.load_balancing_weight().value(), " ");
      }
    }
    return all;
  };
  EXPECT_EQ(gateways("10.244.0.200", ""), "172.16.0.2=4 ");
  EXPECT_EQ(gateways("10.244.0.200", "fd00:244::200"), "172.16.0.2=4 ");
  EXPECT_EQ(gateways("fd00:244::200", ""), "fd00:16::2=4 ");
}

}  // namespace
}  // namespace weft
