#include "controlplane/status/status_book.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using Json = nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
const ObjectKey kWeb = {"VirtualService", "shop", "web"};

Json WebObject() {
  return Json::parse(R"({"apiVersion": "networking.istio.io/v1", "kind": "VirtualService",
      "metadata": {"name": "web", "namespace": "shop", "resourceVersion": "7", "generation": 3},
      "spec": {"hosts": ["web"]}})");
}

Problem ProblemOf(Severity severity, const std::string& field, const std::string& message,
                  ObjectKey key = kWeb) {
  return {severity, "", std::move(key), "", field, message};
}

class StatusBookTest : public testing::Test {
 protected:
  StatusBookTest() { book_.OnWorld({}); }

  void Put(const Json& object, const std::vector<Problem>& problems = {}) {
    object_ = object;
    const auto document = YamlDocument::ParseJson(object.dump()).value();
    const ParsedObject parsed = ReadJsonObject({document, document->root()}, "", "", "server");
    ASSERT_NE(parsed.object, nullptr) << parsed.problem.message;
    book_.OnObjects({{parsed.object->key, parsed.object}}, problems);
  }

  // What is written next, as `type=status/reason` of ours and of others; "" if nothing.
  std::string Written() {
    const auto write = book_.Next(kNow);
    if (!write.has_value()) return "";
    write_ = *write;
    patch_ = Json::parse(write->body);
    std::string text;
    for (const Json& condition : patch_["status"]["conditions"]) {
      absl::StrAppend(&text, text.empty() ? "" : " ", condition["type"].get<std::string>(), "=",
                      condition["status"].get<std::string>(), "/", condition.value("reason", ""));
    }
    return text;
  }
  std::string Message(const std::string& type) {
    for (const Json& condition : patch_["status"]["conditions"]) {
      if (condition["type"] == type) return condition["message"];
    }
    return "(none)";
  }
  // The server takes the write, and its watch tells of it.
  void Store() {
    object_.merge_patch(patch_);
    object_["metadata"]["resourceVersion"] = std::to_string(++version_);
    book_.OnWritten(write_.key, object_.dump());
    Put(object_, problems_);
  }

  StatusBook book_;
  StatusBook::Write write_;
  Json patch_;
  Json object_;
  std::vector<Problem> problems_;
  int version_ = 7;
};

constexpr char kFine[] = "Accepted=True/Accepted ResolvedRefs=True/ResolvedRefs";

TEST_F(StatusBookTest, SaysThatAnObjectIsAcceptedOnce) {
  Put(WebObject());
  EXPECT_EQ(Written(), kFine);
  EXPECT_EQ(write_.path, "/apis/networking.istio.io/v1/namespaces/shop/virtualservices/web/status");
  EXPECT_EQ(patch_["metadata"]["resourceVersion"], "7");
  EXPECT_EQ(patch_["status"]["conditions"][0]["observedGeneration"], 3);
  EXPECT_EQ(patch_["status"]["conditions"][0]["lastTransitionTime"], "2027-01-15T08:00:00Z");
  EXPECT_EQ(Written(), "");
  Store();
  EXPECT_EQ(Written(), "");
  book_.LookAtAll();
  EXPECT_EQ(Written(), "");
}

TEST_F(StatusBookTest, NamesTheFieldOfWhatCannotBeUsed) {
  Put(WebObject(), {ProblemOf(Severity::kError, "spec.http[0].timeout", "not a duration: \"5\""),
                    ProblemOf(Severity::kWarning, "spec.http[0].statPrefix", "has no effect")});
  EXPECT_EQ(Written(), "Accepted=False/Invalid ResolvedRefs=True/ResolvedRefs");
  EXPECT_THAT(Message("Accepted"), AllOf(HasSubstr("spec.http[0].timeout: not a duration: \"5\""),
                                         HasSubstr("last good form")));
  Store();
  Put(object_);  // mended
  EXPECT_EQ(Written(), kFine);
}

TEST_F(StatusBookTest, TheTimeIsThatOfTheTurn) {
  Put(WebObject());
  ASSERT_EQ(Written(), kFine);
  for (Json& condition : patch_["status"]["conditions"]) {
    condition["lastTransitionTime"] = "2026-01-01T00:00:00Z";
  }
  Store();
  object_["metadata"]["generation"] = 4;
  Put(object_, {ProblemOf(Severity::kWarning, "spec.x", "has no effect")});
  EXPECT_EQ(Written(), "Accepted=True/AcceptedWithWarnings ResolvedRefs=True/ResolvedRefs");
  EXPECT_EQ(patch_["status"]["conditions"][0]["lastTransitionTime"], "2026-01-01T00:00:00Z");
  EXPECT_EQ(patch_["status"]["conditions"][0]["observedGeneration"], 4);
  Put(object_, {ProblemOf(Severity::kError, "spec.x", "is wrong")});
  Written();
  EXPECT_EQ(patch_["status"]["conditions"][0]["lastTransitionTime"], "2027-01-15T08:00:00Z");
}

TEST_F(StatusBookTest, KeepsTheConditionsOfOthers) {
  Json object = WebObject();
  object["status"] = Json::parse(
      R"({"conditions": [{"type": "Reconciled", "status": "True", "observedGeneration": 2,
                          "more": {"a": [1, null, true, "b"]}},
                         {"type": "Accepted", "status": "Unknown"}], "phase": "x"})");
  Put(object);
  EXPECT_EQ(Written(), absl::StrCat("Reconciled=True/ ", kFine));
  EXPECT_EQ(patch_["status"]["conditions"][0], object["status"]["conditions"][0]);
  Store();
  EXPECT_EQ(object_["status"]["phase"], "x");
  EXPECT_EQ(Written(), "");
}

TEST_F(StatusBookTest, FindingsOfTheWholeComeAndGo) {
  Put(WebObject());
  Written();
  Store();
  StatusBook::Findings findings;
  findings.references = {ProblemOf(Severity::kError, "spec.http[0].route[0].destination.host",
                                   "Referenced host not found: \"x\"")};
  findings.conflicts = {ProblemOf(Severity::kWarning, "spec.hosts[0]", "\"web\" is routed by …")};
  findings.others = {
      ProblemOf(Severity::kError, "", "nothing of ours", {"Service", "shop", "web"})};
  book_.OnWorld(findings);
  EXPECT_EQ(Written(),
            "Accepted=True/Accepted ResolvedRefs=False/RefNotFound Conflicted=True/HostTaken");
  EXPECT_THAT(Message("ResolvedRefs"), HasSubstr("destination.host: Referenced host not found"));
  Store();
  book_.OnWorld(findings);
  EXPECT_EQ(Written(), "");
  book_.OnWorld({});
  EXPECT_EQ(Written(), kFine);
}

TEST_F(StatusBookTest, QuotesTheProxiesThatRefuse) {
  Put(WebObject());
  Written();
  Store();
  std::vector<ProxyRefusal> refusals;
  for (int i = 0; i < 5; ++i) {
    refusals.push_back({absl::StrCat("sidecar~10.0.0.", i),
                        "cluster 'outbound|80||web.shop.svc.cluster.local': no"});
  }
  refusals.push_back({"other", "cluster 'outbound|80||web.shop.svc.cluster.local.test': no"});
  refusals.push_back({"other", "cluster 'outbound|80||my-web.shop.svc.cluster.local': no"});
  book_.OnProxies(refusals);
  EXPECT_EQ(Written(), absl::StrCat(kFine, " Programmed=False/RefusedByProxies"));
  EXPECT_THAT(Message("Programmed"),
              AllOf(HasSubstr("5 proxies refuse"), HasSubstr("sidecar~10.0.0.2: cluster"),
                    Not(HasSubstr("sidecar~10.0.0.3")), Not(HasSubstr("other"))));
  Store();
  book_.OnProxies(refusals);
  EXPECT_EQ(Written(), "");
  book_.OnProxies({});
  EXPECT_EQ(Written(), kFine);
}

TEST_F(StatusBookTest, AServiceExportHasTheConditionsOfItsOwnApi) {
  Json object = WebObject();
  object["apiVersion"] = "multicluster.x-k8s.io/v1alpha1";
  object["kind"] = "ServiceExport";
  object["spec"] = Json::object();
  Put(object);
  EXPECT_EQ(Written(), "") << "nothing is known of it yet";
  StatusBook::Findings findings;
  findings.exports = {{{"ServiceExport", "shop", "web"},
                       3,
                       {{"Valid", true, "Valid"},
                        {"Ready", true, "Exported"},
                        {"Conflict", true, "PortConflict", "cluster west has port 81"}}}};
  book_.OnWorld(findings);
  EXPECT_EQ(Written(), "Valid=True/Valid Ready=True/Exported Conflict=True/PortConflict");
  EXPECT_EQ(write_.path,
            "/apis/multicluster.x-k8s.io/v1alpha1/namespaces/shop/serviceexports/web/status");
  EXPECT_EQ(Message("Conflict"), "cluster west has port 81");
  book_.OnWorld(findings);
  EXPECT_EQ(Written(), "");
}

TEST_F(StatusBookTest, SaysHowFarAnObjectIsInOtherClusters) {
  Put(WebObject());
  Written();
  Store();
  DistributionStatus status;
  status.condition = {"Distributed", false, "InProgress", "wave 1 of 2: west: was told"};
  book_.OnDistribution({{kWeb, status}});
  EXPECT_EQ(Written(), absl::StrCat(kFine, " Distributed=False/InProgress"));
  EXPECT_EQ(Message("Distributed"), "wave 1 of 2: west: was told");
  Store();
  book_.OnDistribution({{kWeb, status}});
  EXPECT_EQ(Written(), "");
  // It is not marked any more.
  book_.OnDistribution({});
  EXPECT_EQ(Written(), kFine);
}

TEST_F(StatusBookTest, AConflictIsTriedWithTheNewerObject) {
  Put(WebObject());
  ASSERT_EQ(Written(), kFine);
  book_.OnNotWritten(kWeb);
  Json changed = object_;
  changed["metadata"]["resourceVersion"] = "8";
  Put(changed);
  EXPECT_EQ(Written(), kFine);
  EXPECT_EQ(patch_["metadata"]["resourceVersion"], "8");
  EXPECT_EQ(Written(), "");
}

TEST_F(StatusBookTest, HasNothingToSayOfOtherKindsAndOfWhatIsGone) {
  Json service = WebObject();
  service["apiVersion"] = "v1";
  service["kind"] = "Service";
  Put(service);
  EXPECT_EQ(Written(), "");
  Put(WebObject());
  book_.OnObjects({{kWeb, nullptr}}, {ProblemOf(Severity::kError, "", "late")});
  book_.OnNotWritten(kWeb);
  EXPECT_EQ(Written(), "");
}

const ObjectKey kEast = {"Link.weft.io", "", "east"};

Json LinkObject() {
  return Json::parse(R"({"apiVersion": "weft.io/v1alpha1", "kind": "Link",
      "metadata": {"name": "east", "resourceVersion": "7", "generation": 1},
      "spec": {"tokenSecretRef": {"name": "to-east"}}})");
}

TEST_F(StatusBookTest, ALinkIsAcceptedWhenItIsJoinedAndThenConnectedOrNot) {
  Put(LinkObject());
  EXPECT_EQ(Written(), "");  // nobody has said yet whether it is joined
  LinkReport report;
  report.cluster = "east";
  book_.OnLinks({report});
  EXPECT_EQ(Written(), "Accepted=False/Joining");
  EXPECT_EQ(write_.path, "/apis/weft.io/v1alpha1/links/east/status");
  report.trouble = "Secret weft-system/to-east: is not there";
  book_.OnLinks({report});
  EXPECT_EQ(Written(), "Accepted=False/NotJoined");
  EXPECT_EQ(Message("Accepted"), report.trouble);
  report = LinkReport();
  report.cluster = "east";
  report.joined = true;
  report.last_error = "TLS with 192.0.2.1: no";
  book_.OnLinks({report});
  EXPECT_EQ(Written(), "Accepted=True/Accepted Connected=False/NotConnected");
  EXPECT_EQ(Message("Connected"), report.last_error);
  EXPECT_EQ(patch_["status"]["lastError"], report.last_error);
  Store();
  EXPECT_EQ(Written(), "");
  report.last_error.clear();
  report.connected = true;
  report.services = 12;
  book_.OnLinks({report});
  EXPECT_EQ(Written(), "Accepted=True/Accepted Connected=True/Connected");
  EXPECT_TRUE(patch_["status"]["lastError"].is_null());
  EXPECT_EQ(patch_["status"]["services"], 12);
  Store();
  book_.OnLinks({report});
  book_.LookAtAll();
  EXPECT_EQ(Written(), "");
}

TEST_F(StatusBookTest, ALinkThatCannotBeUsedSaysItsFieldWhateverItsLastGoodFormDoes) {
  Put(LinkObject(), {ProblemOf(Severity::kError, "spec.roots", "is missing", kEast)});
  EXPECT_EQ(Written(), "Accepted=False/Invalid");
  LinkReport report;
  report.cluster = "east";
  report.joined = true;
  report.connected = true;
  book_.OnLinks({report});
  EXPECT_EQ(Written(), "Accepted=False/Invalid Connected=True/Connected");
  EXPECT_THAT(Message("Accepted"), HasSubstr("spec.roots: is missing"));
}

// Foreign bytes and long lists are written once, not over and over.
TEST_F(StatusBookTest, KnowsAgainWhatItWrote) {
  problems_ = {ProblemOf(Severity::kError, "spec.hosts[0]", std::string("bad \xff\xfe byte")),
               ProblemOf(Severity::kError, "spec.x", std::string(5000, 'x') + "\xc3\xa4")};
  Put(WebObject(), problems_);
  EXPECT_THAT(Written(), HasSubstr("Accepted=False/Invalid"));
  EXPECT_LT(Message("Accepted").size(), 2100u);
  Store();
  EXPECT_EQ(Written(), "");
}

}  // namespace
}  // namespace weft
