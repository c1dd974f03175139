#include "controlplane/federation/remote_view.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "controlplane/model/testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

std::shared_ptr<const ClusterIdentity> East() {
  auto self = std::make_shared<ClusterIdentity>();
  self->cluster = "east";
  self->network = "east-net";
  self->trust_domain = "mesh.test";
  return self;
}

std::string NamespaceYaml(const std::string& name, const std::string& network) {
  return absl::StrCat("---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ", name,
                      ", labels: {topology.istio.io/network: ", network, "}}\n");
}

// A pod that is injected, with its service; `labels` are further ones: ", x: y".
std::string WebYaml(const std::string& labels = "") {
  return absl::StrCat(R"(---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-x, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.2.0.1], conditions: {ready: true}, targetRef: {kind: Pod, name: web-1}}]
---
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  namespace: default
  labels: {app: web)",
                      labels, R"(}
  annotations: {sidecar.istio.io/status: "{}"}
spec: {serviceAccountName: web, containers: [{name: weft-proxy, image: i}]}
status: {phase: Running, podIP: 10.2.0.1}
)");
}

std::string GatewayYaml(const std::string& labels, const std::string& rest) {
  return absl::StrCat("---\napiVersion: v1\nkind: Service\n",
                      "metadata: {name: eastwest, namespace: istio-system, labels: {", labels,
                      "}}\n", rest, "\n");
}

class RemoteViewTest : public testing::Test {
 protected:
  const ExportedService& Web() {
    static const ExportedService none;
    const auto found = view_.state().exports->find({"default", "web"});
    return found == view_.state().exports->end() ? none : found->second;
  }

  RemoteView view_{"west", East(), ExportPolicy::kAll};
};

TEST_F(RemoteViewTest, AnotherNetworkIsBehindItsGateways) {
  EXPECT_EQ(Lines(view_.Apply(Deltas(WebYaml()))), "");
  EXPECT_TRUE(view_.Build());
  EXPECT_EQ(view_.state().peer->cluster, "west");
  EXPECT_EQ(view_.state().peer->network, "west");  // nobody says another
  EXPECT_EQ(view_.state().peer->trust_domain, "mesh.test");
  EXPECT_THAT(view_.state().peer->gateways, IsEmpty());
  EXPECT_THAT(Web().groups, IsEmpty());
  ASSERT_EQ(Web().pods.size(), 1u);
  EXPECT_EQ(Web().pods[0].network, "west");
  EXPECT_THAT(Web().ports, ElementsAre(ServicePort{"http", 80, Protocol::kHttp}));

  view_.Apply(Deltas(NamespaceYaml("istio-system", "west-net")));
  view_.Apply(Deltas(GatewayYaml("topology.istio.io/network: west-net",
                                 "status: {loadBalancer: {ingress: [{ip: 192.0.2.1}]}}")));
  EXPECT_TRUE(view_.Build());
  EXPECT_EQ(view_.state().peer->network, "west-net");
  EXPECT_THAT(view_.state().peer->gateways, ElementsAre(GatewayAddress{"192.0.2.1", 15443}));
}

TEST_F(RemoteViewTest, PodsOnOurNetworkAreDialedThemselves) {
  view_.Apply(Deltas(NamespaceYaml("weft-system", "east-net") + WebYaml()));
  EXPECT_TRUE(view_.Build());
  EXPECT_THAT(Web().groups, IsEmpty());
  ASSERT_EQ(Web().pods.size(), 1u);
  const Endpoint& pod = Web().pods[0];
  EXPECT_EQ(pod.address, "10.2.0.1");
  EXPECT_EQ(pod.cluster, "west");
  EXPECT_EQ(pod.network, "east-net");
  EXPECT_EQ(pod.trust_domain, "mesh.test");
  EXPECT_EQ(pod.service_account, "web");
  EXPECT_TRUE(pod.mtls);
  EXPECT_EQ(pod.target_ports, (std::map<uint16_t, uint16_t>{{80, 8080}}));
}

TEST_F(RemoteViewTest, APodsOwnNetworkCounts) {
  view_.Apply(Deltas(WebYaml(", topology.istio.io/network: east-net")));
  EXPECT_TRUE(view_.Build());
  ASSERT_EQ(Web().pods.size(), 1u);
  EXPECT_EQ(Web().pods[0].network, "east-net");
  view_.Apply(Deltas(NamespaceYaml("weft-system", "east-net") +
                     WebYaml(", topology.istio.io/network: dmz")));
  EXPECT_TRUE(view_.Build());
  ASSERT_EQ(Web().pods.size(), 1u);
  EXPECT_EQ(Web().pods[0].network, "dmz");
}

TEST_F(RemoteViewTest, GatewaysAreFollowed) {
  const std::string network = "topology.istio.io/network: west";
  view_.Apply(Deltas(
      GatewayYaml(network + ", networking.istio.io/gatewayPort: \"443\"",
                  "spec: {externalIPs: [192.0.2.1]}\n"
                  "status: {loadBalancer: {ingress: [{ip: 192.0.2.2}, {ip: '2001:db8::1'}]}}")));
  EXPECT_TRUE(view_.Build());
  EXPECT_THAT(view_.state().peer->gateways,
              ElementsAre(GatewayAddress{"192.0.2.1", 443}, GatewayAddress{"192.0.2.2", 443},
                          GatewayAddress{"2001:db8::1", 443}));
  view_.Apply(
      Deltas(GatewayYaml("topology.istio.io/network: other", "spec: {externalIPs: [192.0.2.1]}")));
  EXPECT_TRUE(view_.Build());
  EXPECT_THAT(view_.state().peer->gateways, IsEmpty());
  view_.Apply(Deltas(GatewayYaml(network, "spec: {externalIPs: [192.0.2.3]}")));
  EXPECT_TRUE(view_.Build());
  EXPECT_EQ(view_.state().peer->gateways.size(), 1u);
  view_.Apply({{{"Service", "istio-system", "eastwest"}, nullptr}});
  EXPECT_TRUE(view_.Build());
  EXPECT_THAT(view_.state().peer->gateways, IsEmpty());
}

TEST_F(RemoteViewTest, GatewaysThatCannotBeDialedAreNamed) {
  const std::string network = "topology.istio.io/network: west";
  EXPECT_THAT(Lines(view_.Apply(Deltas(GatewayYaml(
                  network, "status: {loadBalancer: {ingress: [{hostname: lb.example.com}]}}")))),
              HasSubstr("status.loadBalancer.ingress: only IP addresses can be dialed, found "
                        "\"lb.example.com\""));
  EXPECT_THAT(Lines(view_.Apply(Deltas(
                  GatewayYaml(network + ", networking.istio.io/gatewayPort: \"70000\"", "")))),
              HasSubstr("metadata.labels[networking.istio.io/gatewayPort]: not a port"));
}

TEST_F(RemoteViewTest, SaysOnlyWhatChanges) {
  view_.Apply(Deltas(WebYaml()));
  EXPECT_TRUE(view_.Build());
  const auto exports = view_.state().exports;
  EXPECT_FALSE(view_.Build());
  view_.Apply(Deltas(WebYaml() + NamespaceYaml("other", "x")));
  EXPECT_FALSE(view_.Build());
  EXPECT_EQ(view_.state().exports, exports);
  view_.Apply({{{"Pod", "default", "web-1"}, nullptr}});
  EXPECT_TRUE(view_.Build());
}

TEST_F(RemoteViewTest, WhatIsOfWeftStaysThere) {
  view_.Apply(
      Deltas("apiVersion: v1\nkind: Service\nmetadata: {name: weftd, namespace: "
             "weft-system}\nspec: {ports: [{name: http, port: 80}]}\n"));
  EXPECT_TRUE(view_.Build());
  EXPECT_THAT(*view_.state().exports, IsEmpty());
}

// Its own clients have every service, other clusters those that it exports.
TEST_F(RemoteViewTest, WhatItExportsIsInTheClusterSet) {
  RemoteView view("west", East(), ExportPolicy::kNone);
  view.Apply(Deltas(WebYaml()));
  view.Build();
  EXPECT_FALSE(view.state().exports->at({"default", "web"}).in_cluster_set);
  view.Apply(
      Deltas("apiVersion: multicluster.x-k8s.io/v1alpha1\nkind: ServiceExport\n"
             "metadata: {name: web, namespace: default}\n"));
  EXPECT_TRUE(view.Build());
  EXPECT_TRUE(view.state().exports->at({"default", "web"}).in_cluster_set);
}

TEST_F(RemoteViewTest, TellsOfEachWorkload) {
  view_.Apply(Deltas(WebYaml()));
  EXPECT_TRUE(view_.Build());
  ASSERT_TRUE(view_.state().workloads.has_value());
  ASSERT_EQ(view_.state().workloads->size(), 1u);
  EXPECT_EQ(view_.state().workloads->at("10.2.0.1")->service_account, "web");
  // A pod of no service.
  view_.Apply(
      Deltas("apiVersion: v1\nkind: Pod\nmetadata: {name: alone, namespace: default}\n"
             "spec: {serviceAccountName: job, containers: [{name: c}]}\n"
             "status: {phase: Running, podIP: 10.2.0.9}\n"));
  EXPECT_TRUE(view_.Build());
  EXPECT_EQ(view_.state().workloads->at("10.2.0.9")->service_account, "job");
}

}  // namespace
}  // namespace weft
