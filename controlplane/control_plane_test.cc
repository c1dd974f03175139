// The control plane as its clients see it: real ports, real folders, real gRPC.
#include "controlplane/control_plane.h"

#include <grpcpp/create_channel_posix.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <fstream>
#include <functional>
#include <memory>
#include <nlohmann/json.hpp>
#include <set>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "absl/time/clock.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/discovery.grpc.pb.h"
#include "api/envoy/endpoint.pb.h"
#include "api/istio/ca.grpc.pb.h"
#include "certs/csr.h"
#include "certs/key.h"
#include "certs/test_jwt.h"
#include "certs/token.h"
#include "certs/trust_bundle.h"
#include "controlplane/ads/client.h"
#include "controlplane/federation/gateway_for_test.h"
#include "controlplane/transport/pump.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/tls/tls_stream.h"

namespace weft {
namespace {

using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;

constexpr char kTokenKey[] = "0123456789abcdef0123456789abcdef";
constexpr char kHello[] = "outbound|5000||hello.default.svc.cluster.local";

// One service with its pods at the addresses.
std::string HelloYaml(const std::vector<std::string>& addresses) {
  std::string yaml = R"(
apiVersion: v1
kind: Service
metadata: {name: hello, namespace: default}
spec:
  clusterIP: 10.96.0.10
  selector: {app: hello}
  ports: [{name: http, port: 5000}]
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: hello-1
  namespace: default
  labels: {kubernetes.io/service-name: hello}
addressType: IPv4
ports: [{name: http, port: 5000}]
endpoints:
)";
  for (const std::string& address : addresses) {
    absl::StrAppend(&yaml, "- {addresses: [", address,
                    "], conditions: {ready: true}, targetRef: ", "{kind: Pod, name: hello-",
                    absl::StrReplaceAll(address, {{".", "-"}}), ", namespace: default}}\n");
  }
  for (const std::string& address : addresses) {
    absl::StrAppend(&yaml, "---\napiVersion: v1\nkind: Pod\nmetadata:\n  name: hello-",
                    absl::StrReplaceAll(address, {{".", "-"}}), R"(
  namespace: default
  labels: {app: hello}
  annotations: {sidecar.istio.io/status: "{}"}
spec:
  serviceAccountName: hello
  containers: [{name: app, image: app, ports: [{containerPort: 5000}]}]
status: {phase: Running, podIP: )",
                    address, ", conditions: [{type: Ready, status: \"True\"}]}\n");
  }
  return yaml;
}

// A folder that goes with the test.
class Folder {
 public:
  explicit Folder(const std::string& name) {
    std::string pattern = absl::StrCat(getenv("TEST_TMPDIR"), "/", name, "-XXXXXX");
    path_ = mkdtemp(pattern.data());
  }
  const std::string& path() const { return path_; }
  void Write(const std::string& name, const std::string& text) const {
    const std::string temporary = absl::StrCat(path_, "/.", name, ".tmp");
    std::ofstream(temporary) << text;
    ASSERT_EQ(rename(temporary.c_str(), absl::StrCat(path_, "/", name).c_str()), 0);
  }

 private:
  std::string path_;
};

Address Loopback() { return *Address::Ip("127.0.0.1", 0); }

struct Cluster {
  explicit Cluster(const std::string& name, std::vector<GatewayAddress> gateways = {})
      : name(name), registry(name), peers(name + "-peers"), data(name + "-data") {
    options.self.cluster = name;
    options.self.network = name + "-net";
    options.self.mesh_id = "test";
    options.self.trust_domain = name + ".weft";
    options.self.peer_api = {"127.0.0.1", 15013};
    options.registry_folders = {registry.path()};
    options.data_folder = data.path();
    options.token_key = kTokenKey;
    options.peers_folder = peers.path();
    options.exports = ExportPolicy::kAll;
    options.gateways = std::move(gateways);
    options.xds = options.xds_plain = options.peer = options.monitoring = options.debug =
        Loopback();
  }
  void Start() {
    auto started = ControlPlane::Start(options);
    ASSERT_TRUE(started.ok()) << started.status();
    control_plane = *std::move(started);
  }
  std::string PeerYaml(const std::string& gateway) const {
    return absl::StrCat("cluster: ", name, "\nnetwork: ", name, "-net\ntrustDomain: ", name,
                        ".weft\ngateways: [\"", gateway, "\"]\nroots: |\n  ",
                        absl::StrReplaceAll(control_plane->roots_pem(), {{"\n", "\n  "}}), "\n");
  }

  std::string name;
  Folder registry;
  Folder peers;
  Folder data;
  ControlPlaneOptions options;
  std::unique_ptr<ControlPlane> control_plane;
};

const ResourceType& Type(absl::string_view name) {
  for (const ResourceType& type : ResourceTypes()) {
    if (type.name == name) return type;
  }
  abort();
}

// A proxy's stream, in blocking calls.
class Proxy {
 public:
  Proxy(std::shared_ptr<grpc::Channel> channel, const std::string& node)
      : stub_(AggregatedDiscoveryService::NewStub(channel)), node_(node) {
    context_.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(20));
    context_.set_wait_for_ready(true);
    stream_ = stub_->StreamAggregatedResources(&context_);
  }
  ~Proxy() { context_.TryCancel(); }

  void Ask(absl::string_view type, std::vector<std::string> names) { Say(type, names, "", ""); }
  void Ack(absl::string_view type, const DiscoveryResponse& response,
           std::vector<std::string> names = {}) {
    Say(type, names, response.nonce(), "");
  }
  void Nack(absl::string_view type, const DiscoveryResponse& response, const std::string& why,
            std::vector<std::string> names) {
    Say(type, names, response.nonce(), why);
  }
  // The next response, which has to be of this type.
  DiscoveryResponse Next(absl::string_view type) {
    DiscoveryResponse response;
    EXPECT_TRUE(stream_->Read(&response)) << "the stream ended, waiting for " << type;
    EXPECT_EQ(response.type_url(), Type(type).url);
    return response;
  }
  grpc::Status End() {
    DiscoveryResponse ignored;
    while (stream_->Read(&ignored)) {
    }
    return stream_->Finish();
  }

 private:
  void Say(absl::string_view type, const std::vector<std::string>& names, const std::string& nonce,
           const std::string& error) {
    DiscoveryRequest request;
    request.set_type_url(std::string(Type(type).url));
    request.mutable_node()->set_id(node_);
    for (const std::string& name : names) request.add_resource_names(name);
    request.set_response_nonce(nonce);
    if (!error.empty()) request.mutable_error_detail()->set_message(error);
    stream_->Write(request);
  }

  std::unique_ptr<AggregatedDiscoveryService::Stub> stub_;
  const std::string node_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::ClientReaderWriter<DiscoveryRequest, DiscoveryResponse>> stream_;
};

std::shared_ptr<grpc::Channel> Plain(const Cluster& cluster) {
  return grpc::CreateChannel(cluster.control_plane->xds_plain().ToString(),
                             grpc::InsecureChannelCredentials());
}

// "10.0.0.1:5000" of each endpoint, sorted; with its weight where that is not 1.
std::string EndpointsIn(const DiscoveryResponse& response) {
  std::set<std::string> found;
  for (const auto& any : response.resources()) {
    ClusterLoadAssignment assignment;
    EXPECT_TRUE(any.UnpackTo(&assignment));
    for (const auto& locality : assignment.endpoints()) {
      for (const auto& endpoint : locality.lb_endpoints()) {
        const auto& address = endpoint.endpoint().address().socket_address();
        std::string text = absl::StrCat(address.address(), ":", address.port_value());
        const uint32_t weight = endpoint.load_balancing_weight().value();
        if (weight > 1) absl::StrAppend(&text, "*", weight);
        found.insert(text);
      }
    }
  }
  return absl::StrJoin(found, " ");
}

constexpr char kNode[] = "sidecar~10.0.0.1~hello-10-0-0-1.default~default.svc.cluster.local";

TEST(ControlPlane, KeySetsThatWereFetchedOutliveARestart) {
  Cluster east("east");
  east.registry.Write("hello.yaml", HelloYaml({"10.0.0.1"}));
  east.registry.Write("jwt.yaml", R"(
apiVersion: security.istio.io/v1
kind: RequestAuthentication
metadata: {name: jwt, namespace: default}
spec: {jwtRules: [{issuer: a, jwksUri: "https://keys.invalid/jwks"}]}
)");
  const std::string keys = certs::TestJwtKey("ES256").KeySet(R"("kid":"kept-key")");
  east.data.Write("key_sets.json", nlohmann::json{{"https://keys.invalid/jwks", keys}}.dump());
  east.Start();
  Proxy proxy(Plain(east), kNode);
  absl::SleepFor(absl::Milliseconds(300));
  proxy.Ask("lds", {});
  const std::string listeners = proxy.Next("lds").SerializeAsString();
  EXPECT_TRUE(absl::StrContains(listeners, "kept-key"));
  EXPECT_FALSE(absl::StrContains(listeners, "weft-no-keys"));
}

TEST(ControlPlane, PushesAnEditedFileWithinMilliseconds) {
  Cluster east("east");
  east.registry.Write("hello.yaml", HelloYaml({"10.0.0.1"}));
  east.Start();
  Proxy proxy(Plain(east), kNode);
  // The registry is read beside the start; until then streams are told to come again.
  absl::SleepFor(absl::Milliseconds(300));
  proxy.Ask("cds", {});
  DiscoveryResponse clusters = proxy.Next("cds");
  proxy.Ack("cds", clusters);
  std::set<std::string> names;
  for (const auto& any : clusters.resources()) {
    envoy::config::cluster::v3::Cluster cluster;
    ASSERT_TRUE(any.UnpackTo(&cluster));
    names.insert(cluster.name());
  }
  EXPECT_TRUE(names.contains(kHello)) << absl::StrJoin(names, " ");
  proxy.Ask("eds", {kHello});
  DiscoveryResponse endpoints = proxy.Next("eds");
  proxy.Ack("eds", endpoints, {kHello});
  EXPECT_EQ(EndpointsIn(endpoints), "10.0.0.1:5000");
  proxy.Ask("lds", {});
  proxy.Ack("lds", proxy.Next("lds"));
  proxy.Ask("rds", {"5000"});
  DiscoveryResponse routes = proxy.Next("rds");
  EXPECT_EQ(routes.resources_size(), 1);
  proxy.Ack("rds", routes, {"5000"});

  const absl::Time edited = absl::Now();
  east.registry.Write("hello.yaml", HelloYaml({"10.0.0.1", "10.0.0.2"}));
  endpoints = proxy.Next("eds");
  const absl::Duration took = absl::Now() - edited;
  EXPECT_EQ(EndpointsIn(endpoints), "10.0.0.1:5000 10.0.0.2:5000");
  EXPECT_LT(took, absl::Milliseconds(100));
  RecordProperty("edit_to_push", absl::FormatDuration(took));
  printf("edit to push: %s\n", absl::FormatDuration(took).c_str());
}

TEST(ControlPlane, BrokenYamlAndANackKeepTheLastGoodState) {
  Cluster east("east");
  east.registry.Write("hello.yaml", HelloYaml({"10.0.0.1"}));
  east.Start();
  absl::SleepFor(absl::Milliseconds(300));
  Proxy proxy(Plain(east), kNode);
  proxy.Ask("eds", {kHello});
  DiscoveryResponse endpoints = proxy.Next("eds");
  proxy.Nack("eds", endpoints, "no, thank you", {kHello});
  east.registry.Write("hello.yaml", "kind: Service\nmetadata: {name: [\n");
  absl::SleepFor(absl::Milliseconds(100));
  // Neither the refusal nor the broken file brought anything: the next response is of this change.
  east.registry.Write("hello.yaml", HelloYaml({"10.0.0.1", "10.0.0.3"}));
  EXPECT_EQ(EndpointsIn(proxy.Next("eds")), "10.0.0.1:5000 10.0.0.3:5000");
}

TEST(ControlPlane, APortInUseIsAClearError) {
  Cluster first("east");
  first.Start();
  struct Case {
    Address ControlPlaneOptions::* which;
    Address taken;
  };
  const Case cases[] = {{&ControlPlaneOptions::xds, first.control_plane->xds()},
                        {&ControlPlaneOptions::xds_plain, first.control_plane->xds_plain()},
                        {&ControlPlaneOptions::peer, first.control_plane->peer()},
                        {&ControlPlaneOptions::monitoring, first.control_plane->monitoring()},
                        {&ControlPlaneOptions::debug, first.control_plane->debug()}};
  for (const Case& c : cases) {
    Cluster second("east");
    second.options.*c.which = c.taken;
    auto started = ControlPlane::Start(second.options);
    ASSERT_FALSE(started.ok()) << c.taken.ToString();
    EXPECT_TRUE(absl::StrContains(started.status().message(), c.taken.ToString()))
        << started.status();
  }
}

// ---- TLS

// A client's connection: a loop of its own carries bytes between TLS and gRPC.
class TlsChannel {
 public:
  TlsChannel(const Address& to, ClientTlsOptions options) {
    auto context = ClientTlsContext::Create(std::move(options));
    EXPECT_TRUE(context.ok()) << context.status();
    auto [ours, grpcs] = StreamSocketPair();
    channel_ = grpc::CreateInsecureChannelFromFd("weftd", grpcs);
    const int fd = ours;
    thread_ = std::thread([this, fd, to, context = *context] {
      {
        Scope scope;
        scope.Spawn(Carry(loop_, fd, to, context));
        loop_.Run();
      }
    });
  }
  ~TlsChannel() {
    channel_.reset();
    loop_.Stop();
    thread_.join();
  }
  std::shared_ptr<grpc::Channel> channel() { return channel_; }

 private:
  static Task<> Carry(EventLoop& loop, int fd, Address to,
                      std::shared_ptr<const ClientTlsContext> context) {
    TcpStream inside(loop, fd);
    ConnectOptions options;
    options.deadline = loop.Now() + absl::Seconds(5);
    auto tcp = co_await Connect(loop, to, options);
    if (!tcp.ok()) co_return;
    auto tls = co_await TlsStream::Connect(loop, *std::move(tcp), context, options.deadline);
    EXPECT_TRUE(tls.ok()) << tls.status();
    if (tls.ok()) co_await Pump(loop, **tls, inside);
  }

  EventLoop loop_;
  std::shared_ptr<grpc::Channel> channel_;
  std::thread thread_;
};

ClientTlsOptions TrustingOnly(const Cluster& cluster) {
  auto bundles = std::make_shared<certs::TrustBundles>();
  EXPECT_TRUE(
      bundles->Set(cluster.options.self.trust_domain, cluster.control_plane->roots_pem()).ok());
  ClientTlsOptions options;
  options.server_trust.bundles = bundles;
  options.sni = "weftd";
  options.alpn = {"h2"};
  return options;
}

// What a workload does at its start: a key, a CSR, a token, a certificate.
TlsCertificate Enroll(const Cluster& cluster, const std::string& account) {
  TlsChannel channel(cluster.control_plane->xds(), TrustingOnly(cluster));
  certs::SpiffeId id{cluster.options.self.trust_domain, "default", account};
  certs::TokenClaims claims;
  claims.namespace_ = "default";
  claims.service_account = account;
  claims.expiry = absl::Now() + absl::Minutes(5);
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  istio::v1::auth::IstioCertificateRequest request;
  request.set_csr(certs::MakeCsr(key, id));
  istio::v1::auth::IstioCertificateResponse response;
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(5));
  context.AddMetadata("authorization", "Bearer " + *certs::SignToken(kTokenKey, claims));
  auto stub = istio::v1::auth::IstioCertificateService::NewStub(channel.channel());
  const grpc::Status status = stub->CreateCertificate(&context, request, &response);
  EXPECT_TRUE(status.ok()) << status.error_message();
  TlsCertificate certificate;
  // All but the root, which is last.
  for (int i = 0; i + 1 < response.cert_chain_size(); ++i) {
    absl::StrAppend(&certificate.chain_pem, response.cert_chain(i));
  }
  certificate.key_pem = key.ToPem();
  return certificate;
}

TEST(ControlPlane, DiscoveryOverTlsIsForWhoeverProvesToBeTheNode) {
  Cluster east("east");
  east.registry.Write("hello.yaml", HelloYaml({"10.0.0.1"}));
  east.Start();
  absl::SleepFor(absl::Milliseconds(300));

  ClientTlsOptions nobody = TrustingOnly(east);
  ClientTlsOptions hello = TrustingOnly(east);
  hello.certificate = Enroll(east, "hello");
  ClientTlsOptions other = TrustingOnly(east);
  other.certificate = Enroll(east, "other");
  {
    TlsChannel channel(east.control_plane->xds(), hello);
    Proxy proxy(channel.channel(), kNode);
    proxy.Ask("eds", {kHello});
    EXPECT_EQ(EndpointsIn(proxy.Next("eds")), "10.0.0.1:5000");
  }
  {
    TlsChannel channel(east.control_plane->xds(), other);
    Proxy proxy(channel.channel(), kNode);
    proxy.Ask("eds", {kHello});
    EXPECT_EQ(proxy.End().error_code(), grpc::StatusCode::PERMISSION_DENIED);
  }
  {
    TlsChannel channel(east.control_plane->xds(), nobody);
    Proxy proxy(channel.channel(), kNode);
    proxy.Ask("eds", {kHello});
    EXPECT_EQ(proxy.End().error_code(), grpc::StatusCode::UNAUTHENTICATED);
  }
}

// ---- Two clusters, each with a gateway in front of its peer port.

class TwoClusters : public testing::Test {
 protected:
  void SetUp() override {
    east_.registry.Write("hello.yaml", HelloYaml({"10.0.0.1"}));
    west_.registry.Write("hello.yaml", HelloYaml({"10.0.0.1", "10.0.0.2"}));
    east_.Start();
    west_.Start();
    east_gateway_.LeadTo(east_.control_plane->peer());
    west_gateway_.LeadTo(west_.control_plane->peer());
    // They name no gateways of their own, so the other goes on with those configured.
    east_.peers.Write("west.yaml", west_.PeerYaml(west_gateway_.ToString()));
    west_.peers.Write("east.yaml", east_.PeerYaml(east_gateway_.ToString()));
  }
  // A stream of a proxy in east, which has seen `expected`.
  std::unique_ptr<Proxy> ProxyThatSees(const std::string& expected) {
    auto proxy = std::make_unique<Proxy>(Plain(east_), kNode);
    absl::SleepFor(absl::Milliseconds(300));
    proxy->Ask("eds", {kHello});
    AwaitEndpoints(*proxy, expected);
    return proxy;
  }
  static void AwaitEndpoints(Proxy& proxy, const std::string& expected) {
    for (std::string seen; seen != expected;) {
      const DiscoveryResponse response = proxy.Next("eds");
      ASSERT_GT(response.resources_size(), 0) << "saw " << seen << ", expected " << expected;
      proxy.Ack("eds", response, {kHello});
      seen = EndpointsIn(response);
    }
  }
  std::string InWest(int pods) const {
    return absl::StrCat(" ", west_gateway_.ToString(), "*", pods);
  }

  Cluster east_{"east"};
  Cluster west_{"west"};
  GatewayOnThread east_gateway_;
  GatewayOnThread west_gateway_;
};

TEST_F(TwoClusters, ShareTheirServicesAndKeepThemWhenAControlPlaneDies) {
  const auto proxy = ProxyThatSees("10.0.0.1:5000" + InWest(2));
  // A change there arrives here.
  const absl::Time edited = absl::Now();
  west_.registry.Write("hello.yaml", HelloYaml({"10.0.0.1", "10.0.0.2", "10.0.0.3"}));
  AwaitEndpoints(*proxy, "10.0.0.1:5000" + InWest(3));
  printf("edit there to push here: %s\n", absl::FormatDuration(absl::Now() - edited).c_str());

  // West's weftd dies, and its gateway does not: the next thing east's proxy hears of is east's own
  // change, with west still in it.
  west_.control_plane.reset();
  absl::SleepFor(absl::Seconds(4));
  east_.registry.Write("hello.yaml", HelloYaml({"10.0.0.1", "10.0.0.9"}));
  const DiscoveryResponse next = proxy->Next("eds");
  EXPECT_EQ(EndpointsIn(next), "10.0.0.1:5000 10.0.0.9:5000" + InWest(3));
}

TEST_F(TwoClusters, Row117AGatewayThatStopsIsOutOfRoutingWithinThreeSecondsAndBackAfterIt) {
  const auto proxy = ProxyThatSees("10.0.0.1:5000" + InWest(2));
  const absl::Time stopped = absl::Now();
  west_gateway_.Freeze(true);
  AwaitEndpoints(*proxy, "10.0.0.1:5000");
  EXPECT_LT(absl::Now() - stopped, absl::Seconds(3));
  west_gateway_.Freeze(false);
  AwaitEndpoints(*proxy, "10.0.0.1:5000" + InWest(2));
}

TEST_F(TwoClusters, Row86WhatIsKnownFromBeforeAStartCountsUntilTheGatewayHasFailed) {
  ProxyThatSees("10.0.0.1:5000" + InWest(2));
  west_.control_plane.reset();
  west_gateway_.Freeze(true);
  east_.control_plane.reset();
  east_.Start();
  const absl::Time started = absl::Now();
  const auto proxy = ProxyThatSees("10.0.0.1:5000" + InWest(2));
  AwaitEndpoints(*proxy, "10.0.0.1:5000");
  EXPECT_LT(absl::Now() - started, absl::Seconds(4));
}

}  // namespace
}  // namespace weft
