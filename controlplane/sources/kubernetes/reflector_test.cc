#include "controlplane/sources/kubernetes/reflector.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Step = Reflector::Step;
using Notice = Reflector::Notice;

WatchedResource Services() { return {"", {"v1"}, "services", "Service", true}; }
WatchedResource VirtualServices() {
  return {"networking.istio.io",
          {"v1", "v1beta1", "v1alpha3"},
          "virtualservices",
          "VirtualService",
          false};
}

std::string Item(const std::string& name, const std::string& version) {
  return absl::StrCat(R"({"metadata":{"name":")", name, R"(","namespace":"default",)",
                      R"("resourceVersion":")", version, R"("}})");
}

std::string Event(const std::string& type, const std::string& name, const std::string& version) {
  return absl::StrCat(R"({"type":")", type, R"(","object":)", Item(name, version), "}");
}

std::string Page(const std::string& version, const std::string& next = "") {
  return absl::StrCat(R"({"kind":"List","metadata":{"resourceVersion":")", version,
                      R"(","continue":")", next, R"("},"items":[]})");
}

// A reflector with a clock, and what it says in one line each.
class Driver {
 public:
  explicit Driver(WatchedResource resource = Services())
      : reflector(std::move(resource), "test", 1) {}

  // The next step that is no waiting, after as long as it wants to wait.
  std::string Next() {
    Step step = reflector.Next(now);
    waited = absl::ZeroDuration();
    while (step.kind == Step::Kind::kWait) {
      EXPECT_GT(step.until, now);
      waited += step.until - now;
      now = step.until;
      step = reflector.Next(now);
    }
    duration = step.duration;
    // How long a watch lasts is random.
    const size_t timeout = step.path.find("&timeoutSeconds=");
    return step.path.substr(0, timeout);
  }

  std::string Changes() {
    std::vector<std::string> changes;
    for (const ObjectDelta& delta : reflector.TakeDeltas()) {
      changes.push_back(absl::StrCat(delta.object == nullptr ? "-" : "+", delta.key.name));
    }
    return absl::StrJoin(changes, " ");
  }
  std::string Problems() {
    return absl::StrJoin(reflector.TakeProblems(), "\n",
                         [](std::string* out, const Problem& p) { out->append(ToString(p)); });
  }
  std::vector<Notice::Kind> Notices() {
    std::vector<Notice::Kind> kinds;
    for (const Notice& notice : reflector.TakeNotices()) kinds.push_back(notice.kind);
    return kinds;
  }
  void Status(int status, absl::Duration retry_after = absl::ZeroDuration()) {
    reflector.OnStatus(status, retry_after, "why", now);
  }
  void Broken() { reflector.OnBroken("reset", now); }
  bool Tell(const std::string& event) { return reflector.OnEvent(event, now); }
  // Lists these, of one version, and starts to watch.
  void List(const std::vector<std::string>& names, const std::string& version) {
    EXPECT_THAT(Next(), HasSubstr("limit=500"));
    for (const std::string& name : names) reflector.OnItem(Item(name, version));
    reflector.OnPageEnd(Page(version), now);
    EXPECT_THAT(Next(), HasSubstr("watch=1"));
  }

  Reflector reflector;
  absl::Duration now = absl::Seconds(1000);
  absl::Duration waited;
  absl::Duration duration;
};

constexpr char kFirstList[] =
    "/api/v1/services?limit=500&resourceVersion=0&resourceVersionMatch=NotOlderThan";
constexpr char kWatch[] = "/api/v1/services?watch=1&allowWatchBookmarks=true&resourceVersion=";
constexpr char kStatus410[] = R"({"type":"ERROR","object":{"kind":"Status","code":410,)"
                              R"("reason":"Expired","message":"too old"}})";

TEST(Reflector, OneObjectIsAskedForByItsName) {
  Driver driver(WatchedSecret("edge", "shop-tls"));
  EXPECT_EQ(driver.Next(),
            "/api/v1/namespaces/edge/secrets?limit=500&resourceVersion=0&resourceVersionMatch="
            "NotOlderThan&fieldSelector=metadata.name%3Dshop-tls");
  driver.reflector.OnItem(Item("shop-tls", "7"));
  driver.reflector.OnPageEnd(Page("10"), driver.now);
  EXPECT_EQ(driver.Changes(), "+shop-tls");
  EXPECT_TRUE(driver.reflector.synced());
  Step step = driver.reflector.Next(driver.now);
  EXPECT_EQ(step.kind, Step::Kind::kWatch);
  EXPECT_THAT(step.path, HasSubstr("/api/v1/namespaces/edge/secrets?watch=1&"));
  EXPECT_THAT(step.path, HasSubstr("&fieldSelector=metadata.name%3Dshop-tls"));
  driver.reflector.Forget();
  EXPECT_EQ(driver.Changes(), "-shop-tls");
}

TEST(Reflector, OnlySecretsWithTheLabelOfRemoteClustersAreRead) {
  Driver driver(RemoteClusterSecrets());
  const Step step = driver.reflector.Next(driver.now);
  EXPECT_EQ(step.path,
            "/api/v1/namespaces/weft-system/secrets?limit=500&resourceVersion=0&"
            "resourceVersionMatch=NotOlderThan&labelSelector=istio%2FmultiCluster%3Dtrue");
  EXPECT_EQ(RemoteClusterSecrets().Name(), "secrets weft-system (istio/multiCluster=true)");
}

TEST(Reflector, ListsPageByPageThenWatches) {
  Driver driver;
  EXPECT_EQ(driver.Next(), kFirstList);
  driver.reflector.OnItem(Item("a", "1"));
  driver.reflector.OnPageEnd(Page("9", "to/ken="), driver.now);
  EXPECT_EQ(driver.Changes(), "+a");
  EXPECT_FALSE(driver.reflector.synced());
  EXPECT_EQ(driver.Next(), "/api/v1/services?limit=500&continue=to%2Fken%3D");
  driver.reflector.OnItem(Item("b", "2"));
  driver.reflector.OnPageEnd(Page("9"), driver.now);
  EXPECT_TRUE(driver.reflector.synced());
  EXPECT_EQ(driver.Next(), absl::StrCat(kWatch, "9"));
  EXPECT_GE(driver.duration, Reflector::kShortestWatch);
  EXPECT_LE(driver.duration, 2 * Reflector::kShortestWatch);
  EXPECT_EQ(driver.Changes(), "+b");
  EXPECT_THAT(driver.Notices(), ElementsAre(Notice::Kind::kWatching));
}

TEST(Reflector, Row91A410EventRelistsAndTellsWhatIsGone) {
  Driver driver;
  driver.List({"a", "b", "c"}, "9");
  EXPECT_EQ(driver.Changes(), "+a +b +c");
  driver.now += absl::Minutes(1);
  EXPECT_FALSE(driver.Tell(kStatus410));
  EXPECT_EQ(driver.Next(),
            "/api/v1/services?limit=500&resourceVersion=9&resourceVersionMatch=NotOlderThan");
  EXPECT_EQ(driver.waited, absl::ZeroDuration());
  driver.reflector.OnItem(Item("a", "9"));
  driver.reflector.OnItem(Item("c", "11"));
  driver.reflector.OnItem(Item("d", "12"));
  driver.reflector.OnPageEnd(Page("12"), driver.now);
  EXPECT_EQ(driver.Changes(), "+c +d -b");
  EXPECT_EQ(driver.Next(), absl::StrCat(kWatch, "12"));
}

TEST(Reflector, Row91A410StatusRelistsFromTheStoreIfNeedBe) {
  Driver driver;
  driver.List({"a"}, "9");
  driver.now += absl::Minutes(1);
  driver.Status(410);
  EXPECT_THAT(driver.Next(), HasSubstr("resourceVersion=9&resourceVersionMatch=NotOlderThan"));
  driver.Status(410);
  EXPECT_EQ(driver.Next(), "/api/v1/services?limit=500");
  EXPECT_EQ(driver.waited, absl::ZeroDuration());
  driver.reflector.OnPageEnd(Page("20"), driver.now);
  EXPECT_EQ(driver.Changes(), "+a -a");
}

TEST(Reflector, Row91RepeatedExpiryIsNoRelistStorm) {
  Driver driver;
  driver.List({}, "1");
  int lists = 0;
  const absl::Duration end = driver.now + absl::Minutes(10);
  while (driver.now < end) {
    driver.Tell(Event("ADDED", "a", "2"));
    driver.Tell(kStatus410);
    driver.List({"a"}, "2");
    ++lists;
  }
  EXPECT_LT(lists, 40);
}

TEST(Reflector, Row92EventsAreIdempotent) {
  Driver driver;
  driver.List({"a"}, "9");
  driver.Changes();
  const struct {
    std::string event;
    const char* changes;
  } cases[] = {
      {Event("ADDED", "a", "9"), ""},  // what was listed already
      {Event("ADDED", "b", "10"), "+b"},
      {Event("ADDED", "b", "10"), ""},       // twice
      {Event("ADDED", "b", "11"), "+b"},     // added though known
      {Event("MODIFIED", "c", "12"), "+c"},  // modified though not known
      {Event("MODIFIED", "b", "11"), ""},
      {Event("DELETED", "b", "13"), "-b"},
      {Event("DELETED", "b", "13"), ""},  // twice
      {Event("DELETED", "x", "13"), ""},  // never known
      {Event("ADDED", "b", "zz-opaque"), "+b"},
      {Event("MODIFIED", "b", "2"), "+b"},  // nothing is made of its order
  };
  for (const auto& c : cases) {
    EXPECT_TRUE(driver.Tell(c.event));
    EXPECT_EQ(driver.Changes(), c.changes) << c.event;
  }
  EXPECT_EQ(driver.Problems(), "");
}

TEST(Reflector, Row92UnknownEventsArePassedOver) {
  Driver driver;
  driver.List({"a"}, "9");
  driver.Changes();
  EXPECT_TRUE(driver.Tell(Event("RENAMED", "a", "10")));
  EXPECT_THAT(driver.Problems(), HasSubstr("unknown type 'RENAMED'"));
  EXPECT_TRUE(driver.Tell(R"({"type":"ADDED","object":{"metadata":{"name":"x"}}})"));
  EXPECT_THAT(driver.Problems(), HasSubstr("without resourceVersion"));
  EXPECT_TRUE(driver.Tell(
      R"({"type":"ADDED","object":{"kind":"Pod","metadata":{"name":"p","resourceVersion":"10"}}})"));
  EXPECT_THAT(driver.Problems(), HasSubstr("a Pod default/p among services"));
  EXPECT_FALSE(driver.Tell(R"({"no)"));
  EXPECT_THAT(driver.Problems(), HasSubstr("not valid JSON"));
  EXPECT_EQ(driver.Changes(), "");
}

TEST(Reflector, Row93ABookmarkIsWhereAWatchGoesOn) {
  Driver driver;
  driver.List({"a"}, "9");
  driver.Changes();
  EXPECT_TRUE(driver.Tell(R"({"type":"BOOKMARK","object":{"metadata":{"resourceVersion":"50"}}})"));
  driver.now += absl::Minutes(5);
  driver.reflector.OnWatchEnd(driver.now);
  EXPECT_EQ(driver.Next(), absl::StrCat(kWatch, "50"));
  EXPECT_EQ(driver.waited, absl::ZeroDuration());
  driver.Broken();
  EXPECT_EQ(driver.Next(), absl::StrCat(kWatch, "50"));
  EXPECT_EQ(driver.Changes(), "");
}

TEST(Reflector, Row95WaitsAsLongAsTheServerSays) {
  Driver driver;
  driver.Next();
  const struct {
    absl::Duration asked;
    absl::Duration least;
    absl::Duration most;
  } cases[] = {{absl::Seconds(7), absl::Seconds(7), absl::Seconds(10.5)},
               {absl::Hours(100), absl::Minutes(1), absl::Minutes(1.5)}};
  for (const auto& c : cases) {
    driver.Status(429, c.asked);
    EXPECT_EQ(driver.Next(), kFirstList);
    EXPECT_GE(driver.waited, c.least);
    EXPECT_LE(driver.waited, c.most);
  }
}

TEST(Reflector, Row95BacksOffWithJitter) {
  for (const int status : {500, 502, 503, 504, 429, 401}) {
    Driver driver;
    driver.Next();
    absl::Duration whole = Reflector::kBackoffFirst;
    for (int i = 0; i < 12; ++i) {
      driver.Status(status);
      EXPECT_THAT(driver.Next(), HasSubstr("limit=500"));
      EXPECT_GE(driver.waited, whole);
      EXPECT_LE(driver.waited, 1.5 * whole);
      whole = std::min(2 * whole, Reflector::kBackoffMost);
    }
    EXPECT_THAT(driver.Notices(), ElementsAre(Notice::Kind::kAway));
  }
}

TEST(Reflector, Row95AFailingWatchDoesNotRelist) {
  Driver driver;
  driver.List({"a"}, "9");
  for (const int status : {500, 503, 429, 401}) {
    driver.Status(status);
    EXPECT_EQ(driver.Next(), absl::StrCat(kWatch, "9")) << status;
    EXPECT_GE(driver.waited, Reflector::kBackoffFirst);
  }
  driver.reflector.OnWatchEnd(driver.now);
  EXPECT_EQ(driver.Next(), absl::StrCat(kWatch, "9"));
  EXPECT_GE(driver.waited, Reflector::kBackoffFirst);
}

TEST(Reflector, Row95AFailingPageIsAskedForAgain) {
  Driver driver;
  driver.Next();
  driver.reflector.OnItem(Item("a", "1"));
  driver.reflector.OnPageEnd(Page("9", "t1"), driver.now);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(driver.Next(), "/api/v1/services?limit=500&continue=t1");
    i == 0 ? driver.Broken() : driver.Status(503);
  }
  EXPECT_EQ(driver.Next(), "/api/v1/services?limit=500&continue=t1");
  driver.reflector.OnPageEnd(Page("9"), driver.now);
  EXPECT_EQ(driver.Changes(), "+a");
}

TEST(Reflector, Row96ASilentWatchIsWatchedAgain) {
  Driver driver;
  driver.List({"a"}, "9");
  driver.now += Reflector::kWatchSilence;
  driver.reflector.OnSilence(driver.now);
  EXPECT_EQ(driver.Next(), absl::StrCat(kWatch, "9"));
  EXPECT_EQ(driver.waited, absl::ZeroDuration());
}

TEST(Reflector, Row97AnExpiredContinueTokenIsAFullList) {
  Driver driver;
  driver.List({"a", "gone"}, "5");
  driver.Changes();
  driver.now += absl::Minutes(1);
  driver.Status(410);
  driver.Next();
  driver.reflector.OnItem(Item("a", "5"));
  driver.reflector.OnItem(Item("b", "6"));
  driver.reflector.OnPageEnd(Page("9", "t1"), driver.now);
  driver.Next();
  driver.Status(410);
  EXPECT_EQ(driver.Next(), "/api/v1/services?resourceVersion=5&resourceVersionMatch=NotOlderThan");
  EXPECT_EQ(driver.waited, absl::ZeroDuration());
  driver.reflector.OnItem(Item("a", "5"));
  driver.reflector.OnPageEnd(Page("30"), driver.now);
  // "b" was seen on the page that no longer counts.
  EXPECT_EQ(driver.Changes(), "+b -b -gone");
  EXPECT_EQ(driver.Next(), absl::StrCat(kWatch, "30"));
}

TEST(Reflector, DeletionsWhileAwayAreFoundByTheNextList) {
  Driver driver;
  driver.List({"a", "b"}, "9");
  driver.Changes();
  for (int i = 0; i < 5; ++i) {
    driver.Broken();
    driver.Next();
  }
  driver.Tell(kStatus410);
  driver.List({"b"}, "9");
  EXPECT_EQ(driver.Changes(), "-a");
}

TEST(Reflector, FindsTheVersionThatTheServerHas) {
  const struct {
    const char* group;
    const char* list;
  } cases[] = {
      {R"({"versions":[{"version":"v1alpha3"},{"version":"v1beta1"},{"version":"v1"}]})", "v1"},
      {R"({"versions":[{"version":"v1alpha3"},{"version":"v1beta1"}]})", "v1beta1"},
      {R"({"versions":[{"version":"v2"},{"version":"v1alpha3"}]})", "v1alpha3"},
  };
  for (const auto& c : cases) {
    Driver driver(VirtualServices());
    EXPECT_EQ(driver.Next(), "/apis/networking.istio.io");
    driver.reflector.OnGroup(c.group, driver.now);
    EXPECT_THAT(driver.Next(), HasSubstr(absl::StrCat("/apis/networking.istio.io/", c.list,
                                                      "/virtualservices?limit=500")));
  }
}

TEST(Reflector, TriesTheNextVersionWhereTheKindIsNotInTheFirst) {
  Driver driver(VirtualServices());
  driver.Next();
  driver.reflector.OnGroup(R"({"versions":[{"version":"v1alpha3"},{"version":"v1"}]})", driver.now);
  EXPECT_THAT(driver.Next(), HasSubstr("/v1/virtualservices"));
  driver.Status(404);
  EXPECT_THAT(driver.Next(), HasSubstr("/v1alpha3/virtualservices"));
  driver.Status(404);
  EXPECT_EQ(driver.Next(), "/apis/networking.istio.io");
  EXPECT_GE(driver.waited, Reflector::kSlowPoll);
}

TEST(Reflector, AMissingKindIsWaitedForAndHoldsNobodyUp) {
  Driver driver(VirtualServices());
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(driver.Next(), "/apis/networking.istio.io");
    EXPECT_EQ(driver.waited >= Reflector::kSlowPoll, i > 0);
    driver.Status(404);
    EXPECT_TRUE(driver.reflector.synced());
  }
  EXPECT_THAT(driver.Notices(), ElementsAre(Notice::Kind::kMissing));
  driver.Next();
  driver.reflector.OnGroup(R"({"versions":[{"version":"v9"}]})", driver.now);
  EXPECT_EQ(driver.Next(), "/apis/networking.istio.io");
  driver.reflector.OnGroup(R"({"versions":[{"version":"v1"}]})", driver.now);
  EXPECT_THAT(driver.Next(), HasSubstr("/v1/virtualservices?limit=500"));
  driver.reflector.OnItem(Item("a", "1"));
  driver.reflector.OnPageEnd(Page("1"), driver.now);
  EXPECT_EQ(driver.Changes(), "+a");
  EXPECT_THAT(driver.Notices(), ElementsAre(Notice::Kind::kWatching));
}

TEST(Reflector, AKindThatGoesTakesItsObjectsAlongOnceThatIsCertain) {
  Driver driver(VirtualServices());
  driver.Next();
  driver.reflector.OnGroup(R"({"versions":[{"version":"v1"}]})", driver.now);
  driver.List({"a", "b"}, "9");
  driver.Changes();
  driver.Status(404);
  for (int look = 1; look < Reflector::kMissingLooks; ++look) {
    EXPECT_EQ(driver.Changes(), "");
    EXPECT_EQ(driver.Next(), "/apis/networking.istio.io");
    driver.Status(404);
  }
  EXPECT_EQ(driver.Changes(), "-a -b");
}

TEST(Reflector, AForbiddenKindIsToldAndKeepsWhatIsKnown) {
  for (const bool needed : {true, false}) {
    WatchedResource resource = Services();
    resource.needed = needed;
    Driver driver(resource);
    driver.Next();
    driver.Status(403);
    EXPECT_EQ(driver.reflector.synced(), !needed);
    EXPECT_THAT(driver.Notices(), ElementsAre(Notice::Kind::kForbidden));
    EXPECT_EQ(driver.Next(), kFirstList);
    EXPECT_GE(driver.waited, Reflector::kSlowPoll);
    driver.reflector.OnItem(Item("a", "1"));
    driver.reflector.OnPageEnd(Page("1"), driver.now);
    EXPECT_TRUE(driver.reflector.synced());
    driver.Next();
    driver.Status(403);
    EXPECT_EQ(driver.Changes(), "+a");
    EXPECT_THAT(driver.Next(), HasSubstr("limit=500&resourceVersion=1"));
  }
}

TEST(Reflector, ListsWhereDiscoveryIsForbidden) {
  Driver driver(VirtualServices());
  driver.Next();
  driver.Status(403);
  EXPECT_THAT(driver.Next(), HasSubstr("/v1/virtualservices?limit=500"));
}

TEST(Reflector, ABrokenObjectKeepsItsLastGoodForm) {
  Driver driver;
  driver.List({"a", "b"}, "9");
  driver.Changes();
  driver.now += absl::Minutes(1);
  driver.Status(410);
  driver.Next();
  driver.reflector.OnItem(
      R"({"metadata":{"name":"a","namespace":"Bad_Namespace","resourceVersion":"10"}})");
  driver.reflector.OnItem(Item("b", "9"));
  driver.reflector.OnRefused("an object with more than 8388608 bytes", driver.now);
  driver.reflector.OnPageEnd(Page("10"), driver.now);
  EXPECT_EQ(driver.Changes(), "");
  EXPECT_THAT(driver.Problems(), HasSubstr("metadata.namespace: not a valid name"));
}

TEST(Reflector, Row94WhatAWatchLeftOutIsListed) {
  Driver driver;
  driver.List({"a"}, "9");
  driver.Changes();
  driver.now += absl::Minutes(1);
  driver.reflector.OnRefused("an object with more than 8388608 bytes", driver.now);
  EXPECT_FALSE(driver.reflector.watching());
  EXPECT_THAT(driver.Next(), HasSubstr("limit=500&resourceVersion=9"));
  EXPECT_EQ(driver.waited, absl::ZeroDuration());
  driver.reflector.OnItem(Item("a", "10"));
  driver.reflector.OnPageEnd(Page("10"), driver.now);
  EXPECT_EQ(driver.Changes(), "+a");
  EXPECT_EQ(driver.Next(), absl::StrCat(kWatch, "10"));
  EXPECT_GE(driver.duration, Reflector::kShortestWatch);
}

TEST(Reflector, Row94AnIncompleteListIsFollowedByAnotherAtLength) {
  Driver driver;
  absl::Duration before;
  for (int i = 0; i < 8; ++i) {
    EXPECT_THAT(driver.Next(), HasSubstr("limit=500"));
    driver.reflector.OnRefused("an object with more than 8388608 bytes", driver.now);
    driver.reflector.OnPageEnd(Page("9"), driver.now);
    EXPECT_THAT(driver.Next(), HasSubstr("watch=1"));
    EXPECT_GE(driver.duration, before / 2);
    EXPECT_LE(driver.duration, 1.5 * Reflector::kBackoffMost);
    before = driver.duration;
    driver.now += driver.duration;
    driver.reflector.OnWatchEnd(driver.now);
  }
  EXPECT_GE(before, Reflector::kBackoffMost);
}

TEST(Reflector, BrokenAnswersAreAskedForAgain) {
  Driver driver;
  driver.Next();
  for (const char* envelope : {"{", "{}", R"({"metadata":{"continue":"x"}})"}) {
    driver.reflector.OnPageEnd(envelope, driver.now);
    EXPECT_EQ(driver.Next(), kFirstList);
    EXPECT_GE(driver.waited, Reflector::kBackoffFirst);
    EXPECT_FALSE(driver.reflector.synced());
  }
}

TEST(Reflector, AWatchThatWentWellIsTakenUpAtOnce) {
  Driver driver;
  driver.List({"a"}, "9");
  driver.now += Reflector::kCalm;
  driver.Broken();
  driver.Next();
  EXPECT_EQ(driver.waited, absl::ZeroDuration());
  driver.Broken();
  driver.Next();
  EXPECT_GE(driver.waited, Reflector::kBackoffFirst);
  driver.Tell(Event("ADDED", "b", "10"));
  EXPECT_THAT(driver.Notices(),
              ElementsAre(Notice::Kind::kWatching, Notice::Kind::kAway, Notice::Kind::kWatching));
}

}  // namespace
}  // namespace weft
