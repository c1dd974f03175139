// weftd with a second API server that a Secret names: what of that cluster its proxies are told.
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/kubernetes/two_clusters.h"

namespace weft::test {
namespace {

using apiserver::RequestRecord;
using Json = nlohmann::json;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr char kSecret[] = "istio-remote-secret-west";

class RemoteClustersTest : public TwoClusters {
 protected:
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

  const Addresses gateway_ = {"192.0.2.1:15443"};
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
  // No Secret without the label was asked for here or there, but weftd's own, and the one that may
  // hold a CA.
  for (Cluster* cluster : {&east_, &west_}) {
    for (const RequestRecord& one : cluster->server().requests()) {
      if (one.resource != "secrets" || absl::StartsWith(one.user, "alice")) continue;
      if (absl::StrContains(one.target, "metadata.name%3Dcacerts")) continue;
      if (absl::StrContains(one.target, "metadata.name%3Dweft-link-tokens")) continue;
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
