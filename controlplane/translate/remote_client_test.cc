// Proxies of a cluster without a control plane of its own: from the YAML of both clusters to what
// a proxy of either does. Both have a pod at 10.244.0.1.
#include <string>

#include "absl/strings/str_cat.h"
#include "controlplane/translate/simulated_mesh.h"
#include "controlplane/translate/world_builder.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kWeb[] = "outbound|80||web.default.svc.cluster.local";
constexpr char kApiServer[] = "outbound|443||kubernetes.default.svc.cluster.local";

// A service with an injected pod behind it, at one port of it.
std::string ServiceYaml(const std::string& name, const std::string& address, int port,
                        const std::string& pod, const std::string& labels = "") {
  return absl::StrCat(R"(---
apiVersion: v1
kind: Service
metadata: {namespace: default, name: )",
                      name, R"(}
spec: {clusterIP: )",
                      address, R"(, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {namespace: default, name: )",
                      name, "-a, labels: {kubernetes.io/service-name: ", name, R"(}}
addressType: IPv4
ports: [{name: http, port: )",
                      port, "}]\nendpoints: [{addresses: [", pod,
                      "], hostname: one, targetRef: {kind: Pod, name: ", name, R"(-1}}]
---
apiVersion: v1
kind: Pod
metadata: {namespace: default, name: )",
                      name, "-1, labels: {app: ", name, labels, R"(},
  annotations: {sidecar.istio.io/status: '{}'}}
spec: {serviceAccountName: web, containers: [{name: app}]}
status: {phase: Running, podIP: )",
                      pod, "}\n");
}

std::string NetworkYaml(const std::string& network) {
  return absl::StrCat(
      "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: weft-system, labels: "
      "{topology.istio.io/network: ",
      network, "}}\n");
}

constexpr char kGateway[] = R"(---
apiVersion: v1
kind: Service
metadata: {name: eastwest, namespace: weft-system, labels: {topology.istio.io/network: net-north}}
spec: {externalIPs: [172.16.0.3], ports: [{name: tls, port: 15443}]}
)";

class RemoteClientTest : public testing::Test {
 protected:
  RemoteClientTest() {
    EXPECT_EQ(mesh_.Apply(ServiceYaml("web", "10.96.0.1", 8080, "10.244.0.1")), "");
    EXPECT_EQ(mesh_.ApplyRemote(NetworkYaml("net-north") + kGateway +
                                ServiceYaml("web", "10.96.7.7", 9090, "10.244.0.1")),
              "");
  }
  std::string OursDial(const std::string& cluster) {
    return mesh_.ProxyFor(ClientIn("default"))->Endpoints(cluster);
  }
  std::string TheirsDial(const std::string& cluster) {
    return mesh_.ProxyFor(RemoteClientIn("default"))->Endpoints(cluster);
  }
  // The pod of `web` in the cluster.
  static ProxyView PodOf(ProxyView view) {
    view.address = "10.244.0.1";
    view.labels = {{"app", "web"}};
    return view;
  }

  SimulatedMesh mesh_;
};

TEST_F(RemoteClientTest, DialsItsOwnPodsAndGoesToOthersThroughTheirGateways) {
  EXPECT_EQ(OursDial(kWeb), "10.244.0.1:8080/tlsMode-istio=1 172.16.0.3:15443/tlsMode-istio=1");
  EXPECT_EQ(TheirsDial(kWeb), "10.244.0.1:9090/tlsMode-istio=1 172.16.0.1:15443/tlsMode-istio=1");
}

TEST_F(RemoteClientTest, OnOneNetworkEverybodyDialsEverybody) {
  mesh_.ApplyRemote(NetworkYaml("net-east") + ServiceYaml("web", "10.96.7.7", 9090, "10.244.0.7"));
  ProxyView client = RemoteClientIn("default");
  client.network = "net-east";
  const std::string all = "10.244.0.1:8080/tlsMode-istio=1 10.244.0.7:9090/tlsMode-istio=1";
  EXPECT_EQ(OursDial(kWeb), all);
  EXPECT_EQ(mesh_.ProxyFor(client)->Endpoints(kWeb), all);
}

TEST_F(RemoteClientTest, WithoutGatewaysThereIsNoWay) {
  mesh_.ApplyRemote(
      "apiVersion: v1\nkind: Service\n"
      "metadata: {name: eastwest, namespace: weft-system, deletionTimestamp: now}\n");
  EXPECT_EQ(OursDial(kWeb), "10.244.0.1:8080/tlsMode-istio=1");
  EXPECT_EQ(TheirsDial(kWeb), "10.244.0.1:9090/tlsMode-istio=1 172.16.0.1:15443/tlsMode-istio=1");
}

TEST_F(RemoteClientTest, APodOnAnotherNetworkOfTheClusterHasItsLabelsWay) {
  mesh_.ApplyRemote(
      ServiceYaml("web", "10.96.7.7", 9090, "10.244.0.7", ", topology.istio.io/network: net-east"));
  EXPECT_EQ(OursDial(kWeb), "10.244.0.1:8080/tlsMode-istio=1 10.244.0.7:9090/tlsMode-istio=1");
}

TEST_F(RemoteClientTest, AClusterMayBeTheOnlyOneThatHasAService) {
  mesh_.ApplyRemote(ServiceYaml("theirs", "10.96.7.8", 7000, "10.244.0.8"));
  mesh_.Apply(ServiceYaml("ours", "10.96.0.8", 6000, "10.244.0.8"));
  const std::string theirs = "outbound|80||theirs.default.svc.cluster.local";
  const std::string ours = "outbound|80||ours.default.svc.cluster.local";
  EXPECT_EQ(OursDial(theirs), "172.16.0.3:15443/tlsMode-istio=1");
  EXPECT_EQ(TheirsDial(theirs), "10.244.0.8:7000/tlsMode-istio=1");
  EXPECT_EQ(TheirsDial(ours), "172.16.0.1:15443/tlsMode-istio=1");
  const auto client = mesh_.ProxyFor(RemoteClientIn("default"));
  EXPECT_EQ(client->Request(client->Resolve("theirs") + ":80", "theirs"), theirs);
  EXPECT_EQ(client->Request(client->Resolve("ours") + ":80", "ours"), ours);
}

TEST_F(RemoteClientTest, APodsPortsAreThoseOfItsOwnCluster) {
  const auto ours = mesh_.ProxyFor(PodOf(ClientIn("default")));
  const auto theirs = mesh_.ProxyFor(PodOf(RemoteClientIn("default")));
  EXPECT_EQ(ours->Inbound(8080, true), "http inbound|8080||");
  EXPECT_EQ(theirs->Inbound(9090, true), "http inbound|9090||");
  EXPECT_NE(ours->Inbound(9090, true), "http inbound|9090||");
  EXPECT_NE(theirs->Inbound(8080, true), "http inbound|8080||");
}

TEST_F(RemoteClientTest, OurPoliciesAreForItsWorkloads) {
  const auto permissive = mesh_.ProxyFor(PodOf(RemoteClientIn("default")));
  EXPECT_EQ(permissive->Inbound(9090, false), "http inbound|9090||");
  EXPECT_EQ(mesh_.Apply("apiVersion: security.istio.io/v1\nkind: PeerAuthentication\n"
                        "metadata: {name: web, namespace: default}\n"
                        "spec: {selector: {matchLabels: {app: web}}, mtls: {mode: STRICT}}\n"),
            "");
  const auto strict = mesh_.ProxyFor(PodOf(RemoteClientIn("default")));
  EXPECT_EQ(strict->Inbound(9090, true), "http inbound|9090||");
  EXPECT_EQ(strict->Inbound(9090, false), "closed");
}

TEST_F(RemoteClientTest, PodsOfAHeadlessServiceAreThoseWithinReach) {
  mesh_.Apply(ServiceYaml("db", "None", 3306, "10.244.0.9"));
  mesh_.ApplyRemote(ServiceYaml("db", "None", 3306, "10.244.0.10"));
  const auto ours = mesh_.ProxyFor(ClientIn("default"));
  const auto theirs = mesh_.ProxyFor(RemoteClientIn("default"));
  EXPECT_EQ(ours->Resolve("db"), "10.244.0.9");
  EXPECT_EQ(theirs->Resolve("db"), "10.244.0.10");
  EXPECT_EQ(theirs->Resolve("one.db.default.svc.cluster.local"), "10.244.0.10");
}

TEST_F(RemoteClientTest, EachClusterHasItsApiServerForItself) {
  const auto api_server = [](const std::string& address) {
    return absl::StrCat(
        "apiVersion: v1\nkind: Service\nmetadata: {name: kubernetes, namespace: default}\n"
        "spec: {clusterIP: 10.96.0.100, ports: [{name: https, port: 443}]}\n---\n"
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        "metadata: {name: k, namespace: default, labels: {kubernetes.io/service-name: "
        "kubernetes}}\naddressType: IPv4\nports: [{name: https, port: 6443}]\n"
        "endpoints: [{addresses: [",
        address, "]}]\n");
  };
  mesh_.Apply(api_server("10.0.0.1"));
  mesh_.ApplyRemote(NetworkYaml("net-east") + "---\n" + api_server("10.0.0.2"));
  ProxyView client = RemoteClientIn("default");
  client.network = "net-east";
  EXPECT_EQ(OursDial(kApiServer), "10.0.0.1:6443/tlsMode-disabled=1");
  EXPECT_EQ(mesh_.ProxyFor(client)->Endpoints(kApiServer), "10.0.0.2:6443/tlsMode-disabled=1");
}

TEST_F(RemoteClientTest, WhatIsOutsideOfTheMeshIsDialedFromEverywhere) {
  EXPECT_EQ(mesh_.Apply("apiVersion: networking.istio.io/v1\nkind: ServiceEntry\n"
                        "metadata: {name: away, namespace: default}\n"
                        "spec: {hosts: [away.test], ports: [{number: 80, name: http}],\n"
                        "  resolution: STATIC, endpoints: [{address: 192.0.2.9}]}\n"),
            "");
  EXPECT_EQ(TheirsDial("outbound|80||away.test"), "192.0.2.9:80=1");
}

TEST_F(RemoteClientTest, AGatewayPassesOnToPodsOfItsClusterAndToNoControlPlane) {
  ProxyView gateway = ClientIn("weft-system");
  gateway.role = ProxyRole::kGateway;
  ProxyView remote = RemoteClientIn("weft-system");
  remote.role = ProxyRole::kGateway;
  const std::string name = "outbound_.80_._.web.default.svc.cluster.local";
  EXPECT_EQ(mesh_.ProxyFor(gateway)->Endpoints(name), "10.244.0.1:8080=1");
  EXPECT_EQ(mesh_.ProxyFor(remote)->Endpoints(name), "10.244.0.1:9090=1");
  EXPECT_TRUE(mesh_.ResourcesFor(gateway)->clusters.contains("peer.east.weft"));
  EXPECT_FALSE(mesh_.ResourcesFor(remote)->clusters.contains("peer.east.weft"));
  mesh_.ApplyRemote(
      "apiVersion: v1\nkind: Pod\nmetadata: {name: web-1, namespace: default, "
      "deletionTimestamp: now}\n");
  mesh_.ApplyRemote(ServiceYaml("late", "10.96.7.9", 80, "10.244.0.5"));
  EXPECT_EQ(mesh_.ProxyFor(remote)->Endpoints("outbound_.80_._.late.default.svc.cluster.local"),
            "10.244.0.5:80=1");
}

}  // namespace
}  // namespace weft
