// A pool whose endpoint is a gateway of another cluster, with pods behind it that it names. The
// gateway is in this process, and its connection in plain: as one that has dialed us.
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "proxy/net/tcp.h"
#include "proxy/net/write_all.h"
#include "proxy/runtime/scope.h"
#include "proxy/upstream/pool.h"
#include "proxy/upstream/tunnel_stream.h"

namespace weft {
namespace {

constexpr char kTrustDomain[] = "west";

// Leads each CONNECT to the next of its pods that is not to be avoided.
class Gateway {
 public:
  struct Pod {
    int requests = 0;
    int status = 200;
    size_t connections = 0;
  };

  Gateway(EventLoop& loop, Tunnels& tunnels) : loop_(loop) {
    const auto [ours, theirs] = StreamSocketPair();
    client_bytes_ = std::make_unique<TcpStream>(loop, ours);
    client_ = std::make_unique<H2Connection>(
        loop, *client_bytes_,
        H2Connection::Setup{H2Connection::Role::kClient, Http2Options(), false, nullptr, {}});
    registered_ =
        std::make_unique<ReverseTunnels::Registration>(tunnels.reverse(), kTrustDomain, *client_);
    server_bytes_ = std::make_unique<TcpStream>(loop, theirs);
    server_ = std::make_unique<H2Connection>(
        loop, *server_bytes_,
        H2Connection::Setup{H2Connection::Role::kServer, Http2Options(), false, nullptr, {}});
    tasks_.Spawn(ServeAll());
  }
  ~Gateway() { tasks_.Cancel(); }

  void Drain() { server_->Drain(); }
  // Its connections are cut, and nothing leads there any more.
  void Remove(const std::string& pod) {
    pods.erase(pod);
    cut_.insert(pod);
    for (auto& [name, signal] : waiting_) signal->Notify();
  }

  std::map<std::string, Pod> pods;
  bool http2 = false;  // what the pods speak
  std::vector<RequestHead> connects;

 private:
  Task<> ServeAll() {
    while (!server_->ended()) {
      while (std::unique_ptr<HttpStream> stream = server_->TakeRequest()) {
        tasks_.Spawn(Connect(std::move(stream)));
      }
      co_await Wait(loop_, {&server_->arrived(), &server_->changed()});
    }
  }

  // "" if there is none.
  std::string Choose(const RequestHead& head) {
    const std::string avoid(head.headers.Get("x-weft-avoid").value_or(""));
    const absl::flat_hash_set<std::string> avoided = absl::StrSplit(avoid, ',');
    std::vector<std::string> names, wanted;
    for (const auto& [name, pod] : pods) {
      names.push_back(name);
      if (!avoided.contains(name)) wanted.push_back(name);
    }
    if (names.empty()) return "";
    const std::vector<std::string>& from = wanted.empty() ? names : wanted;
    return from[turn_++ % from.size()];
  }

  Task<> Connect(std::unique_ptr<HttpStream> stream) {
    stream->Next();
    connects.push_back(stream->request());
    const std::string name = Choose(stream->request());
    ResponseHead head;
    head.status = name.empty() ? 503 : 200;
    if (name.empty()) {
      stream->WriteHead(head, BodyLength());
      co_return;
    }
    head.headers.Add("x-weft-pod", name);
    BodyLength tunnel;
    tunnel.framing = BodyFraming::kTunnel;
    stream->WriteHead(head, tunnel);
    stream->Flush();
    TunnelStream bytes(std::move(stream), Address(), Address());
    ++pods[name].connections;
    if (http2) {
      co_await ServeHttp2(name, bytes);
    } else {
      co_await ServeHttp1(name, bytes);
    }
    const auto pod = pods.find(name);
    if (pod != pods.end()) --pod->second.connections;
    if (cut_.contains(name)) bytes.ResetOnClose();
  }

  Task<> ServeHttp1(std::string name, TunnelStream& bytes) {
    Buffer in;
    while (!cut_.contains(name)) {
      const IoResult got = bytes.Read(in, Buffer::kBlockSize);
      if (got.status == IoStatus::kBlocked) {
        waiting_[&bytes] = &bytes.readable();
        co_await Wait(loop_, {&bytes.readable()});
        waiting_.erase(&bytes);
        continue;
      }
      if (!got.ok()) co_return;
      const size_t end = in.view().find("\r\n\r\n");
      if (end == absl::string_view::npos) continue;
      const bool hangs = in.view().substr(0, 9) == "GET /hang";
      in.Consume(end + 4);
      ++pods[name].requests;
      if (hangs) continue;
      Buffer out;
      out.Append(
          absl::StrCat("HTTP/1.1 ", pods[name].status, " Status\r\ncontent-length: 0\r\n\r\n"));
      const bool sent = co_await WriteAll(loop_, bytes, out, kNever);
      if (!sent) co_return;
    }
  }

  Task<> ServeHttp2(std::string name, TunnelStream& bytes) {
    H2Connection connection(loop_, bytes, {H2Connection::Role::kServer, {}, false, nullptr, {}});
    std::vector<std::unique_ptr<HttpStream>> held;
    while (!connection.ended() && !cut_.contains(name)) {
      while (std::unique_ptr<HttpStream> request = connection.TakeRequest()) {
        ++pods[name].requests;
        if (request->request().path == "/hang") {
          held.push_back(std::move(request));
          continue;
        }
        ResponseHead head;
        head.status = pods[name].status;
        request->WriteHead(head, BodyLength());
      }
      waiting_[&bytes] = &connection.arrived();
      co_await Wait(loop_, {&connection.arrived(), &connection.changed()});
      waiting_.erase(&bytes);
    }
  }

  EventLoop& loop_;
  std::unique_ptr<TcpStream> client_bytes_, server_bytes_;
  std::unique_ptr<H2Connection> client_, server_;
  std::unique_ptr<ReverseTunnels::Registration> registered_;
  size_t turn_ = 0;
  absl::flat_hash_set<std::string> cut_;
  std::map<const void*, Signal*> waiting_;
  Scope tasks_;
};

struct Outcome {
  bool done = false;
  int status = 0;
  bool cut = false;
  std::string pod;
  absl::Status error;
};

class PoolTunnel : public ::testing::TestWithParam<bool> {
 protected:
  PoolTunnel() : gateway_(loop_, tunnels_) {
    gateway_.http2 = GetParam();
    cluster_.protocol = GetParam() ? UpstreamProtocol::kHttp2 : UpstreamProtocol::kHttp1;
    cluster_.connect_timeout = absl::Seconds(5);
    auto tunnel = std::make_shared<TunnelConfig>();
    tunnel->authority = "outbound_.80_._.app";
    tunnel->reverse_of = kTrustDomain;
    endpoint_.tunnel = tunnel;
    SetPods(9);
  }

  void SetPods(int count) {
    for (int i = 0; i < count; ++i) gateway_.pods[absl::StrCat("pod-", i)];
    endpoint_.fanout = static_cast<uint32_t>(count);
  }

  Task<> Call(std::string path, Outcome* outcome) {
    Pool::Wanted wanted{cluster_, endpoint_, std::nullopt, loop_.Now() + absl::Seconds(10)};
    wanted.tunnels = &tunnels_;
    wanted.traceparent = "00-of-the-request-01";
    Lease lease = pool_.Take(wanted, loop_.Now());
    if (!lease) {
      Pool::Acquired acquired = co_await pool_.Acquire(loop_, wanted);
      outcome->error = acquired.status;
      outcome->done = !acquired.status.ok();
      if (outcome->done) co_return;
      lease = std::move(acquired.lease);
    }
    outcome->pod = lease.pod();
    RequestHead head;
    head.method = "GET";
    head.authority = "a.test";
    head.path = path;
    lease.stream().WriteHead(head, BodyLength());
    while (!outcome->done) {
      if (lease.cut() && !lease.stream().heard()) {
        outcome->cut = outcome->done = true;
        co_return;
      }
      switch (lease.stream().Next()) {
        case HttpStream::Event::kHead:
          outcome->status = lease.stream().response().status;
          break;
        case HttpStream::Event::kBody:
          lease.stream().Take(lease.stream().body().size());
          break;
        case HttpStream::Event::kBlocked:
          lease.stream().Flush();
          co_await Wait(loop_, {&lease.stream().readable()});
          break;
        case HttpStream::Event::kEnd:
          outcome->done = true;
          break;
        case HttpStream::Event::kBroken:
          outcome->done = true;
          co_return;
      }
    }
    pool_.pods().Responded(outcome->pod, outcome->status, cluster_.outlier.get(), {loop_.Now(), 0});
    lease.Finish(loop_.Now());
  }

  std::vector<Outcome> CallAtOnce(size_t count) {
    std::vector<Outcome> outcomes(count);
    for (Outcome& outcome : outcomes) tasks_.Spawn(Call("/", &outcome));
    EXPECT_TRUE(Eventually([&] {
      return std::all_of(outcomes.begin(), outcomes.end(), [](const Outcome& o) { return o.done; });
    }));
    return outcomes;
  }

  // How many each pod got of so many, `at_once` of them at a time.
  std::map<std::string, int> Spread(int requests, int at_once) {
    std::map<std::string, int> had;
    for (int i = 0; i < requests; i += at_once) {
      for (const Outcome& one : CallAtOnce(at_once)) {
        EXPECT_TRUE(one.error.ok()) << one.error;
        ++had[one.pod];
      }
    }
    return had;
  }

  bool Eventually(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < end) loop_.RunOnce(absl::Milliseconds(100));
    return condition();
  }

  EventLoop loop_;
  Tunnels tunnels_{loop_};
  Gateway gateway_;
  ClusterConfig cluster_;
  EndpointConfig endpoint_;
  ClusterUsage usage_;
  ClusterCounters counters_;
  H2Counters http2_counters_;
  Pool pool_{usage_, counters_, http2_counters_};
  Scope tasks_;
};

std::string NameOf(const ::testing::TestParamInfo<bool>& info) {
  return info.param ? "Http2" : "Http1";
}
INSTANTIATE_TEST_SUITE_P(All, PoolTunnel, ::testing::Bool(), NameOf);

double ChiSquare(const std::map<std::string, int>& had, size_t pods) {
  double total = 0;
  for (const auto& [pod, count] : had) total += count;
  const double expected = total / static_cast<double>(pods);
  double sum = static_cast<double>(pods - had.size()) * expected;
  for (const auto& [pod, count] : had) sum += (count - expected) * (count - expected) / expected;
  return sum;
}
// Of eight degrees of freedom, exceeded once in a hundred times by chance.
constexpr double kChiSquareOfNine = 20.09;

TEST_P(PoolTunnel, RequestsAreSpreadEvenlyOverThePods) {
  for (const int at_once : {1, 4, 30}) {
    const std::map<std::string, int> had = Spread(900, at_once);
    EXPECT_LT(ChiSquare(had, 9), kChiSquareOfNine)
        << at_once << " at once: " << ::testing::PrintToString(had);
  }
}

TEST_P(PoolTunnel, OneAfterTheOtherTakesOneConnectionAPod) {
  Spread(90, 1);
  for (const auto& [name, pod] : gateway_.pods) EXPECT_EQ(pod.connections, 1u) << name;
  EXPECT_EQ(usage_.connections, 9u);
}

TEST_P(PoolTunnel, APodThatFailsLosesItsShareAlone) {
  auto outlier = std::make_shared<OutlierConfig>();
  outlier->consecutive_5xx = 3;
  cluster_.outlier = outlier;
  gateway_.pods["pod-4"].status = 500;
  Spread(90, 1);
  EXPECT_EQ(gateway_.pods["pod-4"].requests, 3);
  const std::map<std::string, int> had = Spread(800, 4);
  EXPECT_EQ(had.count("pod-4"), 0u);
  EXPECT_LT(ChiSquare(had, 8), kChiSquareOfNine) << ::testing::PrintToString(had);
  EXPECT_EQ(pool_.pods().outlier_counters().ejections_active, 1u);
}

TEST_P(PoolTunnel, WithoutOutlierDetectionAPodThatFailsKeepsItsShare) {
  gateway_.pods["pod-4"].status = 500;
  EXPECT_LT(ChiSquare(Spread(900, 1), 9), kChiSquareOfNine);
}

TEST_P(PoolTunnel, WhoIsGoneIsMissedAndWhoIsNewIsFound) {
  Spread(90, 1);
  gateway_.Remove("pod-3");
  gateway_.pods["pod-new"];
  // What is noticed on the way out is sent again elsewhere by Forward; here a request finds out.
  for (int i = 0; i < 3; ++i) loop_.RunOnce(absl::Milliseconds(10));
  Spread(90, 1);
  const std::map<std::string, int> had = Spread(900, 1);
  EXPECT_EQ(had.count("pod-3"), 0u);
  EXPECT_EQ(had.count("pod-new"), 1u);
  EXPECT_LT(ChiSquare(had, 9), kChiSquareOfNine) << ::testing::PrintToString(had);
}

TEST_P(PoolTunnel, AGatewayThatHasNobodyIsOneThatFails) {
  gateway_.pods.clear();
  const Outcome outcome = CallAtOnce(1)[0];
  EXPECT_EQ(outcome.error.code(), absl::StatusCode::kUnavailable);
  EXPECT_NE(outcome.error.message().find("answered 503"), absl::string_view::npos) << outcome.error;
  EXPECT_FALSE(pool_.pods().known());
}

TEST_P(PoolTunnel, AGatewayIsToldWhatForAndWhomNot) {
  Spread(3, 1);
  ASSERT_EQ(gateway_.connects.size(), 3u);
  for (const RequestHead& head : gateway_.connects) {
    EXPECT_EQ(head.method, "CONNECT");
    EXPECT_EQ(head.authority, "outbound_.80_._.app:15008");
    EXPECT_EQ(head.headers.Get("traceparent"), "00-of-the-request-01");
    EXPECT_FALSE(head.headers.Has("x-weft-source"));
  }
  EXPECT_FALSE(gateway_.connects[0].headers.Has("x-weft-avoid"));
  EXPECT_EQ(gateway_.connects[1].headers.Get("x-weft-avoid"), "pod-0");
  EXPECT_NE(gateway_.connects[2].headers.Get("x-weft-avoid"), "pod-0");
}

TEST_P(PoolTunnel, AGatewayThatGoesGetsNoMoreRequests) {
  SetPods(9);
  Outcome hung;
  Spread(90, 1);
  tasks_.Spawn(Call("/hang", &hung));
  Gateway other(loop_, tunnels_);
  other.http2 = GetParam();
  for (const auto& [name, pod] : gateway_.pods) other.pods[name];
  gateway_.Drain();
  for (int i = 0; i < 5; ++i) loop_.RunOnce(absl::Milliseconds(10));
  std::map<std::string, int> before;
  for (const auto& [name, pod] : gateway_.pods) before[name] = pod.requests;
  Spread(90, 1);
  for (const auto& [name, pod] : gateway_.pods) EXPECT_EQ(pod.requests, before[name]) << name;
  EXPECT_FALSE(hung.done) << "what is under way goes on";
  int had = 0;
  for (const auto& [name, pod] : other.pods) had += pod.requests;
  EXPECT_EQ(had, 90);
  tasks_.Cancel();  // before the gateway that it uses
  pool_.Sweep(loop_.Now(), absl::ZeroDuration());
}

TEST_P(PoolTunnel, Row115_WhatHasNoAnswerIsGivenUpWhenItsGatewayIsGone) {
  std::vector<Outcome> hung(5);
  for (Outcome& one : hung) tasks_.Spawn(Call("/hang", &one));
  const auto asked = [&] {
    int requests = 0;
    for (const auto& [name, pod] : gateway_.pods) requests += pod.requests;
    return requests;
  };
  ASSERT_TRUE(Eventually([&] { return asked() == 5; }));
  pool_.Cut();
  EXPECT_TRUE(Eventually([&] {
    return std::all_of(hung.begin(), hung.end(), [](const Outcome& one) { return one.cut; });
  }));
  // Nothing that was there is used again.
  gateway_.connects.clear();
  EXPECT_EQ(CallAtOnce(1)[0].status, 200);
  EXPECT_EQ(gateway_.connects.size(), 1u);
}

}  // namespace
}  // namespace weft
