// weftd with a second API server that a Secret names, as the control plane of that cluster's
// proxies: certificates for its workloads, and what they are told.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "api/istio/ca.grpc.pb.h"
#include "certs/csr.h"
#include "certs/key.h"
#include "certs/spiffe_id.h"
#include "gtest/gtest.h"
#include "test/kubernetes/two_clusters.h"
#include "test/xds/proxy_process.h"

namespace weft::test {
namespace {

using apiserver::AccountToken;
using grpc::StatusCode;
using istio::v1::auth::IstioCertificateRequest;
using istio::v1::auth::IstioCertificateResponse;
using istio::v1::auth::IstioCertificateService;

constexpr char kReviews[] = "tokenreviews.authentication.k8s.io";
constexpr char kOurGateway[] = "192.0.2.100:15443";

class RemoteProxiesTest : public TwoClusters {
 protected:
  static void SetUpTestSuite() { own_network_ = EnterOwnNetwork(); }

  // East has web at 10.2.0.1, too, as another account, and a gateway.
  RemoteProxiesTest() {
    std::string east = absl::StrReplaceAll(
        kWest, {{"8080", "8081"}, {"serviceAccountName: web", "serviceAccountName: east-web"}});
    east_.Out({"create", "-f", "-"}, east.substr(0, east.find("metadata: {name: eastwest")) +
                                         "metadata: {name: unused, namespace: default}\n"
                                         "spec: {ports: [{name: http, port: 80}]}\n");
    Start({"--gateway-address", kOurGateway});
  }
  bool Serves(const std::string& cluster, const Addresses& wanted) {
    const bool serves = Eventually([&] { return Dialed("10.2.0.1", cluster) == wanted; });
    EXPECT_TRUE(serves) << testing::PrintToString(Dialed("10.2.0.1", cluster));
    return serves;
  }
  static std::string TokenOf(Cluster& cluster, const std::string& account = "web") {
    AccountToken token;
    token.ns = "default";
    token.account = account;
    token.pod = "web-1";
    token.audiences = {"weft-ca"};
    token.expires = absl::Now() + absl::Hours(1);
    return cluster.server().IssueToken(token);
  }
  // For web, by a token that is said to be of the cluster; "" says nothing.
  grpc::Status Ask(const std::string& token, const std::string& cluster) {
    grpc::ClientContext context;
    context.AddMetadata("authorization", "Bearer " + token);
    if (!cluster.empty()) context.AddMetadata("clusterid", cluster);
    IstioCertificateRequest request;
    request.set_csr(
        certs::MakeCsr(certs::PrivateKey::Generate(),
                       *certs::SpiffeId::Parse("spiffe://east.weft/ns/default/sa/web")));
    IstioCertificateResponse response;
    const auto channel = grpc::CreateChannel(absl::StrCat("127.0.0.1:", weftd_->port()),
                                             grpc::InsecureChannelCredentials());
    const grpc::Status status =
        IstioCertificateService::NewStub(channel)->CreateCertificate(&context, request, &response);
    EXPECT_EQ(response.cert_chain_size() > 1, status.ok()) << status.error_message();
    return status;
  }
  StatusCode CodeOf(const std::string& token, const std::string& cluster) {
    return Ask(token, cluster).error_code();
  }
  bool Comes(StatusCode code, const std::string& token, const std::string& cluster) {
    return Eventually([&] { return CodeOf(token, cluster) == code; });
  }
  static size_t Reviews(Cluster& cluster, const std::string& user) {
    const auto all = cluster.server().requests();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](const auto& one) {
      return one.resource == kReviews && one.user == user;
    }));
  }

  static bool own_network_;
};
bool RemoteProxiesTest::own_network_ = false;

TEST_F(RemoteProxiesTest, EachIsToldWhatItDialsFromWhereItIs) {
  PutSecret(west_.Kubeconfig());
  EXPECT_TRUE(Serves("west", {"10.2.0.1:8080", kOurGateway}));
  EXPECT_TRUE(Serves("east", {"10.2.0.1:8081", "192.0.2.1:15443"}));
  west_.Out({"patch", "endpointslice", "web-x", "--type=json", "-p",
             R"([{"op": "replace", "path": "/ports/0/port", "value": 9090}])"});
  EXPECT_TRUE(Serves("west", {"10.2.0.1:9090", kOurGateway}));
}

TEST_F(RemoteProxiesTest, Row109ATokenIsGoodInItsOwnClusterOnly) {
  PutSecret(west_.Kubeconfig());
  const std::string west = TokenOf(west_), east = TokenOf(east_);
  ASSERT_TRUE(Comes(StatusCode::OK, west, "west"));
  EXPECT_EQ(CodeOf(west, ""), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(CodeOf(west, "east"), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(CodeOf(west, "west"), StatusCode::OK) << "the verdict of another cluster was kept";
  EXPECT_EQ(CodeOf(east, "west"), StatusCode::UNAUTHENTICATED);
  EXPECT_EQ(CodeOf(east, "east"), StatusCode::OK);
  EXPECT_EQ(CodeOf(TokenOf(west_, "api"), "west"), StatusCode::PERMISSION_DENIED);
  const grpc::Status unknown = Ask(west, "north");
  EXPECT_EQ(unknown.error_code(), StatusCode::UNAUTHENTICATED);
  EXPECT_TRUE(absl::StrContains(unknown.error_message(), "cluster 'north' is not known"))
      << unknown.error_message();
  EXPECT_EQ(CodeOf(weftd_->Token("default", "web"), "west"), StatusCode::UNAUTHENTICATED);
}

TEST_F(RemoteProxiesTest, Row95WhileItsApiServerIsAwayAskAgain) {
  PutSecret(west_.Kubeconfig());
  ASSERT_TRUE(Comes(StatusCode::OK, TokenOf(west_), "west"));
  TakeDownWest();
  EXPECT_EQ(CodeOf(TokenOf(west_), "west"), StatusCode::UNAVAILABLE);
  EXPECT_EQ(CodeOf(TokenOf(east_), "east"), StatusCode::OK);
  west_.server().ClearFaults();
  EXPECT_TRUE(Comes(StatusCode::OK, TokenOf(west_), "west"));
}

TEST_F(RemoteProxiesTest, AnotherKubeconfigAsksAnew) {
  PutSecret(west_.Kubeconfig());
  const std::string token = TokenOf(west_);
  ASSERT_TRUE(Comes(StatusCode::OK, token, "west"));
  PutSecret(west_.Kubeconfig("weftd-2"));
  EXPECT_TRUE(Eventually([&] {
    EXPECT_EQ(CodeOf(token, "west"), StatusCode::OK);
    return Reviews(west_, "weftd-2") > 0;
  }));
  east_.Out({"delete", "secret", "istio-remote-secret-west", "-n", "weft-system"});
  EXPECT_TRUE(Comes(StatusCode::UNAUTHENTICATED, token, "west"));
}

TEST_F(RemoteProxiesTest, ASidecarThereIsServedAsAnyHere) {
  if (!own_network_) GTEST_SKIP() << "no network of its own";
  PutSecret(west_.Kubeconfig());
  ASSERT_TRUE(Serves("west", {"10.2.0.1:8080", kOurGateway}));
  const ProxyPod pod{"web-1", "default", "web", "10.2.0.1", "west", "west-net", TokenOf(west_)};
  const ProxyProcess sidecar(*weftd_, "sidecar", pod);
  const auto has = [](const std::string& page, const std::string& text) {
    const auto shown = integration::RunCommand(
        {"curl", "-s", "--max-time", "2", "http://127.0.0.1:15000/" + page}, {}, "");
    return absl::StrContains(shown.out, text);
  };
  EXPECT_TRUE(Eventually([&] {
    return has("clusters", "10.2.0.1:8080::") && has("clusters", absl::StrCat(kOurGateway, "::"));
  }));
  EXPECT_TRUE(has("config_dump", "inbound|8080||"));
  EXPECT_FALSE(has("config_dump", "inbound|8081||"));
  EXPECT_TRUE(absl::StrContains(weftd_->Debug("syncz"), "spiffe://east.weft/ns/default/sa/web"));
}

}  // namespace
}  // namespace weft::test
