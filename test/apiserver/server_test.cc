// The server over its protocol: lists, watches, conflicts, reviews, and every fault.
#include "test/apiserver/server.h"

#include <set>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/apiserver/client_for_test.h"

namespace weft::apiserver {
namespace {

constexpr char kConfigMaps[] = "/api/v1/namespaces/default/configmaps";

Json Map(const std::string& name, const std::string& value = "") {
  return {{"apiVersion", "v1"},
          {"kind", "ConfigMap"},
          {"metadata", {{"name", name}, {"namespace", "default"}}},
          {"data", {{"k", value}}}};
}

class ServerTest : public testing::Test {
 protected:
  ServerTest() {
    ApiServerOptions options;
    options.bookmark_interval = absl::Milliseconds(100);
    server_ = ApiServer::Start(std::move(options)).value();
  }

  Answered Do(const std::string& method, const std::string& target, const Json& body = nullptr,
              const std::string& type = "application/json") {
    ClientForTest client(*server_);
    return client.Do(method, target, body.is_null() ? "" : body.dump(), type);
  }

  Json Put(Json object) {
    const auto put = server_->Put(std::move(object));
    EXPECT_TRUE(put.ok()) << put.failure().message;
    return put.ok() ? *put : Json();
  }

  void Remove(const std::string& name) {
    EXPECT_TRUE(server_->Delete("configmaps", "default", name).ok());
  }

  std::string VersionNow() {
    return Do("GET", kConfigMaps).json()["metadata"]["resourceVersion"].get<std::string>();
  }

  static std::string TypeAndName(const std::string& line) {
    const Json event = Json::parse(line, nullptr, false);
    if (event.is_discarded()) return line;
    return absl::StrCat(event["type"].get<std::string>(), " ",
                        event["object"]["metadata"].value("name", ""));
  }

  uint64_t Add(Fault::Kind kind, const std::string& verb, int times = 1) {
    Fault fault;
    fault.kind = kind;
    fault.verb = verb;
    fault.resource = "configmaps";
    fault.times = times;
    return server_->AddFault(fault);
  }

  std::unique_ptr<ApiServer> server_;
};

TEST_F(ServerTest, PagesAreOfOneVersionUntilItIsForgotten) {
  for (const char* name : {"a", "b", "c"}) Put(Map(name));
  const std::string first_page = absl::StrCat(kConfigMaps, "?limit=1");
  const Json first = Do("GET", first_page).json();
  ASSERT_EQ(first["items"].size(), 1u);
  EXPECT_EQ(first["metadata"]["remainingItemCount"], 2);
  const std::string token = first["metadata"]["continue"].get<std::string>();
  Remove("b");
  const std::string second_page = absl::StrCat(kConfigMaps, "?limit=1&continue=", token);
  const Json second = Do("GET", second_page).json();
  EXPECT_EQ(second["items"][0]["metadata"]["name"], "b");
  EXPECT_EQ(second["metadata"]["resourceVersion"], first["metadata"]["resourceVersion"]);

  server_->Compact();
  const Answered expired = Do("GET", second_page);
  EXPECT_EQ(expired.code, 410);
  EXPECT_EQ(expired.json()["reason"], "Expired");
  const std::string rest = expired.json()["metadata"]["continue"].get<std::string>();
  const Json left = Do("GET", absl::StrCat(kConfigMaps, "?continue=", rest)).json();
  ASSERT_EQ(left["items"].size(), 1u);
  EXPECT_EQ(left["items"][0]["metadata"]["name"], "c");
}

TEST_F(ServerTest, ListsAtTheVersionThatIsAskedFor) {
  Put(Map("a"));
  const std::string then = VersionNow();
  Put(Map("b"));
  const auto count = [&](const std::string& query) {
    const Answered got = Do("GET", absl::StrCat(kConfigMaps, "?", query));
    return got.code == 200 ? static_cast<int>(got.json()["items"].size()) : -got.code;
  };
  EXPECT_EQ(count("resourceVersion=0"), 2);
  EXPECT_EQ(count("resourceVersion=" + then), 2);
  EXPECT_EQ(count("resourceVersionMatch=NotOlderThan&resourceVersion=" + then), 2);
  EXPECT_EQ(count("resourceVersionMatch=Exact&resourceVersion=" + then), 1);
  EXPECT_EQ(count("limit=10&resourceVersion=" + then), 1);
  EXPECT_EQ(count("resourceVersionMatch=Exact"), -422);
  EXPECT_EQ(count("resourceVersionMatch=Exact&resourceVersion=0"), -422);
  EXPECT_EQ(count("resourceVersion=x"), -400);
  EXPECT_EQ(count("resourceVersion=999999"), -504);
}

TEST_F(ServerTest, WatchesFromWhereAListEnded) {
  Put(Map("a"));
  const std::string from = VersionNow();
  Put(Map("b"));
  ClientForTest watch(*server_);
  ASSERT_EQ(watch.Open(absl::StrCat(kConfigMaps, "?watch=true&resourceVersion=", from)), 200);
  EXPECT_EQ(TypeAndName(watch.Line()), "ADDED b");
  Put(Map("a", "2"));
  EXPECT_EQ(TypeAndName(watch.Line()), "MODIFIED a");
  Put(Map("a", "2"));  // nothing changes: no event
  Remove("b");
  const Json deleted = Json::parse(watch.Line());
  EXPECT_EQ(deleted["type"], "DELETED");
  EXPECT_EQ(deleted["object"]["metadata"]["resourceVersion"], VersionNow());
}

TEST_F(ServerTest, WatchesBeginWithWhatIsThereIfNothingElseIsSaid) {
  Put(Map("a"));
  ClientForTest watch(*server_);
  ASSERT_EQ(watch.Open(absl::StrCat(kConfigMaps, "?watch=1&timeoutSeconds=1")), 200);
  EXPECT_EQ(TypeAndName(watch.Line()), "ADDED a");
  EXPECT_EQ(watch.Line(), "") << "ends in order at its timeout";
}

TEST_F(ServerTest, AnObjectThatLeavesTheSelectionIsDeletedForItsWatch) {
  Json labelled = Map("a");
  labelled["metadata"]["labels"] = {{"x", "1"}};
  Put(labelled);
  ClientForTest watch(*server_);
  ASSERT_EQ(watch.Open(absl::StrCat(kConfigMaps, "?watch=1&labelSelector=x%3D1")), 200);
  EXPECT_EQ(TypeAndName(watch.Line()), "ADDED a");
  Put(Map("other"));
  Put(Map("a", "2"));  // without the label
  EXPECT_EQ(TypeAndName(watch.Line()), "DELETED a");
  labelled["data"]["k"] = "3";
  Put(labelled);
  EXPECT_EQ(TypeAndName(watch.Line()), "ADDED a");
}

TEST_F(ServerTest, BookmarksSayHowFarAWatchIs) {
  const std::string from = VersionNow();
  Put({{"apiVersion", "v1"}, {"kind", "Secret"}, {"metadata", {{"name", "elsewhere"}}}});
  ClientForTest watch(*server_);
  ASSERT_EQ(watch.Open(absl::StrCat(kConfigMaps,
                                    "?watch=1&allowWatchBookmarks=true&"
                                    "resourceVersion=",
                                    from)),
            200);
  const Json bookmark = Json::parse(watch.Line());
  EXPECT_EQ(bookmark["type"], "BOOKMARK");
  EXPECT_EQ(bookmark["object"]["kind"], "ConfigMap");
  EXPECT_EQ(bookmark["object"]["metadata"]["resourceVersion"], VersionNow());
}

TEST_F(ServerTest, AWatchFromAForgottenVersionGetsAnErrorEvent) {
  const std::string from = VersionNow();
  Put(Map("a"));
  server_->Compact();
  ClientForTest watch(*server_);
  ASSERT_EQ(watch.Open(absl::StrCat(kConfigMaps, "?watch=1&resourceVersion=", from)), 200);
  const Json event = Json::parse(watch.Line());
  EXPECT_EQ(event["type"], "ERROR");
  EXPECT_EQ(event["object"]["code"], 410);
  EXPECT_EQ(event["object"]["reason"], "Expired");
  EXPECT_EQ(watch.Line(), "");
}

TEST_F(ServerTest, AnUpdateOfAnOlderVersionIsAConflict) {
  const Json first = Put(Map("a"));
  Put(Map("a", "2"));
  const std::string target = absl::StrCat(kConfigMaps, "/a");
  const Answered refused = Do("PUT", target, first);
  EXPECT_EQ(refused.code, 409);
  EXPECT_EQ(refused.json()["reason"], "Conflict");
  EXPECT_EQ(refused.json()["details"], Json::parse(R"({"name":"a","kind":"configmaps"})"));
  EXPECT_EQ(Do("PUT", target, Map("a", "3")).code, 200) << "without a version the last one wins";
  EXPECT_EQ(Do("PUT", absl::StrCat(kConfigMaps, "/b"), Map("b")).code, 404);
  EXPECT_EQ(Do("POST", kConfigMaps, Map("a")).json()["reason"], "AlreadyExists");
}

TEST_F(ServerTest, StatusIsWrittenApartFromTheRest) {
  const std::string target = "/apis/networking.istio.io/v1/namespaces/default/virtualservices";
  Json route = {{"apiVersion", "networking.istio.io/v1"},
                {"kind", "VirtualService"},
                {"metadata", {{"name", "r"}}},
                {"spec", {{"hosts", Json::array({"a"})}}},
                {"status", {{"x", 1}}}};
  EXPECT_FALSE(Do("POST", target, route).json().contains("status"));
  const Json status_patch = {{"spec", {{"hosts", Json::array()}}}, {"status", {{"x", 2}}}};
  const Json written =
      Do("PATCH", target + "/r/status", status_patch, "application/merge-patch+json").json();
  EXPECT_EQ(written["status"]["x"], 2);
  EXPECT_EQ(written["spec"]["hosts"].size(), 1u);
  EXPECT_EQ(written["metadata"]["generation"], 1);
  const Json spec_patch = {{"spec", {{"hosts", Json::array({"b"})}}}, {"status", {{"x", 3}}}};
  const Json changed =
      Do("PATCH", target + "/r", spec_patch, "application/merge-patch+json").json();
  EXPECT_EQ(changed["status"]["x"], 2);
  EXPECT_EQ(changed["metadata"]["generation"], 2);
  const Json older = Do("GET", "/apis/networking.istio.io/v1alpha3/virtualservices").json();
  EXPECT_EQ(older["items"][0]["apiVersion"], "networking.istio.io/v1alpha3");
}

TEST_F(ServerTest, RefusesWhatIsNoObject) {
  const std::pair<Json, int> cases[] = {
      {{{"metadata", {{"name", "UPPER"}}}}, 422},
      {{{"metadata", Json::object()}}, 422},
      {{{"metadata", {{"name", 5}}}}, 400},
      {{{"metadata", {{"name", "a"}, {"labels", {{"x", 1}}}}}}, 400},
      {{{"metadata", {{"name", "a"}, {"namespace", "other"}}}}, 400},
      {{{"kind", "Secret"}, {"metadata", {{"name", "a"}}}}, 400},
      {{{"apiVersion", "v2"}, {"metadata", {{"name", "a"}}}}, 400},
      {Json::array({1}), 400},
  };
  for (const auto& [body, code] : cases)
    EXPECT_EQ(Do("POST", kConfigMaps, body).code, code) << body;
  EXPECT_EQ(Do("GET", "/apis/nowhere/v1/things").code, 404);
  EXPECT_EQ(Do("GET", "/api/v1/namespaces/default/nodes").code, 404);
}

TEST_F(ServerTest, IssuesAndReviewsTokens) {
  Put({{"apiVersion", "v1"}, {"kind", "ServiceAccount"}, {"metadata", {{"name", "sa"}}}});
  const Json wanted = {{"spec", {{"audiences", Json::array({"weft"})}}}};
  const Json issued =
      Do("POST", "/api/v1/namespaces/default/serviceaccounts/sa/token", wanted).json();
  const std::string token = issued["status"]["token"].get<std::string>();
  const auto review = [&](const std::string& text, const std::string& audience) {
    const Json spec = {{"token", text}, {"audiences", Json::array({audience})}};
    return Do("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {{"spec", spec}})
        .json()["status"];
  };
  EXPECT_EQ(review(token, "weft")["user"]["username"], "system:serviceaccount:default:sa");
  EXPECT_EQ(review(token, "weft")["authenticated"], true);
  EXPECT_FALSE(review(token, "other").contains("authenticated"));
  EXPECT_FALSE(review("guess", "weft").contains("authenticated"));
}

TEST_F(ServerTest, BindsTokensToPods) {
  Put({{"apiVersion", "v1"}, {"kind", "ServiceAccount"}, {"metadata", {{"name", "sa"}}}});
  Put(Json::parse(R"({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"},
                      "spec": {"containers": [{"name": "app", "image": "app"}]}})"));
  const auto request = [&](const Json& spec) {
    return Do("POST", "/api/v1/namespaces/default/serviceaccounts/sa/token", {{"spec", spec}});
  };
  const Json bound = {{"boundObjectRef", {{"kind", "Pod"}, {"name", "p"}}}};
  const std::string token = request(bound).json()["status"]["token"].get<std::string>();
  const Json review =
      Do("POST", "/apis/authentication.k8s.io/v1/tokenreviews", {{"spec", {{"token", token}}}})
          .json();
  EXPECT_EQ(review["status"]["user"]["extra"]["authentication.kubernetes.io/pod-name"],
            Json::array({"p"}));
  EXPECT_EQ(request({{"boundObjectRef", {{"kind", "Pod"}, {"name", "q"}}}}).code, 404);
  EXPECT_EQ(request({{"boundObjectRef", {{"kind", "Pod"}, {"name", "p"}, {"uid", "x"}}}}).code,
            409);
  EXPECT_EQ(request({{"expirationSeconds", 1}}).code, 422);
}

// --- Faults.

TEST_F(ServerTest, Row91GoneComesAsStatusAndAsEvent) {
  Add(Fault::Kind::kGoneStatus, "watch");
  EXPECT_EQ(Do("GET", absl::StrCat(kConfigMaps, "?watch=1")).code, 410);
  ClientForTest watch(*server_);
  ASSERT_EQ(watch.Open(absl::StrCat(kConfigMaps, "?watch=1")), 200);
  Add(Fault::Kind::kGoneEvent, "watch");
  EXPECT_EQ(Json::parse(watch.Line())["object"]["code"], 410);
  EXPECT_EQ(watch.Line(), "");
}

TEST_F(ServerTest, Row92EventsAreDoubledReorderedAndUnknown) {
  ClientForTest watch(*server_);
  ASSERT_EQ(watch.Open(absl::StrCat(kConfigMaps, "?watch=1")), 200);
  Add(Fault::Kind::kDuplicate, "watch");
  Put(Map("a"));
  EXPECT_EQ(TypeAndName(watch.Line()), "ADDED a");
  EXPECT_EQ(TypeAndName(watch.Line()), "ADDED a");
  Add(Fault::Kind::kReorder, "watch");
  Put(Map("b"));
  EXPECT_EQ(watch.Line(absl::Milliseconds(50)), "silence");
  Put(Map("c"));
  EXPECT_EQ(TypeAndName(watch.Line()), "ADDED c");
  EXPECT_EQ(TypeAndName(watch.Line()), "ADDED b");
  Add(Fault::Kind::kUnknownEvent, "watch");
  Put(Map("d"));
  EXPECT_EQ(TypeAndName(watch.Line()), "REMODELLED nobody");
  EXPECT_EQ(TypeAndName(watch.Line()), "ADDED d");
}

TEST_F(ServerTest, Row94AnswersComeInPiecesLongAndDeep) {
  Put(Map("a"));
  Fault split;
  split.kind = Fault::Kind::kChunks;
  split.sizes = {1, 7};
  server_->AddFault(split);
  ClientForTest client(*server_);
  const Answered got = client.Do("GET", kConfigMaps);
  EXPECT_EQ(got.json()["items"].size(), 1u);
  ASSERT_GT(client.pieces().size(), 10u);
  EXPECT_EQ(client.pieces()[0], 1u);
  EXPECT_EQ(client.pieces()[1], 7u);

  Fault large;
  large.kind = Fault::Kind::kLongLine;
  large.bytes = 100 << 20;
  server_->AddFault(large);
  const Answered padded = client.Do("GET", kConfigMaps);
  EXPECT_GT(padded.body.size(), large.bytes);
  EXPECT_EQ(padded.json()["items"].size(), 1u);

  ClientForTest watch(*server_);
  ASSERT_EQ(watch.Open(absl::StrCat(kConfigMaps, "?watch=1&resourceVersion=", VersionNow())), 200);
  Fault deep;
  deep.kind = Fault::Kind::kDeep;
  deep.depth = 1000;
  server_->AddFault(deep);
  Put(Map("b"));
  const std::string line = watch.Line();
  EXPECT_TRUE(absl::StrContains(line, std::string(1000, '[') + std::string(1000, ']')));
  EXPECT_EQ(TypeAndName(line), "ADDED b");
}

TEST_F(ServerTest, Row95RefusesForATimeAndSaysWhenToComeAgain) {
  Fault busy;
  busy.verb = "list";
  busy.resource = "configmaps";
  busy.times = 2;
  busy.code = 429;
  busy.retry_after = 3;
  server_->AddFault(busy);
  for (int i = 0; i < 2; ++i) {
    const Answered refused = Do("GET", kConfigMaps);
    EXPECT_EQ(refused.code, 429);
    EXPECT_EQ(refused.retry_after, "3");
    EXPECT_EQ(refused.json()["details"]["retryAfterSeconds"], 3);
  }
  EXPECT_EQ(Do("GET", kConfigMaps).code, 200);
  busy.code = 503;
  busy.verb = "";
  server_->AddFault(busy);
  EXPECT_EQ(Do("POST", kConfigMaps, Map("a")).code, 503);
}

TEST_F(ServerTest, Row96AWatchGoesSilentForGood) {
  ClientForTest watch(*server_);
  ASSERT_EQ(
      watch.Open(absl::StrCat(kConfigMaps, "?watch=1&allowWatchBookmarks=true&timeoutSeconds=1")),
      200);
  Add(Fault::Kind::kSilent, "watch");
  Put(Map("a"));
  std::string line = watch.Line(absl::Milliseconds(1500));
  // A bookmark may have been on its way.
  if (absl::StrContains(line, "BOOKMARK")) line = watch.Line(absl::Milliseconds(1500));
  EXPECT_EQ(line, "silence");
}

TEST_F(ServerTest, Row97ContinueTokensExpire) {
  for (const char* name : {"a", "b"}) Put(Map(name));
  const Json first = Do("GET", absl::StrCat(kConfigMaps, "?limit=1")).json();
  const std::string next = absl::StrCat(
      kConfigMaps, "?limit=1&continue=", first["metadata"]["continue"].get<std::string>());
  Add(Fault::Kind::kExpiredContinue, "list");
  EXPECT_EQ(Do("GET", next).json()["reason"], "Expired");
  EXPECT_EQ(Do("GET", next).code, 200);
}

TEST_F(ServerTest, CutsConnectionsAndTakesItsTime) {
  Put(Map("a"));
  Fault cut;
  cut.kind = Fault::Kind::kCut;
  cut.bytes = 20;
  server_->AddFault(cut);
  const Answered got = Do("GET", kConfigMaps);
  EXPECT_EQ(got.code, 0);
  EXPECT_EQ(got.body.size(), 20u);
  ClientForTest watch(*server_);
  ASSERT_EQ(watch.Open(absl::StrCat(kConfigMaps, "?watch=1&resourceVersion=", VersionNow())), 200);
  cut.bytes = 0;
  cut.verb = "watch";
  server_->AddFault(cut);
  EXPECT_EQ(watch.Line(), "cut");
  Fault slow;
  slow.kind = Fault::Kind::kSlow;
  slow.delay = absl::Milliseconds(300);
  server_->AddFault(slow);
  const absl::Time begun = absl::Now();
  EXPECT_EQ(Do("GET", kConfigMaps).code, 200);
  EXPECT_GE(absl::Now() - begun, absl::Milliseconds(300));
}

TEST_F(ServerTest, AKindIsNotInstalledUntilTheFaultIsGone) {
  Fault missing;
  missing.kind = Fault::Kind::kNotInstalled;
  missing.resource = "virtualservices.networking.istio.io";
  const std::string target = "/apis/networking.istio.io/v1/virtualservices";
  ClientForTest watch(*server_);
  ASSERT_EQ(watch.Open(target + "?watch=1"), 200);
  const uint64_t id = server_->AddFault(missing);
  EXPECT_EQ(watch.Line(), "") << "its watches end";
  EXPECT_EQ(Do("GET", target).code, 404);
  EXPECT_FALSE(
      absl::StrContains(Do("GET", "/apis/networking.istio.io/v1").body, "virtualservices"));
  server_->RemoveFault(id);
  EXPECT_EQ(Do("GET", target).code, 200);
}

TEST_F(ServerTest, TakesFaultsOverItsOwnPath) {
  const Json fault = {
      {"fault", "status"}, {"verb", "list"}, {"resource", "configmaps"}, {"code", 500}};
  EXPECT_EQ(Do("POST", "/faults", fault).code, 201);
  EXPECT_EQ(Do("GET", kConfigMaps).code, 500);
  EXPECT_EQ(Do("GET", "/faults").json()["faults"][0]["taken"], 1);
  EXPECT_EQ(Do("POST", "/faults", {{"fault", "rain"}}).code, 400);
  EXPECT_EQ(Do("DELETE", "/faults").json()["faults"].size(), 0u);
  EXPECT_EQ(Do("POST", "/compact").code, 200);
}

// --- At size.

TEST_F(ServerTest, PagesThroughTenThousandServicesAtOnce) {
  constexpr int kServices = 10'000;
  for (int i = 0; i < kServices; ++i) {
    const std::string name = absl::StrCat("s", i);
    Json spec = {{"selector", {{"app", name}}}};
    spec["ports"] = Json::array({{{"name", "http"}, {"port", 80}}});
    Put({{"apiVersion", "v1"},
         {"kind", "Service"},
         {"metadata", {{"name", name}}},
         {"spec", spec}});
  }
  ClientForTest client(*server_);
  const absl::Time begun = absl::Now();
  std::string token;
  size_t bytes = 0;
  int pages = 0;
  do {
    const Answered page =
        client.Do("GET", absl::StrCat("/api/v1/services?limit=500&continue=", token));
    ASSERT_EQ(page.code, 200);
    bytes += page.body.size();
    ++pages;
    const size_t at = page.body.find("\"continue\":\"");
    token = at == std::string::npos
                ? ""
                : page.body.substr(at + 12, page.body.find('"', at + 12) - at - 12);
  } while (!token.empty());
  const absl::Duration took = absl::Now() - begun;
  EXPECT_EQ(pages, kServices / 500);
  RecordProperty("pages_ms", static_cast<int>(absl::ToInt64Milliseconds(took)));
  RecordProperty("bytes", static_cast<int>(bytes));
}

TEST_F(ServerTest, TellsWatchesThousandsOfChangesASecond) {
  constexpr int kChanges = 5'000;
  ClientForTest watch(*server_);
  ASSERT_EQ(watch.Open(absl::StrCat(kConfigMaps, "?watch=1")), 200);
  const absl::Time begun = absl::Now();
  std::thread writer([&] {
    for (int i = 0; i < kChanges; ++i) Put(Map("a", absl::StrCat(i)));
  });
  std::string last;
  for (int i = 0; i < kChanges; ++i) last = watch.Line();
  writer.join();
  const absl::Duration took = absl::Now() - begun;
  EXPECT_EQ(Json::parse(last)["object"]["data"]["k"], absl::StrCat(kChanges - 1));
  RecordProperty("took_ms", static_cast<int>(absl::ToInt64Milliseconds(took)));
}

TEST_F(ServerTest, RemembersWhatWasAsked) {
  Do("GET", absl::StrCat(kConfigMaps, "?limit=5"));
  const std::vector<RequestRecord> requests = server_->requests();
  ASSERT_EQ(requests.size(), 1u);
  EXPECT_EQ(requests[0].verb, "list");
  EXPECT_EQ(requests[0].resource, "configmaps");
  EXPECT_EQ(requests[0].target, absl::StrCat(kConfigMaps, "?limit=5"));
  EXPECT_EQ(requests[0].code, 200);
}

}  // namespace
}  // namespace weft::apiserver
