// What API servers are answered, from review to review, without a socket.
#include "controlplane/webhook/admission.h"

#include <map>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "controlplane/webhook/inject_review.h"
#include "controlplane/webhook/validate_review.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft::webhook {
namespace {

using Json = nlohmann::json;
using Labels = std::map<std::string, std::string>;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

Json Review(const Json& object, const std::string& group, const std::string& version,
            const std::string& kind, const std::string& operation = "CREATE") {
  return {{"apiVersion", "admission.k8s.io/v1"},
          {"kind", "AdmissionReview"},
          {"request",
           {{"uid", "u-1"},
            {"kind", {{"group", group}, {"version", version}, {"kind", kind}}},
            {"resource", {{"group", group}, {"version", version}, {"resource", "x"}}},
            {"name", object.contains("metadata") ? object["metadata"].value("name", "") : ""},
            {"namespace", "shop"},
            {"operation", operation},
            {"object", object},
            {"dryRun", true}}}};
}

AdmissionRequest Read(const Json& review) {
  auto request = ReadAdmissionReview(review.dump());
  EXPECT_TRUE(request.ok()) << request.status();
  return request.ok() ? *std::move(request) : AdmissionRequest();
}

// ---- Validation.

Json VirtualService(const char* spec) {
  return {{"apiVersion", "networking.istio.io/v1"},
          {"kind", "VirtualService"},
          {"metadata", {{"name", "web"}, {"namespace", "shop"}}},
          {"spec", Json::parse(spec)}};
}

AdmissionAnswer Validated(const Json& object, const std::string& operation = "CREATE") {
  const std::string api_version = object["apiVersion"];
  const size_t slash = api_version.find('/');
  return AnswerValidate(Read(Review(object, api_version.substr(0, slash),
                                    api_version.substr(slash + 1), object["kind"], operation)));
}

constexpr char kGood[] = R"({"hosts":["web"],"http":[{"route":[{"destination":{"host":"web"}}]}]})";

TEST(ValidateReview, NamesObjectFieldAndWayOut) {
  const struct {
    const char* spec;
    const char* message;
  } cases[] = {
      {R"({"hosts":["web"],"http":[{"timout":"1s","route":[{"destination":{"host":"web"}}]}]})",
       "VirtualService shop/web: spec.http[0].timout: unknown field; did you mean 'timeout'?"},
      {R"({"hosts":["web"],"http":[{"timeout":"soon","route":[{"destination":{"host":"web"}}]}]})",
       "VirtualService shop/web: spec.http[0].timeout: "},
      {R"({"hosts":["we b"],"http":[{"route":[{"destination":{"host":"web"}}]}]})",
       "VirtualService shop/web: spec.hosts[0]: "},
      {R"({"hosts":"web"})", "VirtualService shop/web: spec.hosts: "},
  };
  for (const auto& c : cases) {
    const AdmissionAnswer answer = Validated(VirtualService(c.spec));
    EXPECT_FALSE(answer.allowed) << c.spec;
    EXPECT_THAT(answer.message, StartsWith(c.message));
  }
  EXPECT_TRUE(Validated(VirtualService(kGood)).allowed);
}

TEST(ValidateReview, AllowsWhatWouldOnlyDangle) {
  EXPECT_TRUE(
      Validated(VirtualService(
                    R"({"hosts":["x"],"http":[{"route":[{"destination":{"host":"nowhere"}}]}]})"))
          .allowed);
}

TEST(ValidateReview, AllowsDeletionsStatusAndWhatIsOnItsWayOut) {
  Json bad = VirtualService("{}");
  EXPECT_FALSE(Validated(bad).allowed);
  EXPECT_FALSE(Validated(bad, "UPDATE").allowed);
  EXPECT_TRUE(Validated(bad, "DELETE").allowed);
  EXPECT_TRUE(Validated(bad, "CONNECT").allowed);
  Json review = Review(bad, "networking.istio.io", "v1", "VirtualService", "UPDATE");
  review["request"]["subResource"] = "status";
  EXPECT_TRUE(AnswerValidate(Read(review)).allowed);
  bad["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z";
  EXPECT_TRUE(Validated(bad, "UPDATE").allowed);
}

TEST(ValidateReview, WarnsOfMeshKindsThatHaveNoEffectAndOfNoOthers) {
  const Json filter = {{"apiVersion", "networking.istio.io/v1alpha3"},
                       {"kind", "EnvoyFilter"},
                       {"metadata", {{"name", "f"}}}};
  const AdmissionAnswer answer = Validated(filter);
  EXPECT_TRUE(answer.allowed);
  EXPECT_THAT(answer.warnings, ElementsAre("EnvoyFilter shop/f: weftd does not act on this kind"));
  const Json widget = {
      {"apiVersion", "test.dev/v1"}, {"kind", "Widget"}, {"metadata", {{"name", "w"}}}};
  EXPECT_TRUE(Validated(widget).allowed);
  EXPECT_THAT(Validated(widget).warnings, ElementsAre());
}

TEST(ValidateReview, PassesWarningsOn) {
  const AdmissionAnswer answer = Validated(VirtualService(
      R"({"hosts":["web"],"http":[{"retries":{"attempts":1,"retryIgnorePreviousHosts":false},
          "route":[{"destination":{"host":"web"}}]}]})"));
  EXPECT_TRUE(answer.allowed) << answer.message;
  EXPECT_THAT(answer.warnings,
              ElementsAre(HasSubstr("spec.http[0].retries.retryIgnorePreviousHosts: ")));
}

TEST(ValidateReview, AnObjectWithoutANameYetHasTheBeginningOfOne) {
  Json object = VirtualService(kGood);
  object["metadata"] = {{"generateName", "web-"}};
  EXPECT_TRUE(Validated(object).allowed);
  object["spec"] = Json::object();
  EXPECT_THAT(Validated(object).message, StartsWith("VirtualService shop/web-: spec"));
}

TEST(ValidateReview, CutsTheListOfProblems) {
  std::string routes;
  for (int i = 0; i < 50; ++i) {
    absl::StrAppend(&routes, i == 0 ? "" : ",",
                    R"({"timeout":"soon","route":[{"destination":{"host":"web"}}]})");
  }
  const AdmissionAnswer answer =
      Validated(VirtualService(absl::StrCat(R"({"hosts":["web"],"http":[)", routes, "]}").c_str()));
  EXPECT_THAT(answer.message, HasSubstr("; and 40 more"));
}

// ---- Injection.

// With fields that weftd does not know, and items of lists that it must not mix up.
Json SomePod() {
  return Json::parse(R"({
    "apiVersion": "v1", "kind": "Pod",
    "metadata": {"name": "web-1", "labels": {"app": "web"}},
    "spec": {
      "tolerations": [{"key": "x"}],
      "initContainers": [{"name": "migrate", "image": "m", "volumeDevices": [{"name": "d"}]}],
      "containers": [{"name": "web", "image": "web", "tty": true,
                      "securityContext": {"runAsUser": 7, "seLinuxOptions": {"level": "s0"}}}],
      "volumes": [{"name": "data", "csi": {"driver": "d"}}]
    }})");
}

InjectConfig SomeConfig() {
  InjectConfig config;
  config.cluster = "east";
  config.discovery_address = "weftd.weft-system.svc:15012";
  return config;
}

AdmissionAnswer Injected(const Json& pod, const Labels& labels = {{"istio-injection", "enabled"}},
                         const InjectConfig& config = SomeConfig()) {
  return AnswerInject(Read(Review(pod, "", "v1", "Pod")), labels, config);
}

Json Patched(const Json& pod, const AdmissionAnswer& answer) {
  EXPECT_TRUE(answer.allowed) << answer.message;
  return answer.patch.empty() ? pod : pod.patch(Json::parse(answer.patch));
}

std::vector<std::string> Names(const Json& list) {
  std::vector<std::string> names;
  for (const Json& item : list) names.push_back(item["name"]);
  return names;
}

TEST(InjectReview, ThePatchAddsAndKeepsWhatItDoesNotKnow) {
  const Json pod = SomePod();
  const Json patched = Patched(pod, Injected(pod));
  EXPECT_THAT(Names(patched["spec"]["containers"]), ElementsAre("web", "weft-proxy"));
  EXPECT_THAT(Names(patched["spec"]["initContainers"]), ElementsAre("migrate", "weft-init"));
  EXPECT_THAT(Names(patched["spec"]["volumes"]), ElementsAre("data", "weft-token", "weft-ca-root"));
  EXPECT_EQ(patched["spec"]["containers"][0], pod["spec"]["containers"][0]);
  EXPECT_EQ(patched["spec"]["initContainers"][0], pod["spec"]["initContainers"][0]);
  EXPECT_EQ(patched["spec"]["volumes"][0], pod["spec"]["volumes"][0]);
  EXPECT_EQ(patched["spec"]["tolerations"], pod["spec"]["tolerations"]);
  EXPECT_FALSE(patched["metadata"].contains("namespace"));  // the server's to say
  // Numbers, as Kubernetes has them.
  EXPECT_EQ(patched["spec"]["containers"][1]["securityContext"]["runAsUser"], 1337);
  const Json& token =
      patched["spec"]["volumes"][1]["projected"]["sources"][0]["serviceAccountToken"];
  EXPECT_EQ(token["audience"], "weft-ca");
  EXPECT_EQ(token["expirationSeconds"], 12 * 3600);
  EXPECT_EQ(patched["spec"]["containers"][1]["readinessProbe"]["httpGet"]["port"], 15021);
}

TEST(InjectReview, TheTokenIsForTheAudienceThatWeftdReviews) {
  InjectConfig config = SomeConfig();
  config.token_audience = "istio-ca";
  const Json pod = SomePod();
  const Json patched = Patched(pod, Injected(pod, {{"istio-injection", "enabled"}}, config));
  EXPECT_EQ(
      patched["spec"]["volumes"][1]["projected"]["sources"][0]["serviceAccountToken"]["audience"],
      "istio-ca");
}

TEST(InjectReview, ANativeSidecarGoesBeforeOthersWithoutMixingThem) {
  InjectConfig config = SomeConfig();
  config.native_sidecar = true;
  const Json pod = SomePod();
  const Json patched = Patched(pod, Injected(pod, {{"istio-injection", "enabled"}}, config));
  EXPECT_THAT(Names(patched["spec"]["initContainers"]),
              ElementsAre("weft-init", "weft-proxy", "migrate"));
  EXPECT_EQ(patched["spec"]["initContainers"][2], pod["spec"]["initContainers"][0]);
  EXPECT_EQ(patched["spec"]["initContainers"][1]["restartPolicy"], "Always");
  EXPECT_EQ(patched["spec"]["containers"], pod["spec"]["containers"]);
}

TEST(InjectReview, AMinimalPodHasItsListsMade) {
  const Json pod = Json::parse(
      R"({"metadata":{"generateName":"web-"},"spec":{"containers":[{"name":"web"}],"volumes":null}})");
  const Json patched = Patched(pod, Injected(pod));
  EXPECT_THAT(Names(patched["spec"]["initContainers"]), ElementsAre("weft-init"));
  EXPECT_THAT(Names(patched["spec"]["volumes"]), ElementsAre("weft-token", "weft-ca-root"));
  std::string workload;
  for (const Json& variable : patched["spec"]["containers"][1]["env"]) {
    if (variable["name"] == "WEFT_WORKLOAD") workload = variable.value("value", "");
  }
  EXPECT_EQ(workload, "web");
}

TEST(InjectReview, Row107AnInjectedPodGetsNoPatchWhateverDefaultsItGot) {
  Json pod = Patched(SomePod(), Injected(SomePod()));
  EXPECT_EQ(Injected(pod).patch, "");
  pod["spec"]["containers"][1]["readinessProbe"]["successThreshold"] = 1;
  pod["spec"]["containers"][1]["readinessProbe"]["httpGet"]["scheme"] = "HTTP";
  pod["spec"]["volumes"][1]["projected"]["defaultMode"] = 420;
  EXPECT_EQ(Injected(pod).patch, "");
  // What only claims to be injected is injected.
  pod["spec"]["containers"].erase(1);
  EXPECT_NE(Injected(pod).patch, "");
}

TEST(InjectReview, LeavesAloneWhatIsNotAsked) {
  const Json pod = SomePod();
  EXPECT_EQ(Injected(pod, {}).patch, "");
  EXPECT_EQ(Injected(pod, {{"istio.io/rev", "canary"}}).patch, "");
  EXPECT_NE(Injected(pod, {{"istio.io/rev", "default"}}).patch, "");
  for (const char* operation : {"UPDATE", "DELETE"}) {
    const AdmissionAnswer answer = AnswerInject(Read(Review(pod, "", "v1", "Pod", operation)),
                                                {{"istio-injection", "enabled"}}, SomeConfig());
    EXPECT_TRUE(answer.allowed && answer.patch.empty()) << operation;
  }
  EXPECT_EQ(AnswerInject(Read(Review(pod, "", "v1", "Service")), {}, SomeConfig()).patch, "");
}

TEST(InjectReview, RefusesAPodThatContradictsItselfByName) {
  Json pod = SomePod();
  pod["metadata"]["annotations"]["traffic.sidecar.istio.io/excludeInboundPorts"] = "http";
  const AdmissionAnswer answer = Injected(pod);
  EXPECT_FALSE(answer.allowed);
  EXPECT_THAT(answer.message, AllOf(HasSubstr("Pod shop/web-1"), HasSubstr("excludeInboundPorts")));
  pod = SomePod();
  pod["spec"]["containers"] = "none";
  EXPECT_THAT(Injected(pod).message, HasSubstr("Pod shop/web-1: spec.containers"));
}

// ---- Reviews.

TEST(AdmissionReview, Row107EchoesTheUid) {
  AdmissionAnswer answer = Refuse("no \xff");
  answer.warnings = {"mind"};
  const Json review = Json::parse(WriteAdmissionReview("u-1", answer));
  EXPECT_EQ(review["apiVersion"], "admission.k8s.io/v1");
  EXPECT_EQ(review["kind"], "AdmissionReview");
  EXPECT_EQ(review["response"]["uid"], "u-1");
  EXPECT_EQ(review["response"]["allowed"], false);
  EXPECT_EQ(review["response"]["status"]["code"], 422);
  EXPECT_EQ(review["response"]["warnings"], Json::array({"mind"}));
  EXPECT_FALSE(review["response"].contains("patch"));
}

TEST(AdmissionReview, ThePatchIsBase64) {
  AdmissionAnswer answer;
  answer.patch = R"([{"op":"add","path":"/a","value":"?>"}])";
  const Json review = Json::parse(WriteAdmissionReview("u-1", answer));
  EXPECT_EQ(review["response"]["patchType"], "JSONPatch");
  std::string patch;
  ASSERT_TRUE(absl::Base64Unescape(review["response"]["patch"].get<std::string>(), &patch));
  EXPECT_EQ(patch, answer.patch);
}

TEST(AdmissionReview, Row106WhatIsNoReviewIsSaidToBeNone) {
  const auto change = [](const char* pointer, const Json& value) {
    Json review = Review(SomePod(), "", "v1", "Pod");
    review[Json::json_pointer(pointer)] = value;
    return review.dump();
  };
  const struct {
    std::string body;
    const char* message;
  } cases[] = {
      {"", "not JSON"},
      {"{", "not JSON"},
      {"[]", "no object"},
      {"{}", "expected AdmissionReview"},
      {change("/apiVersion", "admission.k8s.io/v1beta1"), "admission.k8s.io/v1beta1"},
      {change("/kind", "Pod"), "found Pod"},
      {change("/request", nullptr), "request: missing"},
      {change("/request/uid", nullptr), "request.uid: missing"},
      {change("/request/uid", ""), "request.uid: missing"},
      {change("/request/uid", 7), "request.uid: not a string"},
      {change("/request/uid", std::string(300, 'u')), "request.uid: too long"},
      {change("/request/kind", "Pod"), "request.kind.kind: missing"},
      {change("/request/operation", "create"), "request.operation: expected CREATE"},
      {change("/request/operation", nullptr), "request.operation: expected CREATE"},
      {change("/request/object", nullptr), "request.object: missing"},
      {change("/request/object", "pod"), "request.object: missing"},
      {change("/request/namespace", Json::array()), "request.namespace: not a string"},
      {absl::StrCat(std::string(1000, '['), std::string(1000, ']')), "not JSON"},
  };
  for (const auto& c : cases) {
    const auto request = ReadAdmissionReview(c.body);
    ASSERT_FALSE(request.ok()) << c.body;
    EXPECT_THAT(std::string(request.status().message()), HasSubstr(c.message)) << c.body;
  }
}

// Any prefix of a review, and any one byte of it made another, is an answer or an error.
TEST(AdmissionReview, Row106SurvivesWhatIsCutOrBent) {
  const std::string review = Review(SomePod(), "", "v1", "Pod").dump();
  for (size_t i = 0; i < review.size(); ++i) {
    EXPECT_FALSE(ReadAdmissionReview(review.substr(0, i)).ok()) << i;
    for (const char byte : {'\0', '"', '{', ']', '\xff', '9'}) {
      std::string bent = review;
      bent[i] = byte;
      const auto request = ReadAdmissionReview(bent);
      if (!request.ok()) continue;
      (void)AnswerInject(*request, {{"istio-injection", "enabled"}}, SomeConfig());
      (void)AnswerValidate(*request);
    }
  }
}

}  // namespace
}  // namespace weft::webhook
