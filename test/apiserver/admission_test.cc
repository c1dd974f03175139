#include "test/apiserver/admission.h"

#include "absl/strings/escaping.h"
#include "gtest/gtest.h"

namespace weft::apiserver {
namespace {

std::shared_ptr<const Resource> Routes() {
  Resource routes;
  routes.group = "networking.istio.io";
  routes.versions = {"v1", "v1beta1"};
  routes.plural = "virtualservices";
  routes.kind = "VirtualService";
  routes.status = true;
  return std::make_shared<const Resource>(routes);
}

Attempt CreateRoute() {
  Attempt attempt;
  attempt.operation = "CREATE";
  attempt.target.resource = Routes();
  attempt.target.version = "v1beta1";
  attempt.target.ns = "shop";
  attempt.object = Json::parse(R"({"apiVersion":"networking.istio.io/v1beta1",
      "kind":"VirtualService","metadata":{"name":"r","labels":{"a":"1"}}})");
  return attempt;
}

Json Configuration(const std::string& rest) {
  return Json::parse(R"({"webhooks":[{"name":"w.test","rules":[{"operations":["CREATE"],
      "apiGroups":["networking.istio.io"],"apiVersions":["v1"],"resources":["virtualservices"]}])" +
                     rest + "}]}");
}

TEST(MatchingWebhooks, LookAtRulesAndSelectors) {
  struct Case {
    const char* what;
    const char* pointer;  // of the webhook, with what is put there
    const char* value;
    bool matches;
  };
  const Case cases[] = {
      {"as it is, in an equivalent version", "/x", "null", true},
      {"only this version", "/matchPolicy", R"("Exact")", false},
      {"another operation", "/rules/0/operations", R"(["UPDATE"])", false},
      {"any operation", "/rules/0/operations", R"(["*"])", true},
      {"another group", "/rules/0/apiGroups", R"([""])", false},
      {"any resource", "/rules/0/resources", R"(["*"])", true},
      {"its subresources only", "/rules/0/resources", R"(["virtualservices/*"])", false},
      {"cluster-wide kinds only", "/rules/0/scope", R"("Cluster")", false},
      {"the namespace's labels", "/namespaceSelector", R"({"matchLabels":{"mesh":"on"}})", true},
      {"other labels", "/namespaceSelector", R"({"matchLabels":{"mesh":"off"}})", false},
      {"the object's labels", "/objectSelector", R"({"matchLabels":{"a":"1"}})", true},
      {"not these", "/objectSelector",
       R"({"matchExpressions":[{"key":"a","operator":"DoesNotExist"}]})", false},
  };
  for (const Case& c : cases) {
    Json configuration = Configuration("");
    configuration["webhooks"][0][Json::json_pointer(c.pointer)] = Json::parse(c.value);
    const auto matching = MatchingWebhooks(configuration, CreateRoute(), {{"mesh", "on"}});
    EXPECT_EQ(!matching.empty(), c.matches) << c.what;
  }
}

TEST(AdmissionReview, AsksInTheVersionOfTheRule) {
  const Attempt attempt = CreateRoute();
  const auto matching = MatchingWebhooks(Configuration(""), attempt, {});
  ASSERT_EQ(matching.size(), 1u);
  const Json request = AdmissionReviewOf(attempt, matching[0], "u-1")["request"];
  EXPECT_EQ(request["uid"], "u-1");
  EXPECT_EQ(request["kind"]["version"], "v1");
  EXPECT_EQ(request["object"]["apiVersion"], "networking.istio.io/v1");
  EXPECT_EQ(request["requestKind"]["version"], "v1beta1");
  EXPECT_EQ(request["resource"]["resource"], "virtualservices");
  EXPECT_EQ(request["namespace"], "shop");
  EXPECT_EQ(request["name"], "r");
  EXPECT_TRUE(request["oldObject"].is_null());
}

Json Review(const Json& response) {
  Json review = {{"apiVersion", "admission.k8s.io/v1"}, {"kind", "AdmissionReview"}};
  review["response"] = response;
  review["response"]["uid"] = "u";
  return review;
}

TEST(ReadVerdict, PhrasesRefusalsAsKubernetesDoes) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"allowed":false})", "admission webhook \"w\" denied the request without explanation"},
      {R"({"allowed":false,"status":{"message":"no"}})",
       "admission webhook \"w\" denied the request: no"},
      {R"({"allowed":false,"status":{"reason":"Forbidden"}})",
       "admission webhook \"w\" denied the request: Forbidden"},
  };
  for (const auto& [response, message] : cases) {
    std::string wrong;
    const auto verdict = ReadVerdict(Review(Json::parse(response)).dump(), "w", "u", wrong);
    ASSERT_TRUE(verdict.has_value() && verdict->refusal.has_value()) << response;
    EXPECT_EQ(verdict->refusal->message, message);
    EXPECT_EQ(verdict->refusal->code, 400);
  }
}

TEST(ReadVerdict, TakesNoAnswerToSomethingElse) {
  std::string wrong;
  const std::string patch = absl::Base64Escape(R"([{"op":"remove","path":"/x"}])");
  const Json patched = {{"allowed", true}, {"patchType", "JSONPatch"}, {"patch", patch}};
  EXPECT_TRUE(ReadVerdict(Review(patched).dump(), "w", "u", wrong)->patch.is_array());
  EXPECT_FALSE(ReadVerdict(Review(patched).dump(), "w", "other", wrong).has_value());
  EXPECT_EQ(wrong, "expected response.uid=\"other\", got \"u\"");
  EXPECT_FALSE(ReadVerdict("<html>", "w", "u", wrong).has_value());
  Json old = Review(patched);
  old["apiVersion"] = "admission.k8s.io/v1beta1";
  EXPECT_FALSE(ReadVerdict(old.dump(), "w", "u", wrong).has_value());
  Json merge = patched;
  merge["patchType"] = "MergePatch";
  EXPECT_FALSE(ReadVerdict(Review(merge).dump(), "w", "u", wrong).has_value());
}

}  // namespace
}  // namespace weft::apiserver
