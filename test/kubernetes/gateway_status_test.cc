// What weftd says of the Gateway API's objects, as whoever runs kubectl sees it.
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "test/kubernetes/cluster.h"

namespace weft::test {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;

constexpr char kGateways[] = "gateways.gateway.networking.k8s.io";
constexpr char kRoutes[] = "httproutes.gateway.networking.k8s.io";

constexpr char kMesh[] = R"(
apiVersion: gateway.networking.k8s.io/v1
kind: GatewayClass
metadata: {name: weft}
spec: {controllerName: weft.io/gateway-controller}
---
apiVersion: gateway.networking.k8s.io/v1
kind: Gateway
metadata: {name: gw, namespace: default}
spec:
  gatewayClassName: weft
  listeners:
  - {name: http, port: 80, protocol: HTTP, hostname: "*.example.com"}
  - {name: again, port: 80, protocol: HTTP, hostname: "*.example.com"}
---
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
)";

constexpr char kRoute[] = R"(
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: {name: NAME, namespace: default}
spec:
  parentRefs: [{name: gw}]
  hostnames: [web.example.com]
  rules: [{backendRefs: [{name: web, port: 80}]}]
)";

// What differs from kRoute.
std::string RouteYaml(const std::string& name, const std::string& part = "",
                      const std::string& with = "") {
  std::string yaml = absl::StrReplaceAll(kRoute, {{"NAME", name}});
  return part.empty() ? yaml : absl::StrReplaceAll(yaml, {{part, with}});
}

class GatewayStatusTest : public testing::Test {
 protected:
  GatewayStatusTest() {
    EXPECT_TRUE(server()
                    .Put({{"apiVersion", "v1"},
                          {"kind", "Namespace"},
                          {"metadata", {{"name", "weft-system"}}}})
                    .ok());
    cluster_.Out({"apply", "-f", "-"}, kMesh);
    cluster_.Out({"apply", "-f", "-"}, RouteYaml("web"));
    weftd_ = cluster_.StartWeftd();
  }

  apiserver::ApiServer& server() { return cluster_.server(); }

  Json StatusOf(const char* resource, const std::string& name) {
    const auto object = server().Get(resource, "default", name);
    return object.ok() ? object->value("status", Json::object()) : Json();
  }
  // "Accepted=True/Accepted ResolvedRefs=False/BackendNotFound", of the parent that is ours.
  std::string ParentOf(const std::string& name) {
    std::string text;
    for (const Json& parent : StatusOf(kRoutes, name).value("parents", Json::array())) {
      if (parent["controllerName"] != "weft.io/gateway-controller") continue;
      for (const Json& condition : parent["conditions"]) {
        absl::StrAppend(&text, text.empty() ? "" : " ", condition["type"].get<std::string>(), "=",
                        condition["status"].get<std::string>(), "/",
                        condition["reason"].get<std::string>());
      }
    }
    return text;
  }
  void ExpectParent(const std::string& name, const std::string& expected) {
    EXPECT_TRUE(Eventually([&] { return ParentOf(name) == expected; })) << ParentOf(name);
  }

  Cluster cluster_;
  std::unique_ptr<Weftd> weftd_;
};

constexpr char kFine[] = "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs";

TEST_F(GatewayStatusTest, KubectlWaitsForAGatewayAndShowsItsAddress) {
  cluster_.Out({"wait", "--for=condition=Accepted", "gatewayclass/weft", "--timeout=20s"});
  cluster_.Out(
      {"wait", "--for=condition=Programmed", absl::StrCat(kGateways, "/gw"), "--timeout=20s"});
  ASSERT_TRUE(server()
                  .Put(Json::parse(R"({"apiVersion": "v1", "kind": "Service",
      "metadata": {"name": "ingress", "namespace": "default"},
      "spec": {"type": "LoadBalancer", "ports": [{"name": "http", "port": 80}],
               "selector": {"gateway.networking.k8s.io/gateway-name": "gw"}},
      "status": {"loadBalancer": {"ingress": [{"ip": "192.0.2.7"}]}}})"))
                  .ok());
  EXPECT_TRUE(Eventually([&] {
    return StatusOf(kGateways, "gw").value("addresses", Json()) ==
           Json::parse(R"([{"type": "IPAddress", "value": "192.0.2.7"}])");
  })) << StatusOf(kGateways, "gw");
  EXPECT_THAT(cluster_.Out({"get", kGateways, "gw", "--no-headers"}),
              MatchesRegex("gw +weft +192\\.0\\.2\\.7 +True +[0-9]+s\n"));
  EXPECT_THAT(cluster_.Out({"get", "gatewayclass", "--no-headers"}),
              MatchesRegex("weft +weft\\.io/gateway-controller +True +[0-9]+s\n"));
}

TEST_F(GatewayStatusTest, EachListenerSaysWhatBecameOfIt) {
  ExpectParent("web", kFine);
  ASSERT_TRUE(Eventually([&] {
    return StatusOf(kGateways, "gw").value("/listeners/0/attachedRoutes"_json_pointer, 0) == 1;
  }));
  const Json status = StatusOf(kGateways, "gw");
  ASSERT_EQ(status["listeners"].size(), 2u);
  EXPECT_EQ(status["listeners"][0]["supportedKinds"][0]["kind"], "HTTPRoute");
  EXPECT_THAT(status["listeners"][1]["conditions"].dump(),
              AllOf(HasSubstr("HostnameConflict"), HasSubstr("\"observedGeneration\":1")));
  EXPECT_EQ(status["conditions"][0]["reason"], "ListenersNotValid");
}

TEST_F(GatewayStatusTest, ARouteSaysWhyItIsNotAttachedOrLeadsNowhere) {
  const struct {
    const char* part;
    const char* with;
    const char* expected;
  } rows[] = {
      {"{name: gw}", "{name: gw, sectionName: none}",
       "Accepted=False/NoMatchingParent ResolvedRefs=True/ResolvedRefs"},
      {"web.example.com", "example.net",
       "Accepted=False/NoMatchingListenerHostname ResolvedRefs=True/ResolvedRefs"},
      {"name: web, port: 80", "name: gone, port: 80",
       "Accepted=True/Accepted ResolvedRefs=False/BackendNotFound"},
      {"name: web, port: 80", "name: web, port: 80, kind: Pod",
       "Accepted=True/Accepted ResolvedRefs=False/InvalidKind"},
      {"name: web, port: 80", "name: web, port: 80, namespace: weft-system",
       "Accepted=True/Accepted ResolvedRefs=False/RefNotPermitted"},
      {"rules: [{",
       "rules: [{filters: [{type: ExtensionRef, extensionRef: {group: a, kind: B, "
       "name: c}}], ",
       "Accepted=False/UnsupportedValue"},
  };
  for (const auto& row : rows) {
    cluster_.Out({"apply", "-f", "-"}, RouteYaml("r", row.part, row.with));
    ExpectParent("r", row.expected);
  }
  cluster_.Out({"apply", "-f", "-"}, RouteYaml("r"));
  ExpectParent("r", kFine);
}

TEST_F(GatewayStatusTest, WhatOtherControllersSayStaysAndNothingIsWrittenTwice) {
  ExpectParent("web", kFine);
  auto route = server().Get(kRoutes, "default", "web");
  ASSERT_TRUE(route.ok());
  const Json theirs =
      Json::parse(R"({"parentRef": {"name": "theirs"}, "controllerName": "else.io/c",
      "conditions": [{"type": "Accepted", "status": "False", "reason": "No", "message": ""}]})");
  (*route)["status"]["parents"].push_back(theirs);
  ASSERT_TRUE(server().Put(*route).ok());
  cluster_.Out({"delete", "service", "web"});
  ExpectParent("web", "Accepted=True/Accepted ResolvedRefs=False/BackendNotFound");
  EXPECT_EQ(StatusOf(kRoutes, "web")["parents"][1], theirs);

  const auto version = [&] {
    return (*server().Get(kRoutes, "default", "web"))["metadata"]["resourceVersion"];
  };
  const Json before = version();
  cluster_.Out({"apply", "-f", "-"}, RouteYaml("later"));
  ExpectParent("later", "Accepted=True/Accepted ResolvedRefs=False/BackendNotFound");
  EXPECT_EQ(version(), before);

  cluster_.Out({"delete", kGateways, "gw"});
  ExpectParent("web", "");
  EXPECT_EQ(StatusOf(kRoutes, "web")["parents"], Json::array({theirs}));
}

}  // namespace
}  // namespace weft::test
