// How the running proxy, or one of its listeners, goes away: by SIGTERM, by the admin port, and by
// a change of config. Nothing that is under way is lost, and clients are told to go elsewhere.
#include <atomic>
#include <csignal>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/envoy/discovery.grpc.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/type_urls.h"
#include "api/yaml/yaml_to_message.h"
#include "gtest/gtest.h"
#include "proxy/grpc/grpc_server_for_test.h"
#include "test/proxy/h2_client.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;

// A proxy whose upstream holds requests for /slow back until they are released.
class Drain : public testing::Test {
 protected:
  // To be called first.
  void Start(const std::string& manager, const std::vector<std::string>& arguments = {}) {
    proxy_.emplace(std::vector<std::string>{HttpListener("in", port_, RouteTo("up"), manager)},
                   std::vector<std::string>{Cluster("up", {upstream_.port()})}, arguments);
  }
  ProxyProcess& proxy() { return *proxy_; }
  void AwaitSlow(int requests) {
    EXPECT_TRUE(Eventually([&] { return slow_.load() == requests; }));
  }

  std::atomic<bool> release_{false};
  std::atomic<int> slow_{0};
  Upstream upstream_{[this](Socket& socket, int) {
    while (true) {
      const Message request = socket.ReadRequest();
      if (!request.complete) return;
      if (absl::StrContains(request.head, "/slow")) {
        ++slow_;
        Eventually([this] { return release_.load(); });
      }
      socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok");
    }
  }};
  const int port_ = FreePort();
  std::optional<ProxyProcess> proxy_;
};

TEST_F(Drain, TermEndsHttp2InTwoSteps) {
  Start("");
  H2Client client(port_);
  client.LeavePings();
  client.Ask(1, "/slow");
  AwaitSlow(1);
  proxy().Signal(SIGTERM);
  EXPECT_EQ(client.Await(H2Frame::kGoaway).number(), H2Frame::kMostStreams);
  const H2Frame ping = client.Await(H2Frame::kPing);
  // On its way when the client heard of it: still served.
  client.Ask(3, "/");
  EXPECT_EQ(client.Await(3).body, "ok");
  client.Send(H2Frame::kPing, H2Frame::kAck, 0, ping.payload);
  const H2Frame last = client.Await(H2Frame::kGoaway);
  EXPECT_EQ(last.number(), 3u);
  EXPECT_TRUE(proxy().alive());
  release_ = true;
  const H2Response answer = client.Await(1);
  EXPECT_EQ(answer.body, "ok");
  EXPECT_TRUE(answer.complete);
  EXPECT_TRUE(client.socket().Ended());
  EXPECT_EQ(proxy().AwaitExit(), 0) << proxy().Output();
}

TEST_F(Drain, DoesNotWaitForAPeerThatLeavesPings) {
  Start("drain_timeout: 0.3s,");
  H2Client client(port_);
  client.LeavePings();
  client.Ask(1, "/");
  EXPECT_EQ(client.Await(1).body, "ok");
  const absl::Time started = absl::Now();
  proxy().Signal(SIGTERM);
  EXPECT_EQ(client.Await(H2Frame::kGoaway).number(), H2Frame::kMostStreams);
  EXPECT_EQ(client.Await(H2Frame::kGoaway).number(), 1u);
  EXPECT_GE(absl::Now() - started, absl::Milliseconds(300));
  EXPECT_TRUE(client.socket().Ended());
  EXPECT_EQ(proxy().AwaitExit(), 0) << proxy().Output();
}

TEST_F(Drain, TermCutsWhatDoesNotEndInTime) {
  Start("", {"--drain-time-s", "1"});
  Socket busy = Socket::Connect(port_);
  busy.Send(Get("/slow"));
  AwaitSlow(1);
  const absl::Time started = absl::Now();
  proxy().Signal(SIGTERM);
  EXPECT_EQ(proxy().AwaitExit(), 0) << proxy().Output();
  // (A loop's clock is that of its turn, some milliseconds ago.)
  EXPECT_GE(absl::Now() - started, absl::Milliseconds(900));
  EXPECT_FALSE(busy.ReadResponse().complete);
  release_ = true;
}

TEST_F(Drain, GracefullyByTheAdminPort) {
  Start("", {"--drain-time-s", "3"});
  Socket idle = Socket::Connect(port_);
  idle.Send(Get("/"));
  EXPECT_EQ(idle.ReadResponse().Field("connection"), "");
  EXPECT_EQ(proxy().Admin("/drain_listeners?skip_exit", "POST").status(), 400);
  EXPECT_EQ(proxy().Admin("/drain_listeners?graceful", "POST").status(), 200);
  // Who comes is served, and told to go.
  EXPECT_TRUE(Eventually([&] { return Ask(port_, Get("/")).Field("connection") == "close"; }));
  H2Client two(port_);
  two.Ask(1, "/");
  EXPECT_EQ(two.Await(H2Frame::kGoaway).number(), H2Frame::kMostStreams);
  EXPECT_EQ(two.Await(1).body, "ok");
  // Who was here is not cut off before it could be told.
  idle.Send(Get("/"));
  const Message answer = idle.ReadResponse();
  EXPECT_EQ(answer.body, "ok");
  EXPECT_EQ(answer.Field("connection"), "close");
  EXPECT_TRUE(Eventually([&] { return !Socket::Connect(port_).connected(); }));
  EXPECT_TRUE(proxy().alive());
  EXPECT_GE(proxy().Stat("downstream_cx_drain_close"), 3);
}

TEST_F(Drain, AFailedHealthCheckSendsClientsElsewhere) {
  Start("");
  const auto connection = [&] { return Ask(port_, Get("/")).Field("connection"); };
  EXPECT_EQ(connection(), "");
  proxy().Admin("/healthcheck/fail", "POST");
  EXPECT_TRUE(Eventually([&] { return connection() == "close"; }));
  H2Client two(port_);
  two.Ask(1, "/");
  EXPECT_EQ(two.Await(H2Frame::kGoaway).number(), H2Frame::kMostStreams);
  proxy().Admin("/healthcheck/ok", "POST");
  EXPECT_TRUE(Eventually([&] { return connection() == ""; }));
}

// ---- Changes of config.

envoy::config::listener::v3::Listener ListenerFrom(const std::string& yaml) {
  envoy::config::listener::v3::Listener message;
  const auto documents = ParseYamlDocuments(yaml);
  EXPECT_TRUE(documents.ok()) << documents.status() << "\n" << yaml;
  const absl::Status status =
      YamlToMessage(documents->front()->root(), UnknownFields::kReject, &message);
  EXPECT_TRUE(status.ok()) << status << "\n" << yaml;
  return message;
}

// Serves a set of listeners, which the test changes, and no cluster.
class ListenerAds : public AggregatedDiscoveryService::Service {
 public:
  void Set(const std::vector<std::string>& listeners) {
    std::lock_guard<std::mutex> lock(mutex_);
    ++version_;
    listeners_ = listeners;
  }

 private:
  using Stream = grpc::ServerReaderWriter<DiscoveryResponse, DiscoveryRequest>;

  grpc::Status StreamAggregatedResources(grpc::ServerContext* context, Stream* stream) override {
    std::thread reading([stream] {
      DiscoveryRequest request;
      while (stream->Read(&request)) EXPECT_EQ(request.error_detail().message(), "");
    });
    Send(stream, std::string(kClusterType), 1, {});
    int sent = 0;
    while (!context->IsCancelled()) {
      std::vector<std::string> listeners;
      int version;
      {
        std::lock_guard<std::mutex> lock(mutex_);
        listeners = listeners_;
        version = version_;
      }
      if (version != sent) Send(stream, std::string(kListenerType), version, listeners);
      sent = version;
      absl::SleepFor(absl::Milliseconds(5));
    }
    reading.join();
    return grpc::Status::OK;
  }

  static void Send(Stream* stream, const std::string& type, int version,
                   const std::vector<std::string>& listeners) {
    DiscoveryResponse response;
    response.set_type_url(type);
    response.set_version_info(absl::StrCat(version));
    response.set_nonce(absl::StrCat(type, version));
    for (const std::string& yaml : listeners) {
      response.add_resources()->PackFrom(ListenerFrom(yaml));
    }
    stream->Write(response);
  }

  std::mutex mutex_;
  std::vector<std::string> listeners_;
  int version_ = 0;
};

class ChangedListener : public testing::Test {
 protected:
  ChangedListener()
      : server_({&ads_}),
        proxy_({HttpListener("static", FreePort(), RouteTo("xds"))},
               {absl::StrCat(Cluster("xds", {server_.address().port()}),
                             "\nnode: {id: a, cluster: b}\ndynamic_resources: {ads_config: "
                             "{api_type: GRPC, transport_api_version: V3, grpc_services: "
                             "[{envoy_grpc: {cluster_name: xds}}]}, cds_config: {ads: {}}, "
                             "lds_config: {ads: {}}}")},
               {"--drain-time-s", "3"}) {}

  // Of a listener whose answers say `body`.
  static std::string Saying(const std::string& name, int port, const std::string& body) {
    return HttpListener(name, port,
                        absl::StrCat("{match: {prefix: /}, direct_response: {status: 200, body: "
                                     "{inline_string: ",
                                     body, "}}}"));
  }
  void Set(const std::vector<std::string>& listeners) { ads_.Set(listeners); }
  static std::string Said(int port) {
    Socket client = Socket::Connect(port);
    if (!client.connected()) return "";
    client.Send(Get("/"));
    return client.ReadResponse().body;
  }

  ListenerAds ads_;
  GrpcServerForTest server_;
  ProxyProcess proxy_;
  const int port_ = FreePort();
  const int other_port_ = FreePort();
};

TEST_F(ChangedListener, DrainsItsOwnConnectionsAlone) {
  const std::string other = Saying("other", other_port_, "other");
  Set({Saying("in", port_, "before"), other});
  ASSERT_TRUE(Eventually([&] { return Said(other_port_) == "other"; })) << proxy_.Output();
  Socket here = Socket::Connect(port_);
  Socket there = Socket::Connect(other_port_);
  Socket silent = Socket::Connect(port_);
  H2Client two(port_);
  for (Socket* socket : {&here, &there, &silent}) {
    socket->Send(Get("/"));
    EXPECT_EQ(socket->ReadResponse().Field("connection"), "");
  }
  two.Ask(1, "/");
  EXPECT_EQ(two.Await(1).body, "before");

  Set({Saying("in", port_, "after"), other});
  ASSERT_TRUE(Eventually([&] { return Said(port_) == "after"; }));
  // A connection keeps what it was accepted by, is not cut off, and is told to come anew.
  here.Send(Get("/"));
  const Message last = here.ReadResponse();
  EXPECT_EQ(last.body, "before");
  EXPECT_EQ(last.Field("connection"), "close");
  EXPECT_EQ(two.Await(H2Frame::kGoaway).number(), H2Frame::kMostStreams);
  there.Send(Get("/"));
  EXPECT_EQ(there.ReadResponse().Field("connection"), "");
  // One that says nothing more ends with the drain time, in order.
  EXPECT_TRUE(silent.Ended());
  EXPECT_FALSE(silent.was_reset());
  there.Send(Get("/"));
  EXPECT_EQ(there.ReadResponse().body, "other");
}

TEST_F(ChangedListener, ThatIsGoneTakesNoMoreConnections) {
  Set({Saying("in", port_, "before")});
  ASSERT_TRUE(Eventually([&] { return Said(port_) == "before"; })) << proxy_.Output();
  Socket here = Socket::Connect(port_);
  here.Send(Get("/"));
  EXPECT_EQ(here.ReadResponse().body, "before");
  Set({});
  EXPECT_TRUE(Eventually([&] { return !Socket::Connect(port_).connected(); }));
  here.Send(Get("/"));
  EXPECT_EQ(here.ReadResponse().Field("connection"), "close");
}

}  // namespace
}  // namespace weft::test
