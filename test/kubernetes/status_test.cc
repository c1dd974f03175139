// What weftd writes back: conditions on config objects, by the one that leads.
#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "api/envoy/discovery.grpc.pb.h"
#include "api/envoy/route.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/kubernetes/cluster.h"

namespace weft::test {
namespace {

using apiserver::Fault;
using apiserver::RequestRecord;
using envoy::config::route::v3::RouteConfiguration;
using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;
using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;

constexpr char kRoutes[] = "virtualservices.networking.istio.io";

Json RouteOf(const std::string& name, const std::string& host, const std::string& to) {
  return Json::parse(absl::StrReplaceAll(
      R"({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
          "metadata": {"name": "NAME", "namespace": "default"},
          "spec": {"hosts": ["HOST"], "http": [{"route": [{"destination": {"host": "TO"}}]}]}})",
      {{"NAME", name}, {"HOST", host}, {"TO", to}}));
}

Json ServiceOf(const std::string& name) {
  return Json::parse(absl::StrReplaceAll(
      R"({"apiVersion": "v1", "kind": "Service",
          "metadata": {"name": "NAME", "namespace": "default"},
          "spec": {"selector": {"app": "NAME"}, "ports": [{"name": "http", "port": 80}]}})",
      {{"NAME", name}}));
}

class StatusTest : public testing::Test {
 protected:
  StatusTest() {
    Put(Json::parse(R"({"apiVersion": "v1", "kind": "Namespace",
                        "metadata": {"name": "weft-system"}})"));
    Put(ServiceOf("web"));
    Put(RouteOf("web", "web", "web"));
    weftd_ = cluster_.StartWeftd();
  }

  apiserver::ApiServer& server() { return cluster_.server(); }
  void Put(Json object) {
    const auto put = server().Put(std::move(object));
    ASSERT_TRUE(put.ok()) << put.failure().message;
  }

  // "True Accepted: message"; "" if there is no such condition.
  std::string ConditionOf(const std::string& name, const std::string& type) {
    const auto object = server().Get(kRoutes, "default", name);
    if (!object.ok() || !object->contains("status")) return "";
    for (const Json& condition : (*object)["status"].value("conditions", Json::array())) {
      if (condition["type"] != type) continue;
      return absl::StrCat(condition["status"].get<std::string>(), " ",
                          condition["reason"].get<std::string>(), ": ",
                          condition["message"].get<std::string>());
    }
    return "";
  }
  bool Comes(const std::string& name, const std::string& type, const std::string& text) {
    const bool came = Eventually([&] { return absl::StrContains(ConditionOf(name, type), text); });
    EXPECT_TRUE(came) << ConditionOf(name, type);
    return came;
  }
  size_t Patches(const std::string& user = "") {
    const auto all = server().requests();
    return static_cast<size_t>(std::count_if(all.begin(), all.end(), [&](const auto& one) {
      return one.verb == "patch" && one.resource == kRoutes && (user.empty() || one.user == user);
    }));
  }

  Cluster cluster_;
  std::unique_ptr<Weftd> weftd_;
};

TEST_F(StatusTest, KubectlCanWaitUntilAnObjectIsAccepted) {
  cluster_.Out({"wait", "--for=condition=Accepted", "virtualservice/web", "--timeout=20s"});
  cluster_.Out({"wait", "--for=condition=ResolvedRefs", "virtualservice/web", "--timeout=20s"});
  // Only what differs is written: a second look, and another object, change nothing here.
  const auto before = server().Get(kRoutes, "default", "web");
  Put(RouteOf("api", "api", "web"));
  ASSERT_TRUE(Comes("api", "Accepted", "True Accepted"));
  const auto after = server().Get(kRoutes, "default", "web");
  EXPECT_EQ((*before)["metadata"]["resourceVersion"], (*after)["metadata"]["resourceVersion"]);
}

TEST_F(StatusTest, SaysWhatIsWrongAndWhenItIsMended) {
  Json bad = RouteOf("web", "web", "web");
  bad["spec"]["http"][0]["timeout"] = "soon";
  Put(bad);
  ASSERT_TRUE(Comes("web", "Accepted", "False Invalid: spec.http[0].timeout: "));
  EXPECT_EQ(cluster_.Out({"get", "vs", "web", "-o",
                          "jsonpath={.metadata.generation} "
                          "{.status.conditions[0].observedGeneration}"}),
            "2 2");
  Put(RouteOf("web", "web", "web"));
  EXPECT_TRUE(Comes("web", "Accepted", "True Accepted"));
}

TEST_F(StatusTest, SaysWhatIsNotThereYet) {
  Put(RouteOf("late", "late", "nowhere"));
  ASSERT_TRUE(Comes("late", "ResolvedRefs", "False RefNotFound: spec.http[0].route[0]"));
  EXPECT_THAT(ConditionOf("late", "ResolvedRefs"), HasSubstr("nowhere"));
  Put(ServiceOf("nowhere"));
  EXPECT_TRUE(Comes("late", "ResolvedRefs", "True"));
}

TEST_F(StatusTest, SaysWhoHasTheHost) {
  Json rival = RouteOf("z-rival", "web.default.svc.cluster.local", "web");
  Put(rival);
  ASSERT_TRUE(Comes("z-rival", "Conflicted", "True HostTaken: spec.hosts[0]: "));
  EXPECT_THAT(ConditionOf("z-rival", "Conflicted"), HasSubstr("VirtualService default/web"));
  EXPECT_EQ(ConditionOf("web", "Conflicted"), "");
  ASSERT_TRUE(server().Delete(kRoutes, "default", "web").ok());
  EXPECT_TRUE(Eventually([&] { return ConditionOf("z-rival", "Conflicted").empty(); }));
}

TEST_F(StatusTest, QuotesWhatProxiesRefuse) {
  ASSERT_TRUE(Comes("web", "Accepted", "True"));
  grpc::ClientContext context;
  auto channel = grpc::CreateChannel(absl::StrCat("127.0.0.1:", weftd_->port()),
                                     grpc::InsecureChannelCredentials());
  auto stream = AggregatedDiscoveryService::NewStub(channel)->StreamAggregatedResources(&context);
  DiscoveryRequest request;
  request.set_type_url("type.googleapis.com/envoy.config.cluster.v3.Cluster");
  request.mutable_node()->set_id("sidecar~10.0.0.9~p.default~default.svc.cluster.local");
  ASSERT_TRUE(stream->Write(request));
  DiscoveryResponse response;
  ASSERT_TRUE(stream->Read(&response));
  request.set_response_nonce(response.nonce());
  request.mutable_error_detail()->set_message(
      "cluster 'outbound|80||web.default.svc.cluster.local': not today");
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(Comes("web", "Programmed", "False RefusedByProxies: 1 proxy refuses"));
  EXPECT_THAT(ConditionOf("web", "Programmed"),
              AllOf(HasSubstr("sidecar~10.0.0.9~p.default"), HasSubstr("not today")));
  request.clear_error_detail();
  request.set_version_info(response.version_info());
  ASSERT_TRUE(stream->Write(request));
  EXPECT_TRUE(Eventually([&] { return ConditionOf("web", "Programmed").empty(); }));
  context.TryCancel();
}

// The table of port 80 has routes of many objects; the place that is refused, of one.
TEST_F(StatusTest, SaysWhichObjectARefusedRouteWasMadeOf) {
  Put(ServiceOf("api"));
  Put(RouteOf("api", "api", "api"));
  ASSERT_TRUE(Comes("api", "Accepted", "True"));
  grpc::ClientContext context;
  auto channel = grpc::CreateChannel(absl::StrCat("127.0.0.1:", weftd_->port()),
                                     grpc::InsecureChannelCredentials());
  auto stream = AggregatedDiscoveryService::NewStub(channel)->StreamAggregatedResources(&context);
  DiscoveryRequest request;
  request.set_type_url("type.googleapis.com/envoy.config.route.v3.RouteConfiguration");
  request.add_resource_names("80");
  request.mutable_node()->set_id("sidecar~10.0.0.9~p.default~default.svc.cluster.local");
  ASSERT_TRUE(stream->Write(request));
  DiscoveryResponse response;
  ASSERT_TRUE(stream->Read(&response));
  RouteConfiguration table;
  ASSERT_TRUE(response.resources(0).UnpackTo(&table));
  const auto& hosts = table.virtual_hosts();
  const auto host = std::find_if(hosts.begin(), hosts.end(), [](const auto& one) {
    return one.name() == "api.default.svc.cluster.local:80";
  });
  request.set_response_nonce(response.nonce());
  request.mutable_error_detail()->set_message(
      absl::StrCat("route configuration '80': virtual_hosts[", host - hosts.begin(),
                   "].routes[0].match: not today"));
  ASSERT_TRUE(stream->Write(request));
  ASSERT_TRUE(Comes("api", "Programmed", "False RefusedByProxies: 1 proxy refuses"));
  EXPECT_THAT(ConditionOf("api", "Programmed"),
              HasSubstr("(/apis/networking.istio.io/v1alpha3/namespaces/default/virtual-service/"
                        "api)"));
  EXPECT_EQ(ConditionOf("web", "Programmed"), "");
  context.TryCancel();
}

TEST_F(StatusTest, AConflictIsTriedAgain) {
  ASSERT_TRUE(Comes("web", "Accepted", "True"));
  Fault conflict;
  conflict.kind = Fault::Kind::kStatus;
  conflict.verb = "patch";
  conflict.resource = kRoutes;
  conflict.code = 409;
  conflict.times = 3;
  server().AddFault(conflict);
  const size_t before = Patches();
  Put(RouteOf("api", "api", "web"));
  ASSERT_TRUE(Comes("api", "Accepted", "True"));
  EXPECT_EQ(Patches(), before + 4);
}

TEST_F(StatusTest, OnlyTheLeaderWritesAndAnotherTakesOver) {
  ASSERT_TRUE(Comes("web", "Accepted", "True"));
  const auto second = cluster_.StartWeftd({}, /*wait_until_ready=*/true, "weftd-2");
  for (int i = 0; i < 20; ++i) Put(RouteOf(absl::StrCat("r-", i), absl::StrCat("r-", i), "web"));
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(Comes(absl::StrCat("r-", i), "Accepted", "True"));
  EXPECT_EQ(Patches("weftd-2"), 0u);
  const auto lease = server().Get("leases.coordination.k8s.io", "weft-system", "weftd-leader");
  ASSERT_TRUE(lease.ok());
  weftd_->Kill();
  Put(RouteOf("orphan", "orphan", "web"));
  // Its Lease has to stand still for 15 s first.
  EXPECT_TRUE(integration::Eventually(
      [&] { return absl::StrContains(ConditionOf("orphan", "Accepted"), "True"); },
      absl::Seconds(60)));
  EXPECT_GT(Patches("weftd-2"), 0u);
  const auto taken = server().Get("leases.coordination.k8s.io", "weft-system", "weftd-leader");
  ASSERT_TRUE(taken.ok());
  EXPECT_NE((*taken)["spec"]["holderIdentity"], (*lease)["spec"]["holderIdentity"]);
  EXPECT_EQ((*taken)["spec"]["leaseTransitions"], 1);
  EXPECT_EQ((*taken)["spec"]["leaseDurationSeconds"], 15);
}

TEST_F(StatusTest, WritesNoMoreThanTwentyASecond) {
  ASSERT_TRUE(Comes("web", "Accepted", "True"));
  const absl::Time begun = absl::Now();
  const size_t before = Patches();
  for (int i = 0; i < 60; ++i) Put(RouteOf(absl::StrCat("r-", i), absl::StrCat("r-", i), "web"));
  ASSERT_TRUE(Eventually([&] { return Patches() >= before + 60; }));
  EXPECT_GE(absl::Now() - begun, absl::Milliseconds(50 * 59));
  EXPECT_TRUE(Comes("r-59", "Accepted", "True"));
  EXPECT_EQ(Patches(), before + 60);
}

}  // namespace
}  // namespace weft::test
