// What StatusBook writes to objects of the Gateway API.
#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "controlplane/status/status_book.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using Json = nlohmann::json;
using testing::HasSubstr;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
const ObjectKey kClass = {"GatewayClass", "", "weft"};
const ObjectKey kGateway = {"Gateway.gateway.networking.k8s.io", "shop", "gw"};
const ObjectKey kRoute = {"HTTPRoute.gateway.networking.k8s.io", "shop", "web"};

Json ObjectOf(const char* kind, const char* name, const char* spec) {
  Json object = {{"apiVersion", "gateway.networking.k8s.io/v1"},
                 {"kind", kind},
                 {"metadata", {{"name", name}, {"resourceVersion", "7"}, {"generation", 2}}},
                 {"spec", Json::parse(spec)}};
  if (object["kind"] != "GatewayClass") object["metadata"]["namespace"] = "shop";
  return object;
}
Json RouteObject() { return ObjectOf("HTTPRoute", "web", R"({"parentRefs": [{"name": "gw"}]})"); }

GatewayApiStatus StatusOf(const ObjectKey& key, GatewayApiConditions conditions = {}) {
  GatewayApiStatus status;
  status.key = key;
  status.generation = 2;
  status.conditions = std::move(conditions);
  return status;
}
// Of a route that is attached to the Gateway.
GatewayApiStatus Attached() {
  GatewayApiStatus status = StatusOf(kRoute);
  RouteParentStatus parent;
  parent.name = "gw";
  parent.conditions = {{"Accepted", true, "Accepted"},
                       {"ResolvedRefs", false, "BackendNotFound", "backend x: no such Service"}};
  status.parents = {parent};
  return status;
}

class GatewayApiStatusTest : public testing::Test {
 protected:
  GatewayApiStatusTest() {
    world_ = {
        StatusOf(kClass, {{"Accepted", true, "Accepted"}}),
        StatusOf(kGateway, {{"Accepted", true, "Accepted"}, {"Programmed", true, "Programmed"}}),
        Attached()};
    Know();
  }

  void Know() {
    StatusBook::Findings findings;
    findings.gateway_api = world_;
    book_.OnWorld(findings);
  }
  void Put(const Json& object, const std::vector<Problem>& problems = {}) {
    object_ = object;
    const auto document = YamlDocument::ParseJson(object.dump()).value();
    const ParsedObject parsed = ReadJsonObject({document, document->root()}, "", "", "server");
    ASSERT_NE(parsed.object, nullptr) << parsed.problem.message;
    key_ = parsed.object->key;
    book_.OnObjects({{key_, parsed.object}}, problems);
  }
  // The status that is written next, null if none is; and the server takes it.
  Json Written() {
    const auto write = book_.Next(kNow);
    if (!write.has_value()) return Json();
    path_ = write->path;
    const Json patch = Json::parse(write->body);
    EXPECT_EQ(patch["metadata"]["resourceVersion"], object_["metadata"]["resourceVersion"]);
    object_.merge_patch(patch);
    object_["metadata"]["resourceVersion"] = std::to_string(++version_);
    book_.OnWritten(key_, object_.dump());
    return patch["status"];
  }
  static Problem ErrorIn(const ObjectKey& key) {
    return {Severity::kError, "", key, "", "spec.rules[0].filters[0].extensionRef", "is not known"};
  }

  StatusBook book_;
  std::vector<GatewayApiStatus> world_;
  ObjectKey key_;
  Json object_;
  std::string path_;
  int version_ = 7;
};

TEST_F(GatewayApiStatusTest, AClassIsAcceptedOutsideOfNamespaces) {
  Json object =
      ObjectOf("GatewayClass", "weft", R"({"controllerName": "weft.io/gateway-controller"})");
  // As the API's own definition defaults it.
  object["status"]["conditions"] = {{{"type", "Accepted"},
                                     {"status", "Unknown"},
                                     {"lastTransitionTime", "1970-01-01T00:00:00Z"}}};
  Put(object);
  const Json status = Written();
  EXPECT_EQ(path_, "/apis/gateway.networking.k8s.io/v1/gatewayclasses/weft/status");
  ASSERT_EQ(status["conditions"].size(), 1u);
  EXPECT_EQ(status["conditions"][0]["status"], "True");
  EXPECT_EQ(status["conditions"][0]["lastTransitionTime"], "2027-01-15T08:00:00Z");
  EXPECT_EQ(Written(), Json());
}

TEST_F(GatewayApiStatusTest, AGatewayTellsOfItsListenersAndAddresses) {
  ListenerStatus listener;
  listener.name = "http";
  listener.attached_routes = 1;
  listener.supported_kinds = {"HTTPRoute", "GRPCRoute"};
  listener.conditions = {{"Accepted", true, "Accepted"}, {"Conflicted", false, "NoConflicts"}};
  world_[1].listeners = {listener};
  world_[1].addresses = {"192.0.2.7", "gw.shop.svc.cluster.local"};
  Know();
  Put(ObjectOf("Gateway", "gw", R"({"gatewayClassName": "weft"})"));
  const Json status = Written();
  EXPECT_EQ(status["addresses"], Json::parse(R"([{"type": "IPAddress", "value": "192.0.2.7"},
      {"type": "Hostname", "value": "gw.shop.svc.cluster.local"}])"));
  ASSERT_EQ(status["listeners"].size(), 1u);
  EXPECT_EQ(status["listeners"][0]["attachedRoutes"], 1);
  EXPECT_EQ(status["listeners"][0]["supportedKinds"][1],
            Json::parse(R"({"group": "gateway.networking.k8s.io", "kind": "GRPCRoute"})"));
  EXPECT_EQ(status["listeners"][0]["conditions"][1]["reason"], "NoConflicts");
  EXPECT_EQ(status["conditions"][1]["observedGeneration"], 2);
  EXPECT_EQ(Written(), Json());
  world_[1].listeners[0].attached_routes = 2;
  Know();
  EXPECT_EQ(Written()["listeners"][0]["attachedRoutes"], 2);
}

TEST_F(GatewayApiStatusTest, ARouteTellsOfItsParentsAndLeavesThoseOfOthers) {
  Json object = RouteObject();
  const Json theirs = Json::parse(R"({"parentRef": {"name": "other"}, "controllerName": "else.io/c",
      "conditions": [{"type": "Accepted", "status": "False", "more": [1]}]})");
  const Json gone = Json::parse(R"({"parentRef": {"name": "gone"},
      "controllerName": "weft.io/gateway-controller", "conditions": []})");
  object["status"]["parents"] = {gone, theirs};
  Put(object);
  const Json parents = Written()["parents"];
  ASSERT_EQ(parents.size(), 2u);
  EXPECT_EQ(parents[0], theirs);
  EXPECT_EQ(parents[1]["controllerName"], "weft.io/gateway-controller");
  EXPECT_EQ(
      parents[1]["parentRef"],
      Json::parse(R"({"group": "gateway.networking.k8s.io", "kind": "Gateway", "name": "gw"})"));
  EXPECT_EQ(parents[1]["conditions"][1]["reason"], "BackendNotFound");
  EXPECT_EQ(Written(), Json());
}

TEST_F(GatewayApiStatusTest, WhatIsAttachedNoMoreSaysNothingOfUs) {
  Put(RouteObject());
  ASSERT_EQ(Written()["parents"].size(), 1u);
  world_.erase(world_.begin() + 1, world_.end());
  Know();
  EXPECT_EQ(Written()["parents"], Json::array());
  EXPECT_EQ(Written(), Json());
}

TEST_F(GatewayApiStatusTest, ObjectsOfOthersAreLeftAlone) {
  Json gateway = ObjectOf("Gateway", "theirs", R"({"gatewayClassName": "theirs"})");
  gateway["status"]["conditions"] = {{{"type", "Accepted"}, {"status", "True"}}};
  Put(gateway);
  EXPECT_EQ(Written(), Json());
  Put(gateway, {ErrorIn({kGateway.kind, "shop", "theirs"})});
  EXPECT_EQ(Written(), Json());
  Put(ObjectOf("HTTPRoute", "theirs", R"({"parentRefs": [{"name": "theirs"}]})"));
  EXPECT_EQ(Written(), Json());
}

TEST_F(GatewayApiStatusTest, WhatIsNotSupportedIsSaidToTheParentsThatAreOurs) {
  const ObjectKey key = {kRoute.kind, "shop", "new"};
  Put(ObjectOf("HTTPRoute", "new", R"({"parentRefs": [{"name": "gw", "sectionName": "a"},
                                                      {"name": "gw", "namespace": "other"}]})"),
      {ErrorIn(key)});
  const Json parents = Written()["parents"];
  ASSERT_EQ(parents.size(), 1u);
  EXPECT_EQ(parents[0]["parentRef"]["sectionName"], "a");
  const Json& accepted = parents[0]["conditions"][0];
  EXPECT_EQ(accepted["reason"], "UnsupportedValue");
  EXPECT_EQ(accepted["observedGeneration"], 2);
  EXPECT_THAT(accepted["message"].get<std::string>(), HasSubstr("filters[0].extensionRef: is not"));

  Put(ObjectOf("Gateway", "gw", R"({"gatewayClassName": "weft"})"), {ErrorIn(kGateway)});
  const Json conditions = Written()["conditions"];
  EXPECT_EQ(conditions[0]["reason"], "Invalid");
  EXPECT_EQ(conditions[1]["status"], "True") << "its last good form serves";
}

TEST_F(GatewayApiStatusTest, ProxiesThatRefuseARouteAreQuoted) {
  Put(RouteObject());
  Written();
  book_.OnProxies({{"router~10.0.0.1~gw.shop",
                    "route configuration 'http.80': no "
                    "(/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproute/web)"}});
  const Json conditions = Written()["parents"][0]["conditions"];
  EXPECT_EQ(conditions[2]["type"], "Programmed");
  EXPECT_EQ(conditions[2]["status"], "False");
  EXPECT_THAT(conditions[2]["message"].get<std::string>(), HasSubstr("1 proxy refuses"));
  book_.OnProxies({});
  EXPECT_EQ(Written()["parents"][0]["conditions"].size(), 2u);
}

TEST_F(GatewayApiStatusTest, NothingIsWrittenBeforeTheWorldIsKnown) {
  book_ = StatusBook();
  Json object = RouteObject();
  object["status"]["parents"] = Json::parse(
      R"([{"parentRef": {"name": "gw"}, "controllerName": "weft.io/gateway-controller"}])");
  Put(object);
  EXPECT_EQ(Written(), Json());
  Know();
  EXPECT_EQ(Written()["parents"].size(), 1u);
}

}  // namespace
}  // namespace weft
