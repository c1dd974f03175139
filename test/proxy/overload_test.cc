// The running proxy with too much to do.
#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"
#include "test/proxy/h2_client.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

constexpr char kMonitors[] = "type.googleapis.com/envoy.extensions.resource_monitors.";

// Goes behind the clusters, which end the bootstrap.
std::string Overload(const std::string& monitors, const std::string& actions) {
  return absl::StrCat("\noverload_manager: {refresh_interval: 0.01s, resource_monitors: [",
                      monitors, "], actions: [", actions, "]}\n");
}

std::string Heap(uint64_t bytes) {
  return absl::StrCat(
      "{name: envoy.resource_monitors.fixed_heap, typed_config: {\"@type\": ", kMonitors,
      "fixed_heap.v3.FixedHeapConfig, max_heap_size_bytes: ", bytes, "}}");
}

std::string Action(const std::string& name) {
  return absl::StrCat("{name: envoy.overload_actions.", name,
                      ", triggers: [{name: envoy.resource_monitors.fixed_heap, "
                      "threshold: {value: 1}}]}");
}

TEST(Overload, Row113MemoryPressureShedsRequests) {
  Upstream upstream(Echo);
  const int port = FreePort();
  // Any process is above this.
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))},
                     {Cluster("up", {upstream.port()}) +
                      Overload(Heap(1 << 20), Action("stop_accepting_requests"))});
  EXPECT_TRUE(Eventually([&] { return Ask(port, Get("/")).status() == 503; }));
  EXPECT_EQ(Ask(port, Get("/")).body, "envoy overloaded");
  EXPECT_GE(proxy.Stat("downstream_rq_overload_close"), 1);
  EXPECT_EQ(proxy.Stat("overload_stop_accepting_requests"), 1);
}

TEST(Overload, ShedsStreamsAsWell) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))},
                     {Cluster("up", {upstream.port()}) +
                      Overload(Heap(1 << 20), Action("stop_accepting_requests"))});
  EXPECT_TRUE(Eventually([&] { return Ask(port, Get("/")).status() == 503; }));
  const double before = proxy.Stat("downstream_rq_overload_close");
  H2Client client(port);
  client.Ask(1, "/");
  const H2Response response = client.Await(1);
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.body, "envoy overloaded");
  EXPECT_TRUE(response.complete);
  EXPECT_EQ(proxy.Stat("downstream_rq_overload_close"), before + 1);
}

TEST(Overload, EndsConnectionsWithTheirRequests) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))},
                     {Cluster("up", {upstream.port()}) +
                      Overload(Heap(1 << 20), Action("disable_http_keepalive"))});
  EXPECT_TRUE(Eventually([&] { return Ask(port, Get("/")).Field("connection") == "close"; }));
  H2Client client(port);
  client.Ask(1, "/");
  EXPECT_EQ(client.Await(H2Frame::kGoaway).number(), H2Frame::kMostStreams);
  EXPECT_TRUE(client.socket().connected());
  EXPECT_GE(proxy.Stat("downstream_cx_overload_disable_keepalive"), 2);
}

TEST(Overload, TurnsConnectionsAway) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))},
                     {Cluster("up", {upstream.port()}) +
                      Overload(Heap(1 << 20), Action("reject_incoming_connections"))});
  EXPECT_TRUE(Eventually([&] { return Ask(port, Get("/")).status() == 0; }));
  EXPECT_TRUE(Socket::Connect(port).Ended());
  EXPECT_GE(proxy.Stat("downstream_cx_overload_reject"), 1);
}

TEST(Overload, LeavesConnectionsInTheQueue) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))},
                     {Cluster("up", {upstream.port()}) +
                      Overload(Heap(1 << 20), Action("stop_accepting_connections"))});
  ASSERT_TRUE(Eventually([&] { return proxy.Stat("overload_stop_accepting_connections") == 1; }));
  // The worker hears of it a moment after the admin port tells.
  absl::SleepFor(absl::Milliseconds(100));
  const double before = proxy.Stat("listener.in.downstream_cx_total");
  Socket client = Socket::Connect(port);
  EXPECT_TRUE(client.connected());
  client.Send(Get("/"));
  EXPECT_EQ(client.Read(1, absl::Milliseconds(300)), "");
  EXPECT_EQ(proxy.Stat("listener.in.downstream_cx_total"), before);
}

TEST(Overload, GivesFreeMemoryBack) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy(
      {HttpListener("in", port, RouteTo("up"))},
      {Cluster("up", {upstream.port()}) + Overload(Heap(1 << 20), Action("shrink_heap"))});
  EXPECT_TRUE(Eventually([&] { return proxy.Stat("overload_heap_shrinks") >= 1; }));
  EXPECT_EQ(Ask(port, Get("/")).status(), 200);
}

TEST(Overload, ConnectionsOfAListenerAreBounded) {
  Upstream upstream(Echo);
  const int port = FreePort();
  const int other_port = FreePort();
  ProxyProcess proxy(
      {HttpListener("in", port, RouteTo("up")), HttpListener("other", other_port, RouteTo("up"))},
      {Cluster("up", {upstream.port()}) +
       "\nlayered_runtime: {layers: [{name: s, static_layer: {envoy: {resource_limits: "
       "{listener: {in: {connection_limit: 1}}}}, overload: "
       "{global_downstream_max_connections: 2}}}]}\n"});
  Socket held = Socket::Connect(port);
  held.Send(Get("/"));
  EXPECT_EQ(held.ReadResponse().status(), 200);
  EXPECT_TRUE(Socket::Connect(port).Ended());
  EXPECT_EQ(proxy.Stat("listener.in.downstream_cx_overflow"), 1);
  // Others are not concerned, but for what the process may have.
  Socket second = Socket::Connect(other_port);
  second.Send(Get("/"));
  EXPECT_EQ(second.ReadResponse().status(), 200);
  EXPECT_TRUE(Socket::Connect(other_port).Ended());
  EXPECT_EQ(proxy.Stat("downstream_global_cx_overflow"), 1);
}

TEST(Overload, BelowTheBoundNothingIsShed) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))},
                     {Cluster("up", {upstream.port()}) +
                      Overload(Heap(uint64_t{1} << 40), Action("stop_accepting_requests"))});
  EXPECT_EQ(Ask(port, Get("/")).status(), 200);
}

TEST(Overload, ConnectionsOfTheProcessAreBounded) {
  Upstream upstream(Echo);
  const int port = FreePort();
  const std::string limit = absl::StrCat(
      "{name: envoy.resource_monitors.global_downstream_max_connections, typed_config: "
      "{\"@type\": ",
      kMonitors,
      "downstream_connections.v3.DownstreamConnectionsConfig, "
      "max_active_downstream_connections: 2}}");
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))},
                     {Cluster("up", {upstream.port()}) + Overload(limit, "")});
  std::vector<Socket> held;
  for (int i = 0; i < 2; ++i) {
    held.push_back(Socket::Connect(port));
    held.back().Send(Get("/"));
    EXPECT_EQ(held.back().ReadResponse().status(), 200);
  }
  EXPECT_TRUE(Socket::Connect(port).Ended());
  EXPECT_EQ(proxy.Stat("downstream_global_cx_overflow"), 1);
  held.pop_back();
  EXPECT_TRUE(Eventually([&] { return Ask(port, Get("/")).status() == 200; }));
}

// The processor time of a process, in clock ticks, out of /proc.
double CpuSeconds(pid_t pid) {
  FILE* stat = fopen(absl::StrCat("/proc/", pid, "/stat").c_str(), "re");
  if (stat == nullptr) return 0;
  unsigned long user = 0;
  unsigned long system = 0;
  const int read = fscanf(stat, "%*d (%*[^)]) %*c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu",
                          &user, &system);
  fclose(stat);
  return read == 2 ? static_cast<double>(user + system) / static_cast<double>(sysconf(_SC_CLK_TCK))
                   : 0;
}

TEST(Overload, Row112OutOfDescriptorsPausesAccepting) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"))}, {Cluster("up", {upstream.port()})});
  // (UBSan looks at what it has not seen before through a pipe, for which there is no room later.)
  EXPECT_EQ(Ask(port, Get("/")).status(), 200);
  rlimit before;
  ASSERT_EQ(prlimit(proxy.pid(), RLIMIT_NOFILE, nullptr, &before), 0);
  const rlimit few = {48, before.rlim_max};
  ASSERT_EQ(prlimit(proxy.pid(), RLIMIT_NOFILE, &few, nullptr), 0);
  std::vector<Socket> held;
  for (int i = 0; i < 64; ++i) held.push_back(Socket::Connect(port));
  const double started = CpuSeconds(proxy.pid());
  absl::SleepFor(absl::Milliseconds(500));  // the time a spin is measured over
  EXPECT_LT(CpuSeconds(proxy.pid()) - started, 0.2);
  held.clear();
  EXPECT_TRUE(Eventually([&] {
    Socket client = Socket::Connect(port);
    client.Send(Get("/"));
    return client.ReadResponse().status() == 200;
  }));
  EXPECT_GE(proxy.Stat("accept_paused"), 1);
}

}  // namespace
}  // namespace weft::test
