// The source against a server on loopback that says what the rows of bad input say.
#include "controlplane/sources/kubernetes/source.h"

#include <map>
#include <string>

#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "controlplane/sources/kubernetes/scripted_server_for_test.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using ::testing::HasSubstr;
using ::testing::Not;

std::string Item(const std::string& name, const std::string& version,
                 const std::string& more = "") {
  return absl::StrCat(R"({"metadata":{"name":")", name, R"(","namespace":"default",)",
                      R"("resourceVersion":")", version, R"("})", more, "}");
}

std::string ListOf(const std::vector<std::string>& items, const std::string& version,
                   const std::string& next = "") {
  return absl::StrCat(R"({"kind":"ServiceList","apiVersion":"v1","metadata":{"resourceVersion":")",
                      version, R"(","continue":")", next, R"("},"items":[)",
                      absl::StrJoin(items, ","), "]}\n");
}

std::string Event(const std::string& type, const std::string& object) {
  return absl::StrCat(R"({"type":")", type, R"(","object":)", object, "}\n");
}

constexpr char kGone[] =
    R"({"kind":"Status","status":"Failure","message":"too old","reason":"Expired","code":410})";

ScriptedAnswer Body(std::string body) {
  ScriptedAnswer answer;
  answer.body = std::move(body);
  return answer;
}
ScriptedAnswer Status(int status, std::string body, std::string headers = "") {
  ScriptedAnswer answer = Body(std::move(body));
  answer.status = status;
  answer.headers = std::move(headers);
  return answer;
}
ScriptedAnswer Watch() {
  ScriptedAnswer answer;
  answer.watch = true;
  return answer;
}

class KubernetesSourceTest : public ::testing::Test {
 protected:
  KubernetesSourceTest()
      : server_(loop_, [this](const ScriptedRequest& request) {
          if (script_) return script_(request);
          return absl::StrContains(request.target, "watch=1") ? Watch()
                                                              : Body(ListOf(items_, "10"));
        }) {
    options_.resources = {{"", {"v1"}, "services", "Service", true}};
  }
  ~KubernetesSourceTest() override { source_.reset(); }

  void Start() {
    Kubeconfig config;
    config.origin = "test";
    config.tls = false;
    config.host = "127.0.0.1";
    config.port = server_.port();
    source_ = std::make_unique<KubernetesSource>(
        loop_, config, options_, [this](SourceUpdate update) { OnUpdate(std::move(update)); });
  }
  void OnUpdate(SourceUpdate update) {
    EXPECT_FALSE(update.first && first_);
    first_ |= update.first;
    for (const ObjectDelta& delta : update.deltas) {
      ++deltas_;
      if (delta.object == nullptr) {
        known_.erase(delta.key.name);
      } else {
        const ObjectBody& body = delta.object->body;
        known_[delta.key.name] = std::string(body.node["metadata"]["resourceVersion"].Scalar());
      }
    }
    for (const Problem& problem : update.problems) problems_ += ToString(problem) + "\n";
  }
  bool Await(const std::string& known) {
    const bool came = Eventually(loop_, [&] { return Known() == known; });
    EXPECT_EQ(Known(), known);
    return came;
  }
  bool AwaitWatch(size_t requests = 0) {
    return Eventually(loop_,
                      [&] { return server_.watches() > 0 && server_.requests.size() > requests; });
  }
  std::string Known() const { return absl::StrJoin(known_, " ", absl::PairFormatter("@")); }

  EventLoop loop_;
  std::vector<std::string> items_ = {Item("a", "1"), Item("b", "2")};
  ScriptedServer::Handler script_;
  ScriptedServer server_;
  KubernetesSource::Options options_;
  std::map<std::string, std::string> known_;
  size_t deltas_ = 0;
  std::string problems_;
  bool first_ = false;
  std::unique_ptr<KubernetesSource> source_;
};

TEST_F(KubernetesSourceTest, TellsWhatIsThereThenWhatChanges) {
  Start();
  EXPECT_FALSE(first_);
  ASSERT_TRUE(AwaitWatch());
  EXPECT_TRUE(first_);
  EXPECT_EQ(Known(), "a@1 b@2");
  EXPECT_THAT(server_.requests.back(), HasSubstr("watch=1&allowWatchBookmarks=true"));
  server_.Push(Event("ADDED", Item("c", "11")) + Event("DELETED", Item("a", "12")));
  server_.Push(Event("MODIFIED", Item("b", "13")));
  Await("b@13 c@11");
  EXPECT_EQ(problems_, "");
}

TEST_F(KubernetesSourceTest, IsSyncedOnceAllWasListed) {
  options_.resources.push_back(
      {"networking.istio.io", {"v1", "v1beta1"}, "virtualservices", "VirtualService"});
  options_.resources.push_back(
      {"security.istio.io", {"v1"}, "peerauthentications", "PeerAuthentication", true});
  bool hold = true;
  script_ = [&](const ScriptedRequest& request) {
    if (absl::StrContains(request.target, "watch=1")) return Watch();
    if (request.target == "/apis/networking.istio.io") {
      return Body(R"({"kind":"APIGroup","versions":[{"version":"v1beta1"}]})");
    }
    if (absl::StartsWith(request.target, "/apis/security")) {
      return Status(404, R"({"kind":"Status","code":404,"message":"not found"})");
    }
    if (absl::StartsWith(request.target, "/apis/networking.istio.io/v1beta1/virtualservices?")) {
      return hold ? Status(503, "") : Body(ListOf({}, "5"));
    }
    return Body(ListOf(items_, "10"));
  };
  Start();
  ASSERT_TRUE(Await("a@1 b@2"));
  EXPECT_FALSE(first_);
  hold = false;
  EXPECT_TRUE(Eventually(loop_, [&] { return first_; }));
}

TEST_F(KubernetesSourceTest, Row91A410InsideA200Relists) {
  Start();
  ASSERT_TRUE(AwaitWatch());
  items_ = {Item("b", "2"), Item("c", "20")};
  const size_t before = server_.requests.size();
  server_.Push(Event("ERROR", kGone));
  Await("b@2 c@20");
  EXPECT_EQ(deltas_, 4u);  // a, b; then c and a's end: b is the same
  ASSERT_TRUE(AwaitWatch(before + 1));
  EXPECT_EQ(server_.requests.size(), before + 2);
}

TEST_F(KubernetesSourceTest, Row91A410StatusRelists) {
  int watches = 0;
  script_ = [&](const ScriptedRequest& request) {
    if (!absl::StrContains(request.target, "watch=1")) return Body(ListOf(items_, "10"));
    if (++watches > 1) return Watch();
    items_ = {Item("c", "20")};
    return Status(410, kGone);
  };
  Start();
  Await("c@20");
}

TEST_F(KubernetesSourceTest, Row92DuplicatesAndUnknownEventsChangeNothing) {
  Start();
  ASSERT_TRUE(AwaitWatch());
  server_.Push(Event("ADDED", Item("a", "1")) + Event("ADDED", Item("c", "11")) +
               Event("ADDED", Item("c", "11")) + Event("DELETED", Item("x", "12")) +
               Event("FROBBED", Item("a", "13")) + Event("MODIFIED", Item("d", "zz")));
  Await("a@1 b@2 c@11 d@zz");
  EXPECT_EQ(deltas_, 4u);
  EXPECT_THAT(problems_, HasSubstr("unknown type 'FROBBED'"));
}

TEST_F(KubernetesSourceTest, Row93ResumesAtTheBookmark) {
  Start();
  ASSERT_TRUE(AwaitWatch());
  server_.Push(Event("BOOKMARK", R"({"kind":"Service","metadata":{"resourceVersion":"77"}})"));
  const absl::Time settle = absl::Now() + absl::Milliseconds(100);
  Eventually(loop_, [&] { return absl::Now() > settle; });
  const size_t before = server_.requests.size();
  server_.EndWatches();
  ASSERT_TRUE(AwaitWatch(before));
  EXPECT_THAT(server_.requests.back(), HasSubstr("resourceVersion=77&"));
  server_.Cut();
  ASSERT_TRUE(AwaitWatch(before + 1));
  EXPECT_THAT(server_.requests.back(), HasSubstr("resourceVersion=77&"));
  EXPECT_EQ(deltas_, 2u);
}

TEST_F(KubernetesSourceTest, Row94BodiesOfAnyShapeAreBounded) {
  const std::string deep = absl::StrCat(",\"x\":", std::string(1000, '['), std::string(1000, ']'));
  const std::string large =
      absl::StrCat(",\"x\":\"", std::string(JsonStream::kMaxObject, 'x'), "\"");
  size_t chunk = 1;
  script_ = [&](const ScriptedRequest& request) {
    if (absl::StrContains(request.target, "watch=1")) return Watch();
    ScriptedAnswer answer = Body(ListOf(items_, "10"));
    answer.chunk = chunk;
    return answer;
  };
  items_.push_back(Item("deep", "3", deep));
  Start();
  ASSERT_TRUE(AwaitWatch());
  EXPECT_EQ(Known(), "a@1 b@2");
  EXPECT_THAT(problems_, HasSubstr("a nesting deeper than 100 levels, which begins: "
                                   "{\"metadata\":{\"name\":\"deep\""));
  server_.Push(Event("ADDED", Item("large", "11", large)) + Event("ADDED", Item("c", "12")));
  Await("a@1 b@2 c@12");
  EXPECT_THAT(problems_, HasSubstr("more than 8388608 bytes"));
  // What is not to be read may be what seems gone: nothing is taken away.
  items_ = {Item("deep", "3", deep)};
  chunk = 1000;
  server_.Push(Event("ERROR", kGone));
  const size_t before = server_.requests.size();
  ASSERT_TRUE(Eventually(loop_, [&] { return server_.requests.size() >= before + 2; }));
  EXPECT_EQ(Known(), "a@1 b@2 c@12");
}

TEST_F(KubernetesSourceTest, Row95WaitsForRetryAfter) {
  std::vector<absl::Time> asked;
  script_ = [&](const ScriptedRequest& request) {
    if (absl::StrContains(request.target, "watch=1")) return Watch();
    asked.push_back(absl::Now());
    return asked.size() == 1 ? Status(429, "{}", "retry-after: 2\r\n") : Body(ListOf(items_, "10"));
  };
  Start();
  ASSERT_TRUE(Await("a@1 b@2"));
  EXPECT_GE(asked[1] - asked[0], absl::Seconds(2));
}

TEST_F(KubernetesSourceTest, Row95AFailingServerIsNotStormed) {
  script_ = [&](const ScriptedRequest&) { return Status(500, "broken"); };
  Start();
  const absl::Time end = absl::Now() + absl::Seconds(3);
  Eventually(loop_, [&] { return absl::Now() > end; });
  EXPECT_GE(server_.requests.size(), 2u);
  EXPECT_LE(server_.requests.size(), 4u);  // at 0, 0.8 and 2.4 s at the earliest
  EXPECT_FALSE(first_);
}

TEST_F(KubernetesSourceTest, Row96ASilentWatchIsWatchedAgain) {
  options_.watch_silence = absl::Milliseconds(100);
  int watches = 0;
  script_ = [&](const ScriptedRequest& request) {
    if (!absl::StrContains(request.target, "watch=1")) return Body(ListOf(items_, "10"));
    ++watches;
    return Watch();
  };
  Start();
  EXPECT_TRUE(Eventually(loop_, [&] { return watches >= 2 && server_.watches() == 1; }));
  server_.Push(Event("DELETED", Item("a", "11")));
  Await("b@2");
  int lists = 0;
  for (const std::string& target : server_.requests) lists += !absl::StrContains(target, "watch=1");
  EXPECT_EQ(lists, 1);
}

TEST_F(KubernetesSourceTest, Row97AnExpiredTokenIsAFullList) {
  script_ = [&](const ScriptedRequest& request) {
    if (absl::StrContains(request.target, "watch=1")) return Watch();
    if (absl::StrContains(request.target, "continue=")) return Status(410, kGone);
    if (absl::StrContains(request.target, "limit=")) {
      return Body(ListOf({Item("a", "1"), Item("old", "1")}, "10", "t"));
    }
    return Body(ListOf({Item("a", "1"), Item("b", "2"), Item("c", "3")}, "12"));
  };
  Start();
  ASSERT_TRUE(AwaitWatch());
  EXPECT_EQ(Known(), "a@1 b@2 c@3");
  EXPECT_THAT(server_.requests.back(), HasSubstr("resourceVersion=12&"));
}

TEST_F(KubernetesSourceTest, DeletionsWhileTheServerWasAwayAreFound) {
  Start();
  ASSERT_TRUE(AwaitWatch());
  int watches = 0;
  script_ = [&](const ScriptedRequest& request) {
    if (!absl::StrContains(request.target, "watch=1")) return Body(ListOf({Item("b", "2")}, "30"));
    return ++watches == 1 ? Status(410, kGone) : Watch();
  };
  server_.Cut();
  Await("b@2");
}

TEST_F(KubernetesSourceTest, ABodyThatIsCutShortIsListedAgain) {
  int lists = 0;
  script_ = [&](const ScriptedRequest& request) {
    if (absl::StrContains(request.target, "watch=1")) return Watch();
    ScriptedAnswer answer = Body(ListOf(items_, "10"));
    answer.cut = ++lists == 1;
    return answer;
  };
  Start();
  ASSERT_TRUE(AwaitWatch());
  EXPECT_EQ(lists, 2);
  EXPECT_EQ(Known(), "a@1 b@2");
}

TEST_F(KubernetesSourceTest, KnowsSinceWhenTheServerIsAway) {
  Start();
  const MonotonicTime begun = loop_.Now();
  ASSERT_TRUE(source_->away_since().has_value());
  EXPECT_LE(*source_->away_since(), begun);
  ASSERT_TRUE(Eventually(loop_, [&] { return !source_->away_since().has_value(); }));
  script_ = [](const ScriptedRequest&) { return Status(503, "{}"); };
  const MonotonicTime cut = loop_.Now();
  server_.Cut();
  ASSERT_TRUE(Eventually(loop_, [&] { return source_->away_since().has_value(); }));
  const MonotonicTime since = *source_->away_since();
  EXPECT_GE(since, cut);
  const size_t before = server_.requests.size();
  ASSERT_TRUE(Eventually(loop_, [&] { return server_.requests.size() > before + 1; }));
  EXPECT_EQ(source_->away_since(), since);  // answers that are no good do not count
  script_ = nullptr;
  ASSERT_TRUE(Eventually(loop_, [&] { return !source_->away_since().has_value(); }));
}

// Secrets by name, each by a request of its own.
class KubernetesSecretsTest : public KubernetesSourceTest {
 protected:
  KubernetesSecretsTest() {
    script_ = [](const ScriptedRequest& request) {
      if (absl::StrContains(request.target, "watch=1")) return Watch();
      if (!absl::StrContains(request.target, "/secrets")) return Body(ListOf({}, "10"));
      for (const char* name : {"shop-tls", "other"}) {
        if (!absl::StrContains(request.target, absl::StrCat("metadata.name%3D", name))) continue;
        return Body(absl::StrReplaceAll(ListOf({Item(name, "5")}, "10"),
                                        {{"ServiceList", "SecretList"}, {"default", "edge"}}));
      }
      return Body(absl::StrReplaceAll(ListOf({}, "10"), {{"ServiceList", "SecretList"}}));
    };
  }
};

TEST_F(KubernetesSecretsTest, OnlyThoseThatAreNamedAreRead) {
  Start();
  ASSERT_TRUE(Eventually(loop_, [&] { return first_; }));
  for (const std::string& target : server_.requests) EXPECT_THAT(target, Not(HasSubstr("secrets")));
  EXPECT_TRUE(source_->SecretsAreRead());
  source_->FollowSecrets({{"edge", "shop-tls"}, {"edge", "missing"}});
  EXPECT_FALSE(source_->SecretsAreRead());
  ASSERT_TRUE(Await("shop-tls@5"));
  ASSERT_TRUE(Eventually(loop_, [&] { return source_->SecretsAreRead(); }));
  for (const std::string& target : server_.requests) EXPECT_THAT(target, Not(HasSubstr("other")));
}

TEST_F(KubernetesSecretsTest, OneThatIsNoLongerNamedIsGone) {
  Start();
  source_->FollowSecrets({{"edge", "shop-tls"}});
  ASSERT_TRUE(Await("shop-tls@5"));
  source_->FollowSecrets({{"edge", "other"}});
  ASSERT_TRUE(Await("other@5"));
  source_->FollowSecrets({});
  ASSERT_TRUE(Await(""));
}

}  // namespace
}  // namespace weft
