// Very many clients that lose their weftd in the same moment.
#include <sys/resource.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "api/envoy/core.pb.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/xds/ads_client.h"
#include "test/xds/weftd.h"

namespace weft::test {
namespace {

constexpr int kClients = 2000;
constexpr rlim_t kUsual = 1024;  // descriptors, as most systems limit a process at first
constexpr absl::Duration kPatience = absl::Seconds(90);

// What both sides need at least; false if this machine does not let us.
bool SetDescriptors(rlim_t soft) {
  rlimit limit = {};
  getrlimit(RLIMIT_NOFILE, &limit);
  if (limit.rlim_max < 2 * kClients) return false;
  limit.rlim_cur = std::min(soft, limit.rlim_max);
  return setrlimit(RLIMIT_NOFILE, &limit) == 0;
}

struct Dials {
  std::vector<MonotonicTime> times;

  // The most within so long.
  size_t Most(absl::Duration within) const {
    size_t most = 0;
    for (size_t first = 0, end = 0; first < times.size(); ++first) {
      while (end < times.size() && times[end] - times[first] < within) ++end;
      most = std::max(most, end - first);
    }
    return most;
  }
};

class Client : public AdsObserver {
 public:
  Client(EventLoop& loop, int port, int number, Dials& dials)
      : client_(loop, OptionsFor(loop, port, number, dials), this) {
    client_.Subscribe(kClusterType, Subscription::Scope::kAll);
    running_.Spawn(client_.Run());
  }

  absl::Status OnResources(const ResourceUpdate& update) override {
    served_ |= !update.sent.empty();
    return absl::OkStatus();
  }
  void OnStream(const absl::Status& status) override { served_ = false; }
  bool served() const { return served_; }

 private:
  static AdsClient::Options OptionsFor(EventLoop& loop, int port, int number, Dials& dials) {
    AdsClient::Options options;
    envoy::config::core::v3::Node node;
    node.set_id(absl::StrCat("sidecar~10.1.", number / 250, ".", number % 250, "~p-", number,
                             ".default~default.svc.cluster.local"));
    options.node = node.SerializeAsString();
    options.connect = [&loop, port, &dials] { return Dial(loop, port, dials); };
    options.seed = number;
    return options;
  }
  static Task<absl::StatusOr<std::unique_ptr<ByteStream>>> Dial(EventLoop& loop, int port,
                                                                Dials& dials) {
    dials.times.push_back(loop.Now());
    ConnectOptions options;
    options.deadline = loop.Now() + absl::Seconds(10);
    auto stream = co_await Connect(loop, *Address::Ip("127.0.0.1", port), options);
    if (!stream.ok()) co_return stream.status();
    co_return std::unique_ptr<ByteStream>(*std::move(stream));
  }

  bool served_ = false;  // by the stream there is
  AdsClient client_;
  Scope running_;
};

class Reconnect : public testing::Test {
 protected:
  // Clients and weftd run at the same time, so nothing here waits but by the loop.
  static WeftdOptions Options() {
    WeftdOptions options;
    options.wait_until_ready = false;
    return options;
  }

  size_t Served() const {
    return static_cast<size_t>(std::count_if(clients_.begin(), clients_.end(),
                                             [](const auto& one) { return one->served(); }));
  }
  bool AllAreServed() {
    return Run([this] { return Served() == clients_.size(); }, kPatience);
  }
  void Settle(absl::Duration time) {
    Run([] { return false; }, time);
  }
  bool Run(const std::function<bool()>& until, absl::Duration limit) {
    Scope waiting;
    waiting.Spawn(Poll(until, loop_.Now() + limit));
    loop_.Run();
    return until();
  }
  Task<> Poll(const std::function<bool()>& until, MonotonicTime deadline) {
    while (!until() && loop_.Now() < deadline) co_await Sleep(loop_, absl::Milliseconds(20));
    loop_.Stop();
  }

  EventLoop loop_;
  Dials dials_;
  std::vector<std::unique_ptr<Client>> clients_;
};

TEST_F(Reconnect, Row80TwoThousandClientsComeBackSpreadOutAndAllAreServed) {
  if (!SetDescriptors(kUsual)) GTEST_SKIP() << "the limit of descriptors is too low";
  Weftd weftd(Options());
  weftd.Write("a.yaml", ServiceYaml("a", 80, {{"10.0.0.1", "v1"}}));
  SetDescriptors(RLIM_INFINITY);
  for (int i = 0; i < kClients; ++i) {
    clients_.push_back(std::make_unique<Client>(loop_, weftd.port(), i, dials_));
  }
  ASSERT_TRUE(AllAreServed()) << Served();

  weftd.Kill();
  Settle(absl::Seconds(3));
  dials_.times.clear();
  SetDescriptors(kUsual);
  weftd.Start();
  SetDescriptors(RLIM_INFINITY);
  ASSERT_TRUE(AllAreServed()) << Served();
  // Each has waited for a time of its own. What a slow machine delays comes at once.
  EXPECT_LT(dials_.Most(absl::Milliseconds(100)), kClients / 2);
  EXPECT_THAT(weftd.Metrics(), testing::HasSubstr(absl::StrCat("pilot_xds ", kClients, "\n")));
}

}  // namespace
}  // namespace weft::test
