// Requests at full load while the control plane changes listeners, routes, endpoints and
// certificates, each every 100 ms: nothing may fail, and nobody may get another's answer.
//
// The control plane is a real gRPC server of ADS, the backends and the clients are coroutines on
// loops of their own. A request says by its path which cluster has to answer it, a backend's answer
// names its cluster. Clients over TLS verify the server and come back with a new handshake every so
// often, as do those without.
//
// WEFT_CHURN_REQUESTS (default 60000) sets the length of the run; the figure in the README is of
// 1000000.
#include <cstdlib>
#include <functional>
#include <future>
#include <iostream>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/discovery.grpc.pb.h"
#include "api/envoy/endpoint.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/route.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/envoy/type_urls.h"
#include "api/yaml/yaml_to_message.h"
#include "certs/issuer.h"
#include "certs/key.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "proxy/grpc/grpc_server_for_test.h"
#include "proxy/http/h1_decoder.h"
#include "proxy/http/h1_encoder.h"
#include "proxy/net/tcp.h"
#include "proxy/net/write_all.h"
#include "proxy/runtime/scope.h"
#include "proxy/tls/tls_stream.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;

constexpr absl::Duration kChangeInterval = absl::Milliseconds(100);
constexpr int kBackends = 4;  // of each cluster
constexpr int kClients = 64;
constexpr int kTlsClients = 16;  // of them
// Requests of a client until it connects anew.
constexpr int kRequestsPerConnection = 400;
constexpr char kServerId[] = "spiffe://churn/ns/a/sa/server";

int WantedRequests() {
  const char* given = getenv("WEFT_CHURN_REQUESTS");
  int requests = 60000;
  if (given != nullptr) EXPECT_TRUE(absl::SimpleAtoi(given, &requests));
  return requests;
}

// A loop on a thread of its own, with tasks that end with it.
class LoopThread {
 public:
  LoopThread() : thread_([this] { loop_.Run(); }) {}
  ~LoopThread() {
    loop_.Post([this] { scope_.Cancel(); });
    loop_.Stop();
    thread_.join();
  }
  EventLoop& loop() { return loop_; }
  Scope& scope() { return scope_; }
  // Runs `call` on the thread and waits for its end.
  void Do(const std::function<void()>& call) {
    std::promise<void> done;
    loop_.Post([&] {
      call();
      done.set_value();
    });
    done.get_future().wait();
  }

 private:
  EventLoop loop_;
  Scope scope_;
  std::thread thread_;
};

// ---- Backends.

Task<> Answer(EventLoop& loop, std::unique_ptr<TcpStream> stream, std::string name) {
  H1Decoder decoder(H1Decoder::Role::kRequests);
  Buffer in, out;
  while (true) {
    switch (decoder.Next(in)) {
      case H1Decoder::Event::kNeedMore: {
        const IoResult got = stream->Read(in, Buffer::kBlockSize);
        if (got.status == IoStatus::kEof) co_return;
        if (got.status == IoStatus::kError) co_return;
        if (got.status == IoStatus::kBlocked) co_await Wait(loop, {&stream->readable()});
        break;
      }
      case H1Decoder::Event::kBody: {
        const size_t size = decoder.body_size();
        in.Consume(size);
        decoder.BodyTaken(size);
        break;
      }
      case H1Decoder::Event::kEnd: {
        LocalReply reply;
        const std::string body = absl::StrCat(name, " ", decoder.request().path);
        reply.body = body;
        AppendLocalReply(reply, out);
        const bool written = co_await WriteAll(loop, *stream, out, kNever);
        if (!written) co_return;
        decoder.NextMessage();
        break;
      }
      case H1Decoder::Event::kHead:
        break;
      default:
        co_return;
    }
  }
}

Task<> ServeBackend(EventLoop& loop, Scope& connections, Listener& listener, std::string name) {
  while (true) {
    std::unique_ptr<TcpStream> stream = co_await listener.Accept();
    connections.Spawn(Answer(loop, std::move(stream), name));
  }
}

// ---- The control plane.

template <typename Message>
Message FromYaml(const std::string& yaml) {
  Message message;
  const auto documents = ParseYamlDocuments(yaml);
  EXPECT_TRUE(documents.ok()) << documents.status() << "\n" << yaml;
  const absl::Status status =
      YamlToMessage(documents->front()->root(), UnknownFields::kReject, &message);
  EXPECT_TRUE(status.ok()) << status << "\n" << yaml;
  return message;
}

// What the proxy is told at generation `turn`. Every kind differs from the turn before.
struct Script {
  int plain_port;
  int tls_port;
  int extra_port;
  std::vector<int> a_ports;
  std::vector<int> b_ports;
  const certs::Issuer* issuer;

  std::string Manager(int turn) const {
    return absl::StrCat(
        "filters: [{name: http, typed_config: {\"@type\": type.googleapis.com/"
        "envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, "
        "stat_prefix: in, server_name: turn-",
        turn,
        ", rds: {route_config_name: r, config_source: {ads: {}}}, http_filters: [{name: router, "
        "typed_config: {\"@type\": "
        "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router}}]}}]");
  }
  std::string ListenerYaml(const std::string& name, int port, const std::string& chain) const {
    return absl::StrCat("{name: ", name,
                        ", address: {socket_address: {address: 127.0.0.1, port_value: ", port,
                        "}}, filter_chains: [{", chain, "}]}");
  }

  void Listeners(int turn, DiscoveryResponse* to) const {
    using envoy::config::listener::v3::Listener;
    to->add_resources()->PackFrom(
        FromYaml<Listener>(ListenerYaml("plain", plain_port, Manager(turn))));
    to->add_resources()->PackFrom(FromYaml<Listener>(ListenerYaml(
        "tls", tls_port,
        absl::StrCat("transport_socket: {name: tls, typed_config: {\"@type\": "
                     "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3."
                     "DownstreamTlsContext, common_tls_context: {"
                     "tls_certificate_sds_secret_configs: [{name: cert, sds_config: {ads: "
                     "{}}}]}}}, ",
                     Manager(turn)))));
    if (turn % 2 == 1) {
      to->add_resources()->PackFrom(
          FromYaml<Listener>(ListenerYaml("extra", extra_port, Manager(turn))));
    }
  }

  void Routes(int turn, DiscoveryResponse* to) const {
    const char* swapped = turn % 2 == 0 ? "a" : "b";
    to->add_resources()->PackFrom(FromYaml<envoy::config::route::v3::RouteConfiguration>(
        absl::StrCat("{name: r, virtual_hosts: [{name: all, domains: ['*'], routes: [", "{name: t",
                     turn, ", match: {prefix: /a}, route: {cluster: a}}, ",
                     "{match: {prefix: /b}, route: {cluster: b}}, ",
                     "{match: {prefix: /either}, route: {cluster: ", swapped, "}}]}]}")));
  }

  void Clusters(int turn, DiscoveryResponse* to) const {
    for (const char* name : {"a", "b"}) {
      to->add_resources()->PackFrom(FromYaml<envoy::config::cluster::v3::Cluster>(
          absl::StrCat("{name: ", name, ", type: EDS, connect_timeout: ", 5 + turn % 3,
                       "s, eds_cluster_config: {eds_config: {ads: {}}}}")));
    }
  }

  // Half of the backends, another half each turn.
  void Endpoints(int turn, DiscoveryResponse* to) const {
    for (const auto& [name, ports] :
         std::map<std::string, std::vector<int>>{{"a", a_ports}, {"b", b_ports}}) {
      std::string endpoints;
      for (int i = 0; i < kBackends / 2; ++i) {
        absl::StrAppend(&endpoints, i > 0 ? ", " : "",
                        "{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ",
                        ports[(turn + i) % kBackends], "}}}}");
      }
      to->add_resources()->PackFrom(
          FromYaml<envoy::config::endpoint::v3::ClusterLoadAssignment>(absl::StrCat(
              "{cluster_name: ", name, ", endpoints: [{lb_endpoints: [", endpoints, "]}]}")));
    }
  }

  void Secrets(int, DiscoveryResponse* to) const {
    const certs::PrivateKey key = certs::PrivateKey::Generate();
    const auto chain = issuer->Issue(key.public_key(), *certs::SpiffeId::Parse(kServerId),
                                     certs::kLeafValidity, absl::Now());
    envoy::extensions::transport_sockets::tls::v3::Secret secret;
    secret.set_name("cert");
    auto* certificate = secret.mutable_tls_certificate();
    certificate->mutable_certificate_chain()->set_inline_string(absl::StrJoin(*chain, ""));
    certificate->mutable_private_key()->set_inline_string(key.ToPem());
    to->add_resources()->PackFrom(secret);
  }
};

class ChurningAds : public AggregatedDiscoveryService::Service {
 public:
  explicit ChurningAds(const Script& script) : script_(script) {}

  // Responses by type that the proxy acknowledged, and the texts of those it refused.
  std::map<std::string, int> acks() {
    std::lock_guard<std::mutex> lock(mutex_);
    return acks_;
  }
  std::vector<std::string> refusals() {
    std::lock_guard<std::mutex> lock(mutex_);
    return refusals_;
  }

 private:
  using Stream = grpc::ServerReaderWriter<DiscoveryResponse, DiscoveryRequest>;

  grpc::Status StreamAggregatedResources(grpc::ServerContext* context, Stream* stream) override {
    std::thread reading([this, stream] {
      DiscoveryRequest request;
      while (stream->Read(&request)) Note(request);
    });
    for (int turn = 0; !context->IsCancelled(); ++turn) {
      const absl::Time next = absl::Now() + kChangeInterval;
      Send(stream, kClusterType, turn, &Script::Clusters);
      Send(stream, kEndpointType, turn, &Script::Endpoints);
      Send(stream, kSecretType, turn, &Script::Secrets);
      Send(stream, kListenerType, turn, &Script::Listeners);
      Send(stream, kRouteType, turn, &Script::Routes);
      absl::SleepFor(next - absl::Now());
    }
    reading.join();
    return grpc::Status::OK;
  }

  void Note(const DiscoveryRequest& request) {
    std::lock_guard<std::mutex> lock(mutex_);
    asked_.insert(request.type_url());
    if (request.has_error_detail()) refusals_.push_back(request.error_detail().message());
    if (!request.response_nonce().empty()) ++acks_[request.type_url()];
  }
  bool Asked(absl::string_view type) {
    std::lock_guard<std::mutex> lock(mutex_);
    return asked_.count(std::string(type)) > 0;
  }

  void Send(Stream* stream, absl::string_view type, int turn,
            void (Script::*fill)(int, DiscoveryResponse*) const) {
    if (!Asked(type)) return;
    DiscoveryResponse response;
    response.set_type_url(std::string(type));
    response.set_version_info(absl::StrCat(turn));
    response.set_nonce(absl::StrCat(type, turn));
    (script_.*fill)(turn, &response);
    stream->Write(response);
  }

  const Script script_;
  std::mutex mutex_;
  std::set<std::string> asked_;
  std::map<std::string, int> acks_;
  std::vector<std::string> refusals_;
};

// ---- Clients, all on one loop.

struct Tally {
  int wanted = 0;
  int sent = 0;
  int right = 0;
  int clients = 0;  // still at work
  std::vector<std::string> wrong;
  std::set<std::string> certificates;  // seen by those with TLS
};

// One request, one answer: "" if it is right.
Task<std::string> AskOnce(EventLoop& loop, ByteStream& stream, H1Decoder& decoder, Buffer& in,
                          std::string path, std::string by) {
  Buffer out;
  out.Append(absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: h\r\n\r\n"));
  const MonotonicTime deadline = loop.Now() + kPatience;
  const bool written = co_await WriteAll(loop, stream, out, deadline);
  if (!written) co_return absl::StrCat(path, ": write failed: ", stream.error());
  decoder.ExpectResponse("GET");
  std::string body;
  while (true) {
    const H1Decoder::Event event = decoder.Next(in);
    if (event == H1Decoder::Event::kHead) continue;
    if (event == H1Decoder::Event::kBody) {
      const size_t size = decoder.body_size();
      body.append(in.data(), size);
      in.Consume(size);
      decoder.BodyTaken(size);
      continue;
    }
    if (event == H1Decoder::Event::kEnd) break;
    if (event != H1Decoder::Event::kNeedMore) co_return absl::StrCat(path, ": broke off");
    const IoResult got = stream.Read(in, Buffer::kBlockSize);
    if (got.status == IoStatus::kEof) decoder.OnEof();
    if (got.status == IoStatus::kError) co_return absl::StrCat(path, ": ", stream.error());
    if (got.status != IoStatus::kBlocked) continue;
    const bool notified = co_await Wait(loop, {&stream.readable()}, deadline);
    if (!notified) co_return absl::StrCat(path, ": no answer in time");
  }
  const int status = decoder.response().status;
  const std::string wanted_a = absl::StrCat("a ", path), wanted_b = absl::StrCat("b ", path);
  const bool from_a = body == wanted_a && by != "b";
  const bool from_b = body == wanted_b && by != "a";
  if (status != 200 || !(from_a || from_b)) {
    co_return absl::StrCat(path, ": ", status, " '", body, "'");
  }
  co_return "";
}

Task<> RunClient(EventLoop& loop, int port, std::shared_ptr<const ClientTlsContext> tls, int number,
                 Tally* tally) {
  const Address address = *Address::Parse(absl::StrCat("127.0.0.1:", port));
  ++tally->clients;
  while (tally->sent < tally->wanted) {
    auto connected = co_await ConnectTo(loop, address);
    if (!connected.ok()) {
      tally->wrong.push_back(connected.status().ToString());
      break;
    }
    std::unique_ptr<ByteStream> stream = *std::move(connected);
    if (tls != nullptr) {
      auto secured =
          co_await TlsStream::Connect(loop, std::move(stream), tls, loop.Now() + kPatience);
      if (!secured.ok()) {
        tally->wrong.push_back(secured.status().ToString());
        break;
      }
      tally->certificates.insert((*secured)->peer()->sha256);
      stream = *std::move(secured);
    }
    H1Decoder decoder(H1Decoder::Role::kResponses);
    Buffer in;
    for (int i = 0; i < kRequestsPerConnection && tally->sent < tally->wanted; ++i) {
      const int kind = ++tally->sent % 3;
      const std::string by = kind == 0 ? "a" : kind == 1 ? "b" : "either";
      std::string path = absl::StrCat("/", by, "/", number, "/", tally->sent);
      std::string wrong = co_await AskOnce(loop, *stream, decoder, in, std::move(path), by);
      if (wrong.empty()) {
        ++tally->right;
      } else {
        tally->wrong.push_back(std::move(wrong));
      }
      if (!decoder.keep_alive() || !tally->wrong.empty()) break;
      decoder.NextMessage();
    }
    if (tally->wrong.size() > 20) break;
  }
  --tally->clients;
}

class Churn : public testing::Test {
 protected:
  Churn() : issuer_(*certs::Issuer::CreateRoot("churn", absl::Now())) {
    script_.issuer = &issuer_;
    backends_.Do([this] {
      for (int i = 0; i < 2 * kBackends; ++i) {
        auto listener = Listener::Create(backends_.loop(), *Address::Parse("127.0.0.1:0"), {});
        listeners_.push_back(*std::move(listener));
        const bool of_a = i < kBackends;
        const int port = listeners_.back()->address().port();
        (of_a ? script_.a_ports : script_.b_ports).push_back(port);
        backends_.scope().Spawn(ServeBackend(backends_.loop(), backends_.scope(),
                                             *listeners_.back(), of_a ? "a" : "b"));
      }
    });
  }
  ~Churn() override {
    backends_.Do([this] {
      backends_.scope().Cancel();
      listeners_.clear();
    });
  }

  std::shared_ptr<const ClientTlsContext> TrustTheIssuer() const {
    auto bundles = std::make_shared<certs::TrustBundles>();
    EXPECT_TRUE(bundles->Set("churn", issuer_.root().ToPem()).ok());
    ClientTlsOptions options;
    options.server_trust.bundles = bundles;
    auto context = ClientTlsContext::Create(std::move(options));
    EXPECT_TRUE(context.ok()) << context.status();
    return *context;
  }

  const certs::Issuer issuer_;
  Script script_ = {FreePort(), FreePort(), FreePort(), {}, {}, nullptr};
  LoopThread backends_;
  std::vector<std::unique_ptr<Listener>> listeners_;  // of the backends' thread
};

std::string AdsCluster(int port) {
  return absl::StrCat(Cluster("xds", {port}),
                      "\nnode: {id: churn, cluster: churn}\ndynamic_resources: {ads_config: "
                      "{api_type: GRPC, transport_api_version: V3, grpc_services: "
                      "[{envoy_grpc: {cluster_name: xds}}]}, cds_config: {ads: {}}, "
                      "lds_config: {ads: {}}}");
}

TEST_F(Churn, FailsNoRequestAndMixesUpNone) {
  ChurningAds ads(script_);
  GrpcServerForTest server({&ads});
  const int static_port = FreePort();
  ProxyProcess proxy({HttpListener("static", static_port, RouteTo("xds"))},
                     {AdsCluster(server.address().port())});
  ASSERT_TRUE(Eventually([this] { return Socket::Connect(script_.tls_port).connected(); }))
      << proxy.Output();

  Tally tally;
  tally.wanted = WantedRequests();
  const std::shared_ptr<const ClientTlsContext> tls = TrustTheIssuer();
  const absl::Time started = absl::Now();
  LoopThread clients;
  clients.Do([&] {
    for (int i = 0; i < kClients; ++i) {
      const bool secured = i < kTlsClients;
      clients.scope().Spawn(RunClient(clients.loop(),
                                      secured ? script_.tls_port : script_.plain_port,
                                      secured ? tls : nullptr, i, &tally));
    }
  });
  bool over = false;
  while (!over) {
    absl::SleepFor(absl::Milliseconds(100));
    clients.Do([&] { over = tally.clients == 0; });
    ASSERT_TRUE(proxy.alive()) << proxy.Output();
  }
  const double seconds = absl::ToDoubleSeconds(absl::Now() - started);
  const std::map<std::string, int> acks = ads.acks();
  server.Stop();

  EXPECT_THAT(tally.wrong, testing::IsEmpty());
  EXPECT_EQ(tally.right, tally.wanted);
  EXPECT_THAT(ads.refusals(), testing::IsEmpty());
  // The changes took place while the load ran.
  const int turns = static_cast<int>(seconds * 10);
  for (const auto& [type, count] : acks) EXPECT_GT(count, turns / 2) << type;
  EXPECT_EQ(acks.size(), 5u);
  EXPECT_GT(tally.certificates.size(), 1u);
  std::cout << tally.right << " right and " << tally.wrong.size() << " wrong answers in " << seconds
            << " s, " << turns << " changes of each kind, " << tally.certificates.size()
            << " certificates seen\n";
}

}  // namespace
}  // namespace weft::test
