// weftd with a second API server that a Secret names: what of that cluster its proxies are told.
#include <grpcpp/grpcpp.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "api/envoy/discovery.grpc.pb.h"
#include "api/envoy/endpoint.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/kubernetes/cluster.h"

namespace weft::test {
namespace {

using apiserver::Fault;
using apiserver::RequestRecord;
using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;
using Json = nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

using Addresses = std::vector<std::string>;

constexpr char kWeb[] = "outbound|80||web.default.svc.cluster.local";
constexpr char kSecret[] = "istio-remote-secret-west";

// The service web with an injected pod, and a gateway for those of other networks.
constexpr char kWest[] = R"(
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
  labels: {app: web}
  annotations: {sidecar.istio.io/status: "{}"}
spec: {serviceAccountName: web, containers: [{name: weft-proxy, image: i}]}
status: {phase: Running, podIP: 10.2.0.1}
---
apiVersion: v1
kind: Service
metadata: {name: eastwest, namespace: weft-system, labels: {topology.istio.io/network: west-net}}
spec: {externalIPs: [192.0.2.1], ports: [{name: tls, port: 15443}]}
)";

std::string NamespaceYaml(const std::string& network) {
  return absl::StrCat("apiVersion: v1\nkind: Namespace\nmetadata: {name: weft-system, labels: {",
                      network.empty() ? "" : "topology.istio.io/network: " + network, "}}\n");
}

std::string Indented(const std::string& text) {
  return "      " + absl::StrReplaceAll(text, {{"\n", "\n      "}});
}

class RemoteClustersTest : public testing::Test {
 protected:
  RemoteClustersTest() {
    east_.Out({"apply", "-f", "-"}, NamespaceYaml(""));
    west_.Out({"apply", "-f", "-"}, NamespaceYaml("west-net"));
    west_.Out({"create", "-f", "-"}, kWest);
  }

  void Start(std::vector<std::string> flags = {}) { weftd_ = east_.StartWeftd(std::move(flags)); }

  // As `istioctl create-remote-secret` writes it.
  void PutSecret(const std::string& kubeconfig, const std::string& cluster = "west") {
    east_.Out({"apply", "-f", "-"},
              absl::StrCat("apiVersion: v1\nkind: Secret\nmetadata:\n  name: istio-remote-secret-",
                           cluster,
                           "\n  namespace: weft-system\n  labels: {istio/multiCluster: \"true\"}\n",
                           "stringData:\n    ", cluster, ": |\n", Indented(kubeconfig), "\n"));
  }

  // Where a sidecar of this cluster finds web, at this moment.
  Addresses Dialed() {
    grpc::ClientContext context;
    context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
    const auto channel = grpc::CreateChannel(absl::StrCat("127.0.0.1:", weftd_->port()),
                                             grpc::InsecureChannelCredentials());
    auto stream = AggregatedDiscoveryService::NewStub(channel)->StreamAggregatedResources(&context);
    DiscoveryRequest request;
    request.set_type_url("type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment");
    request.mutable_node()->set_id("sidecar~10.0.0.9~p.default~default.svc.cluster.local");
    request.add_resource_names(kWeb);
    DiscoveryResponse response;
    Addresses addresses;
    if (!stream->Write(request) || !stream->Read(&response)) return addresses;
    context.TryCancel();
    for (const auto& resource : response.resources()) {
      ClusterLoadAssignment assignment;
      if (!resource.UnpackTo(&assignment)) continue;
      for (const auto& group : assignment.endpoints()) {
        for (const auto& endpoint : group.lb_endpoints()) {
          const auto& at = endpoint.endpoint().address().socket_address();
          addresses.push_back(absl::StrCat(at.address(), ":", at.port_value()));
        }
      }
    }
    std::sort(addresses.begin(), addresses.end());
    return addresses;
  }
  bool Comes(const Addresses& wanted) {
    const bool came = Eventually([&] { return Dialed() == wanted; });
    EXPECT_TRUE(came) << testing::PrintToString(Dialed());
    return came;
  }
  Json StatusOf(const std::string& cluster) {
    for (const Json& one : Json::parse(weftd_->Debug("clusterz"))) {
      if (one["id"] == cluster) return one;
    }
    return nullptr;
  }
  bool Refused(int count) {
    return Eventually([&] {
      return absl::StrContains(weftd_->Metrics(),
                               absl::StrCat("weft_remote_clusters{state=\"refused\"} ", count));
    });
  }

  // As if nothing listened there, but what it stores stays.
  void TakeDownWest() {
    Fault away;
    away.kind = Fault::Kind::kStatus;
    away.code = 503;
    away.times = -1;
    west_.server().AddFault(away);
    west_.server().DropConnections();
  }

  const Addresses gateway_ = {"192.0.2.1:15443"};
  Cluster east_;
  Cluster west_;
  std::unique_ptr<Weftd> weftd_;
};

TEST_F(RemoteClustersTest, ASecretAddsAClusterBehindItsGateways) {
  Start();
  EXPECT_THAT(Dialed(), IsEmpty());
  PutSecret(west_.Kubeconfig());
  ASSERT_TRUE(Comes(gateway_));
  const Json status = StatusOf("west");
  EXPECT_EQ(status["syncStatus"], "synced");
  EXPECT_EQ(status["secretName"], absl::StrCat("weft-system/", kSecret));
  EXPECT_EQ(status["gateways"], 1);
  EXPECT_THAT(weftd_->Metrics(), HasSubstr("istiod_managed_clusters{cluster_type=\"remote\"} 1"));
  // No Secret without the label, here or there, was asked for.
  for (Cluster* cluster : {&east_, &west_}) {
    for (const RequestRecord& one : cluster->server().requests()) {
      if (one.resource != "secrets" || absl::StartsWith(one.user, "alice")) continue;
      EXPECT_THAT(one.target, HasSubstr("labelSelector=istio%2FmultiCluster%3Dtrue"));
    }
  }
}

TEST_F(RemoteClustersTest, PodsOnOurNetworkAreDialedThemselves) {
  west_.Out({"label", "namespace", "weft-system", "--overwrite", "topology.istio.io/network=east"});
  PutSecret(west_.Kubeconfig());
  Start();
  ASSERT_TRUE(Comes({"10.2.0.1:8080"}));
  west_.Out({"patch", "endpointslice", "web-x", "--type=json", "-p",
             R"([{"op": "add", "path": "/endpoints/-", "value": {"addresses": ["10.2.0.2"]}}])"});
  ASSERT_TRUE(Comes({"10.2.0.1:8080", "10.2.0.2:8080"}));
  west_.Out(
      {"label", "namespace", "weft-system", "--overwrite", "topology.istio.io/network=west-net"});
  EXPECT_TRUE(Comes(gateway_));
}

TEST_F(RemoteClustersTest, CredentialsAreRotatedWithoutAGap) {
  PutSecret(west_.Kubeconfig());
  Start();
  ASSERT_TRUE(Comes(gateway_));
  PutSecret(west_.Kubeconfig("weftd-2"));
  EXPECT_TRUE(Eventually([&] {
    EXPECT_EQ(Dialed(), gateway_);
    const auto all = west_.server().requests();
    return std::count_if(all.begin(), all.end(), [](const RequestRecord& one) {
             return one.verb == "watch" && one.user == "weftd-2";
           }) >= 5;
  }));
  west_.Out({"delete", "service", "eastwest", "-n", "weft-system"});
  EXPECT_TRUE(Comes({}));
}

TEST_F(RemoteClustersTest, ABrokenKubeconfigLeavesTheLastGoodOne) {
  PutSecret(west_.Kubeconfig());
  Start();
  ASSERT_TRUE(Comes(gateway_));
  PutSecret(absl::StrReplaceAll(west_.Kubeconfig(), {{"current-context: test", "x: y"}}));
  EXPECT_TRUE(Refused(1));
  west_.Out({"patch", "service", "eastwest", "-n", "weft-system", "--type=merge", "-p",
             R"({"spec": {"externalIPs": ["192.0.2.7"]}})"});
  EXPECT_TRUE(Comes({"192.0.2.7:15443"}));
  PutSecret(west_.Kubeconfig());
  EXPECT_TRUE(Refused(0));
}

TEST_F(RemoteClustersTest, AClusterThatIsNoLongerNamedIsGone) {
  PutSecret(west_.Kubeconfig());
  Start();
  ASSERT_TRUE(Comes(gateway_));
  east_.Out({"label", "secret", kSecret, "-n", "weft-system", "istio/multiCluster-"});
  ASSERT_TRUE(Comes({}));
  EXPECT_EQ(StatusOf("west"), nullptr);
  PutSecret(west_.Kubeconfig());
  ASSERT_TRUE(Comes(gateway_));
  east_.Out({"delete", "secret", kSecret, "-n", "weft-system"});
  EXPECT_TRUE(Comes({}));
}

TEST_F(RemoteClustersTest, Row86OneThatIsDownHoldsNobodyUp) {
  TakeDownWest();
  PutSecret(west_.Kubeconfig());
  Cluster north;
  north.Out({"apply", "-f", "-"}, NamespaceYaml("north-net"));
  north.Out({"create", "-f", "-"},
            absl::StrReplaceAll(kWest, {{"192.0.2.1", "192.0.2.9"}, {"west-net", "north-net"}}));
  PutSecret(north.Kubeconfig(), "north");
  Start();
  ASSERT_TRUE(Comes({"192.0.2.9:15443"}));
  EXPECT_EQ(StatusOf("west")["syncStatus"], "syncing");
  west_.server().ClearFaults();
  EXPECT_TRUE(Comes({"192.0.2.1:15443", "192.0.2.9:15443"}));
}

TEST_F(RemoteClustersTest, Row85WhatIsKnownOfOneThatIsDownExpires) {
  PutSecret(west_.Kubeconfig());
  Start({"--remote-expiry", "3"});
  ASSERT_TRUE(Comes(gateway_));
  const absl::Time down = absl::Now();
  TakeDownWest();
  ASSERT_TRUE(Comes({}));
  EXPECT_GE(absl::Now() - down, absl::Seconds(3));
  west_.server().ClearFaults();
  EXPECT_TRUE(Comes(gateway_));
}

TEST_F(RemoteClustersTest, CommandsAndFilesAreRefusedUnlessAllowed) {
  const std::string ran = absl::StrCat(getenv("TEST_TMPDIR"), "/ran-", getpid());
  const std::string exec = absl::StrReplaceAll(
      west_.Kubeconfig(),
      {{"{token: weftd}",
        absl::StrCat(
            "{exec: {apiVersion: client.authentication.k8s.io/v1, interactiveMode: Never,",
            " command: sh, args: ['-c', 'touch ", ran,
            R"(; echo "{\"apiVersion\": \"client.authentication.k8s.io/v1\",)",
            R"( \"kind\": \"ExecCredential\", \"status\": {\"token\": \"weftd\"}}"']}})")}});
  ASSERT_THAT(exec, HasSubstr("ExecCredential"));
  PutSecret(exec);
  Start();
  ASSERT_TRUE(Refused(1));
  EXPECT_EQ(StatusOf("west"), nullptr);
  EXPECT_THAT(Dialed(), IsEmpty());
  EXPECT_NE(access(ran.c_str(), F_OK), 0);
  Start({"--allow-remote-exec"});
  EXPECT_TRUE(Comes(gateway_));
  EXPECT_EQ(access(ran.c_str(), F_OK), 0);
}

}  // namespace
}  // namespace weft::test
