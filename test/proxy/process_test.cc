// The process: its command line, admin port, signals, and how it starts and ends.
#include <signal.h>

#include <atomic>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

TEST(Validate, SaysOkOrWhatIsWrongAndWhere) {
  const std::string good = WriteTestFile(
      "good.yaml",
      Bootstrap(FreePort(), {HttpListener("in", FreePort(), RouteTo("up"))}, {Cluster("up", {1})}));
  const RunResult ok = RunProxy({"-c", good, "--mode", "validate"});
  EXPECT_EQ(ok.exit_code, 0) << ok.output;
  EXPECT_EQ(ok.output, absl::StrCat("configuration '", good, "' OK\n"));

  const std::string unknown =
      WriteTestFile("unknown.yaml", "static_resources:\n  clusters:\n  - name: a\n    typo: 1\n");
  const RunResult bad = RunProxy({"-c", unknown, "--mode", "validate"});
  EXPECT_EQ(bad.exit_code, 1);
  for (const std::string& part :
       {unknown, std::string("static_resources.clusters[0].typo"), std::string("line 4")}) {
    EXPECT_TRUE(absl::StrContains(bad.output, part)) << bad.output;
  }

  const RunResult missing = RunProxy({"-c", "/nonexistent.yaml"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_TRUE(absl::StrContains(missing.output, "/nonexistent.yaml")) << missing.output;
}

TEST(Start, PortInUseIsAClearError) {
  Upstream holder(Echo);
  const std::string config = WriteTestFile(
      "config.yaml", Bootstrap(FreePort(), {HttpListener("edge", holder.port(), RouteTo("up"))},
                               {Cluster("up", {1})}));
  const RunResult run = RunProxy({"-c", config, "--concurrency", "2"});
  EXPECT_EQ(run.exit_code, 1) << run.output;
  EXPECT_TRUE(absl::StrContains(run.output, "listener 'edge'")) << run.output;
  EXPECT_TRUE(absl::StrContains(
      run.output, absl::StrCat("127.0.0.1:", holder.port(), ": Address already in use")))
      << run.output;
}

TEST(Start, AdminPortInUseIsAClearError) {
  Upstream holder(Echo);
  const std::string config = WriteTestFile(
      "config.yaml", Bootstrap(holder.port(), {HttpListener("edge", FreePort(), RouteTo("up"))},
                               {Cluster("up", {1})}));
  const RunResult run = RunProxy({"-c", config});
  EXPECT_EQ(run.exit_code, 1) << run.output;
  EXPECT_TRUE(absl::StrContains(run.output, "admin port")) << run.output;
}

TEST(Start, WithoutItsXdsServerStaysUpAndServesWhatIsStatic) {
  Upstream upstream(Echo);
  const int port = FreePort();
  // The bootstrap's top level follows the clusters in the file.
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))},
                     {Cluster("up", {upstream.port()}),
                      Cluster("xds", {FreePort()}) +
                          "\nnode: {id: a, cluster: b}\ndynamic_resources: {ads_config: "
                          "{api_type: GRPC, transport_api_version: V3, grpc_services: "
                          "[{envoy_grpc: {cluster_name: xds}}]}, cds_config: {ads: {}}, "
                          "lds_config: {ads: {}}}"});
  for (int i = 0; i < 3; ++i) EXPECT_EQ(Ask(port, Get("/")).status(), 200);
}

class Process : public testing::Test {
 protected:
  Process()
      : upstream_([this](Socket& socket, int) {
          while (true) {
            const Message request = socket.ReadRequest();
            if (!request.complete) return;
            if (absl::StrContains(request.head, "/slow"))
              Eventually([this] { return release_.load(); });
            socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
          }
        }),
        proxy_({HttpListener("in", port_, RouteTo("up"))}, {Cluster("up", {upstream_.port()})}) {}

  std::atomic<bool> release_{false};
  Upstream upstream_;
  const int port_ = FreePort();
  ProxyProcess proxy_;
};

TEST_F(Process, TermLetsRequestsFinishAndThenEnds) {
  Socket busy = Socket::Connect(port_);
  busy.Send(Get("/slow"));
  EXPECT_TRUE(Eventually([&] { return upstream_.connections() == 1; }));
  Socket idle = Socket::Connect(port_);
  idle.Send(Get("/"));
  EXPECT_EQ(idle.ReadResponse().status(), 200);
  proxy_.Signal(SIGTERM);
  EXPECT_TRUE(idle.Ended(absl::Seconds(5)));  // long before the drain time is over
  EXPECT_TRUE(Eventually([&] { return !Socket::Connect(port_).connected(); }));
  EXPECT_TRUE(proxy_.alive());
  release_ = true;
  const Message answer = busy.ReadResponse();
  EXPECT_EQ(answer.status(), 200);
  EXPECT_EQ(answer.Field("connection"), "close");
  EXPECT_EQ(proxy_.AwaitExit(), 0) << proxy_.Output();
}

TEST_F(Process, SecondTermEndsAtOnce) {
  Socket busy = Socket::Connect(port_);
  busy.Send(Get("/slow"));
  EXPECT_TRUE(Eventually([&] { return upstream_.connections() == 1; }));
  proxy_.Signal(SIGTERM);
  EXPECT_TRUE(Eventually([&] { return !Socket::Connect(port_).connected(); }));
  proxy_.Signal(SIGTERM);
  EXPECT_EQ(proxy_.AwaitExit(), 0) << proxy_.Output();
  release_ = true;
}

TEST_F(Process, EndsWithConnectionsOfEveryKindOpen) {
  std::vector<Socket> open;
  for (const std::string& sent : {std::string(), std::string("GET / HT"), Get("/slow"), Get("/")}) {
    open.push_back(Socket::Connect(port_));
    open.back().Send(sent);
  }
  EXPECT_EQ(open.back().ReadResponse().status(), 200);
  proxy_.Admin("/quitquitquit", "POST");
  EXPECT_EQ(proxy_.AwaitExit(), 0) << proxy_.Output();
  release_ = true;
}

TEST_F(Process, AdminAnswersEach) {
  EXPECT_EQ(Ask(port_, Get("/")).status(), 200);
  struct Case {
    const char* path;
    const char* part;
  };
  const Case kCases[] = {
      {"/", "/config_dump"},
      {"/help", "/config_dump"},
      {"/ready", "LIVE"},
      {"/server_info", "\"state\": \"LIVE\""},
      {"/listeners", "in::127.0.0.1:"},
      {"/clusters", "up::127.0.0.1:"},
      {"/certs", "certificates"},
      {"/memory", "allocated"},
      {"/config_dump", "BootstrapConfigDump"},
      {"/config_dump?include_eds", "BootstrapConfigDump"},
      {"/stats", "cluster.up.upstream_rq_total: 1\n"},
      {"/stats?filter=upstream_rq_total&usedonly", "cluster.up.upstream_rq_total: 1\n"},
      {"/stats/prometheus", "upstream_rq_total"},
      {"/stats?format=prometheus", "# TYPE"},
  };
  for (const Case& one : kCases) {
    const Message answer = proxy_.Admin(one.path);
    EXPECT_EQ(answer.status(), 200) << one.path;
    EXPECT_TRUE(absl::StrContains(answer.body, one.part)) << one.path << "\n" << answer.body;
  }
  EXPECT_EQ(proxy_.Admin("/nothing").status(), 404);
}

TEST_F(Process, AdminChangesStateByPostAlone) {
  const char* kPaths[] = {"/healthcheck/fail", "/healthcheck/ok", "/logging?level=debug",
                          "/drain_listeners?inboundonly", "/quitquitquit"};
  for (const char* path : kPaths) EXPECT_EQ(proxy_.Admin(path).status(), 400) << path;
  EXPECT_TRUE(proxy_.alive());
  EXPECT_EQ(proxy_.Admin("/healthcheck/fail", "POST").status(), 200);
  EXPECT_EQ(proxy_.Admin("/ready").status(), 503);
  EXPECT_EQ(proxy_.Admin("/healthcheck/ok", "POST").status(), 200);
  EXPECT_EQ(proxy_.Admin("/ready").status(), 200);
  EXPECT_EQ(proxy_.Admin("/logging?level=loud", "POST").status(), 400);
  EXPECT_EQ(proxy_.Admin("/drain_listeners", "POST").status(), 200);
  EXPECT_TRUE(Eventually([&] { return !Socket::Connect(port_).connected(); }));
}

}  // namespace
}  // namespace weft::test
