// weft-proxy's own xDS client, in delta form, against the running weftd: what changed comes and
// nothing else; a client that was away is told what went meanwhile, also by another weftd.
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/envoy/core.pb.h"
#include "gtest/gtest.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/xds/ads_client.h"
#include "test/xds/weftd.h"

namespace weft::test {
namespace {

// Keeps what it is sent as a proxy does, and asks for the endpoints of all clusters there are.
class Follower : public AdsObserver {
 public:
  Follower(EventLoop& loop, int port) : loop_(loop), client_(loop, OptionsFor(loop, port), this) {
    client_.Subscribe(kClusterType, Subscription::Scope::kAll);
    client_.Subscribe(kEndpointType, Subscription::Scope::kNamed);
    client_.Subscribe(kListenerType, Subscription::Scope::kAll);
    running_.Spawn(client_.Run());
  }

  absl::Status OnResources(const ResourceUpdate& update) override {
    EXPECT_FALSE(update.full);
    ++updates;
    auto& held = has[std::string(update.type_url)];
    last.clear();
    for (const auto& resource : update.sent) {
      last.push_back(resource.name);
      held[resource.name] = resource.bytes;
    }
    for (const std::string& name : update.removed) {
      last.push_back("-" + name);
      held.erase(name);
    }
    if (refuse) return absl::InvalidArgumentError("not today");
    std::vector<std::string> wanted;
    for (const auto& [name, bytes] : has[std::string(kClusterType)]) {
      if (name.starts_with("outbound|")) wanted.push_back(name);
    }
    client_.SetNames(kEndpointType, wanted);
    return absl::OkStatus();
  }
  void OnStream(const absl::Status& status) override { streams += status.ok(); }

  // Runs the loop until the condition holds; false if it does not in time.
  bool Await(const std::function<bool()>& condition) {
    const MonotonicTime deadline = loop_.Now() + absl::Seconds(20);
    Scope waiting;
    waiting.Spawn(Poll(condition, deadline));
    loop_.Run();
    return condition();
  }
  // Lets the loop run for a while.
  void Settle() {
    const MonotonicTime end = loop_.Now() + absl::Milliseconds(300);
    Await([&] { return loop_.Now() >= end; });
  }
  size_t Count(absl::string_view type) { return has[std::string(type)].size(); }
  const AdsClient& client() const { return client_; }

  std::map<std::string, std::map<std::string, std::string>> has;  // by type, name
  std::vector<std::string> last;
  int updates = 0;
  int streams = 0;
  bool refuse = false;

 private:
  static AdsClient::Options OptionsFor(EventLoop& loop, int port) {
    AdsClient::Options options;
    options.form = Subscription::Form::kDelta;
    envoy::config::core::v3::Node node;
    node.set_id("sidecar~10.0.0.99~p.default~default.svc.cluster.local");
    options.node = node.SerializeAsString();
    options.connect = [&loop, port] { return Dial(loop, port); };
    options.longest_backoff = absl::Milliseconds(200);
    return options;
  }
  static Task<absl::StatusOr<std::unique_ptr<ByteStream>>> Dial(EventLoop& loop, int port) {
    ConnectOptions options;
    options.deadline = loop.Now() + absl::Seconds(5);
    auto stream = co_await Connect(loop, *Address::Ip("127.0.0.1", port), options);
    if (!stream.ok()) co_return stream.status();
    co_return std::unique_ptr<ByteStream>(*std::move(stream));
  }
  Task<> Poll(const std::function<bool()>& condition, MonotonicTime deadline) {
    while (!condition() && loop_.Now() < deadline) co_await Sleep(loop_, absl::Milliseconds(5));
    loop_.Stop();
  }

  EventLoop& loop_;
  AdsClient client_;
  Scope running_;
};

std::string Name(const std::string& service) {
  return absl::StrCat("outbound|80||", service, ".default.svc.cluster.local");
}

class DeltaXds : public testing::Test {
 protected:
  void SetUp() override {
    weftd_.Write("a.yaml", ServiceYaml("a", 80, {{"10.0.0.1", "v1"}}));
    weftd_.Write("b.yaml", ServiceYaml("b", 80, {{"10.0.0.2", "v1"}}));
    ASSERT_TRUE(follower_.Await(
        [&] { return follower_.Count(kEndpointType) == 2 && follower_.Count(kListenerType) > 0; }));
    follower_.Settle();
  }

  Weftd weftd_;
  EventLoop loop_;
  Follower follower_{loop_, weftd_.port()};
};

TEST_F(DeltaXds, AChangeOfEndpointsIsOneResource) {
  const int before = follower_.updates;
  weftd_.Write("a.yaml", ServiceYaml("a", 80, {{"10.0.0.1", "v1"}, {"10.0.0.3", "v1"}}));
  ASSERT_TRUE(follower_.Await([&] { return follower_.updates > before; }));
  EXPECT_EQ(absl::StrJoin(follower_.last, " "), Name("a"));
  follower_.Settle();
  EXPECT_EQ(follower_.updates, before + 1) << absl::StrJoin(follower_.last, " ");
  EXPECT_EQ(follower_.client().stats().rejected, 0u);
}

TEST_F(DeltaXds, AServiceComesAndGoes) {
  weftd_.Write("c.yaml", ServiceYaml("c", 80, {{"10.0.0.4", "v1"}}));
  ASSERT_TRUE(follower_.Await([&] { return follower_.Count(kEndpointType) == 3; }));
  weftd_.Remove("c.yaml");
  ASSERT_TRUE(follower_.Await(
      [&] { return follower_.has[std::string(kClusterType)].count(Name("c")) == 0; }));
}

TEST_F(DeltaXds, Row72AndRow73WhatWentWhileAwayIsToldByAnotherWeftdAndNothingElseIsSent) {
  const int streams = follower_.streams;
  const int before = follower_.updates;
  weftd_.Stop();
  weftd_.Remove("b.yaml");
  weftd_.Start();
  ASSERT_TRUE(follower_.Await([&] { return follower_.streams > streams; }));
  ASSERT_TRUE(follower_.Await(
      [&] { return follower_.has[std::string(kClusterType)].count(Name("b")) == 0; }));
  EXPECT_EQ(follower_.has[std::string(kClusterType)].count(Name("a")), 1u);
  follower_.Settle();
  // Clusters lose one, and its endpoints may be told, too; the rest it has.
  EXPECT_LE(follower_.updates, before + 3) << absl::StrJoin(follower_.last, " ");
  EXPECT_EQ(follower_.has[std::string(kEndpointType)].count(Name("a")), 1u);
}

TEST_F(DeltaXds, Row71ARefusalIsCountedAndShownAndNotAnsweredBeforeAChange) {
  follower_.refuse = true;
  const int before = follower_.updates;
  weftd_.Write("a.yaml", ServiceYaml("a", 80, {{"10.0.0.7", "v1"}}));
  ASSERT_TRUE(follower_.Await([&] { return follower_.updates > before; }));
  follower_.Settle();
  EXPECT_EQ(follower_.updates, before + 1);
  EXPECT_NE(weftd_.Metrics().find("weft_xds_rejects{type=\"eds\"} 1"), std::string::npos);
  const std::string sync = weftd_.Debug("syncz");
  EXPECT_NE(sync.find("not today"), std::string::npos) << sync;
  EXPECT_NE(sync.find("\"form\": \"delta\""), std::string::npos) << sync;
  follower_.refuse = false;
  weftd_.Write("a.yaml", ServiceYaml("a", 80, {{"10.0.0.8", "v1"}}));
  ASSERT_TRUE(follower_.Await([&] { return follower_.updates == before + 2; }));
  follower_.Settle();
  EXPECT_EQ(weftd_.Debug("syncz").find("not today"), std::string::npos);
}

}  // namespace
}  // namespace weft::test
