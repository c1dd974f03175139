// Links between whole control planes, as operators make them and as others would like to: real
// ports, real gateways, the admin socket.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/envoy/discovery.pb.h"
#include "api/istio/ca.pb.h"
#include "api/weft/admin.pb.h"
#include "api/weft/link.pb.h"
#include "api/weft/peer.pb.h"
#include "certs/csr.h"
#include "certs/issuer.h"
#include "certs/key.h"
#include "controlplane/ads/client.h"
#include "controlplane/control_plane.h"
#include "controlplane/federation/control_plane_id.h"
#include "controlplane/federation/gateway_for_test.h"
#include "controlplane/federation/link_kind.h"
#include "controlplane/federation/link_tokens.h"
#include "controlplane/federation/peer_dial.h"
#include "controlplane/federation/peer_folder.h"
#include "proxy/grpc/grpc_client.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"

namespace weft {
namespace {

constexpr absl::Duration kLong = absl::Seconds(10);

// A folder whose path is short enough for a socket in it.
std::string NewFolder() {
  char pattern[] = "/tmp/weft-link-XXXXXX";
  return mkdtemp(pattern);
}

// ---- Calls, blocking.

struct Answer {
  absl::Status status;  // DeadlineExceeded: the call was still open in the end
  std::string bytes;    // of all messages
};

struct Call {
  std::string method;
  std::vector<std::string> messages;
  bool close = true;  // after the last message
  absl::Duration patience = kLong;
};

// At a Unix socket or TCP port; over TLS if there is a context.
struct Where {
  Address address;
  std::shared_ptr<const ClientTlsContext> tls = nullptr;
};

Task<> Make(EventLoop& loop, const Where& where, const Call& call, std::optional<Answer>& answer) {
  const MonotonicTime deadline = loop.Now() + call.patience;
  ConnectOptions options;
  options.deadline = deadline;
  Answer got;
  std::unique_ptr<ByteStream> bytes;
  auto tcp = co_await Connect(loop, where.address, options);
  got.status = tcp.status();
  if (tcp.ok() && where.tls != nullptr) {
    auto tls = co_await TlsStream::Connect(loop, *std::move(tcp), where.tls, deadline);
    got.status = tls.status();
    if (tls.ok()) bytes = *std::move(tls);
  } else if (tcp.ok()) {
    bytes = *std::move(tcp);
  }
  if (bytes == nullptr) {
    answer = got;
    co_return;
  }
  GrpcConnection connection(loop, std::move(bytes), {});
  const auto stream = connection.Open(call.method, {});
  for (const std::string& message : call.messages) (void)co_await stream->Send(message);
  if (call.close) stream->CloseSend();
  while (true) {
    auto received = co_await stream->Receive(deadline);
    got.status = received.status();
    if (!received.ok() || !received->has_value()) break;
    got.bytes += **received;
  }
  answer = got;
}

Answer Ask(const Where& where, const Call& call) {
  EventLoop loop;
  std::optional<Answer> answer;
  Scope tasks;
  tasks.Spawn(Make(loop, where, call, answer));
  while (!answer.has_value()) loop.RunOnce(absl::Seconds(1));
  return *answer;
}

template <typename Response, typename Request>
absl::StatusOr<Response> Unary(const Where& where, const std::string& method,
                               const Request& request) {
  const Answer answer = Ask(where, {method, {request.SerializeAsString()}});
  if (!answer.status.ok()) return answer.status;
  Response response;
  if (!response.ParseFromString(answer.bytes)) return absl::InternalError("not the response");
  return response;
}

// ---- A cluster: its weftd, and the gateway in front of it.

struct Cluster {
  explicit Cluster(const std::string& name) : name(name), folder(NewFolder()) {
    std::filesystem::create_directory(folder + "/registry");
    options.self.cluster = name;
    options.self.network = name + "-net";
    options.self.mesh_id = "test";
    options.self.trust_domain = name + ".weft";
    options.exports = ExportPolicy::kAll;
    options.registry_folders = {folder + "/registry"};
    options.data_folder = folder + "/data";
    options.peers_folder = folder + "/data/links";
    options.token_key = std::string(32, 'k');
    options.gateways = {gateway.address()};
    options.xds = options.xds_plain = options.peer = options.monitoring = options.debug =
        *Address::Ip("127.0.0.1", 0);
    Service("default", name + "-service");
  }
  ~Cluster() {
    weftd.reset();
    std::filesystem::remove_all(folder);
  }

  void Write(const std::string& file, const std::string& text) const {
    std::ofstream(absl::StrCat(folder, "/registry/", file)) << text;
  }
  void Service(const std::string& namespace_, const std::string& service) const {
    Write(absl::StrCat(namespace_, "-", service, ".yaml"),
          absl::StrCat("apiVersion: v1\nkind: Service\nmetadata: {name: ", service,
                       ", namespace: ", namespace_,
                       "}\nspec: {clusterIP: 10.96.0.10, ports: [{name: http, port: 80}]}\n"));
  }
  void Start() {
    auto started = ControlPlane::Start(options);
    ASSERT_TRUE(started.ok()) << started.status();
    weftd = *std::move(started);
    gateway.LeadTo(weftd->peer());
  }

  Where admin() const { return {*Address::Unix(options.data_folder + "/admin.sock")}; }
  template <typename Response, typename Request>
  absl::StatusOr<Response> Admin(const std::string& method, const Request& request) const {
    return Unary<Response>(admin(), "/weft.admin.v1.Links/" + method, request);
  }
  std::string Token(int64_t valid_seconds = 0) const {
    admin::v1::CreateTokenRequest request;
    request.set_valid_seconds(valid_seconds);
    const auto made = Admin<admin::v1::CreateTokenResponse>("CreateToken", request);
    EXPECT_TRUE(made.ok()) << made.status();
    return made.ok() ? made->token() : "";
  }
  absl::StatusOr<std::string> Join(const std::string& token) const {
    admin::v1::JoinRequest request;
    request.set_token(token);
    const auto joined = Admin<admin::v1::JoinResponse>("Join", request);
    if (!joined.ok()) return joined.status();
    return joined->cluster();
  }
  std::vector<admin::v1::Link> List() const {
    const auto list = Admin<admin::v1::ListResponse>("List", admin::v1::ListRequest());
    EXPECT_TRUE(list.ok()) << list.status();
    if (!list.ok()) return {};
    return {list->links().begin(), list->links().end()};
  }
  // The link with `other`, once it is as `good` says.
  std::optional<admin::v1::Link> Await(
      const std::string& other, const std::function<bool(const admin::v1::Link&)>& good) const {
    const absl::Time end = absl::Now() + kLong;
    while (absl::Now() < end) {
      for (const admin::v1::Link& link : List()) {
        if (link.cluster() == other && good(link)) return link;
      }
      absl::SleepFor(absl::Milliseconds(20));
    }
    return std::nullopt;
  }

  const std::string name;
  const std::string folder;
  GatewayOnThread gateway;
  ControlPlaneOptions options;
  std::unique_ptr<ControlPlane> weftd;
};

bool IsSynced(const admin::v1::Link& link) {
  return link.state() == "fresh" && link.services() == 1;
}

class LinkTest : public testing::Test {
 protected:
  void SetUp() override {
    east_.Start();
    west_.Start();
  }

  Cluster east_{"east"};
  Cluster west_{"west"};
};

void ExpectRefused(const absl::StatusOr<std::string>& joined, absl::string_view why) {
  ASSERT_FALSE(joined.ok()) << "expected: " << why;
  EXPECT_TRUE(absl::StrContains(joined.status().message(), why)) << joined.status();
}

TEST_F(LinkTest, TwoCommandsAreAllItTakes) {
  const auto joined = west_.Join(east_.Token());
  ASSERT_TRUE(joined.ok()) << joined.status();
  EXPECT_EQ(*joined, "east");
  // Both know of it when the command is done; what the other one exports follows.
  ASSERT_EQ(west_.List().size(), 1u);
  ASSERT_EQ(east_.List().size(), 1u);
  const auto in_east = east_.Await("west", IsSynced);
  const auto in_west = west_.Await("east", IsSynced);
  ASSERT_TRUE(in_east.has_value() && in_west.has_value());
  EXPECT_EQ(in_east->trust_domain(), "west.weft");
  EXPECT_NE(in_east->dialed_by_us(), in_west->dialed_by_us());
  ASSERT_EQ(in_east->gateways_size(), 1);
  EXPECT_EQ(in_east->gateways(0).address(),
            absl::StrCat("127.0.0.1:", west_.gateway.address().port));
}

TEST_F(LinkTest, OutlivesARestartOfBoth) {
  ASSERT_TRUE(west_.Join(east_.Token()).ok());
  for (Cluster* cluster : {&east_, &west_}) {
    cluster->weftd.reset();
    cluster->Start();
  }
  EXPECT_TRUE(east_.Await("west", IsSynced).has_value());
  EXPECT_TRUE(west_.Await("east", IsSynced).has_value());
}

TEST_F(LinkTest, AnObjectAmongThoseOfTheRegistryIsALinkAsWell) {
  const auto describe = [](const Cluster& cluster) {
    Peer peer;
    peer.cluster = cluster.name;
    peer.network = cluster.name + "-net";
    peer.trust_domain = cluster.name + ".weft";
    peer.roots_pem = cluster.weftd->roots_pem();
    peer.gateways = {cluster.gateway.address()};
    return absl::StrCat("{\"apiVersion\": \"weft.io/v1alpha1\", \"kind\": \"Link\",",
                        " \"metadata\": {\"name\": \"", cluster.name,
                        "\"}, \"spec\": ", LinkSpecOf(peer), "}");
  };
  east_.Write("link.yaml", describe(west_));
  west_.Write("link.yaml", describe(east_));
  ASSERT_TRUE(east_.Await("west", IsSynced).has_value());
  ASSERT_TRUE(west_.Await("east", IsSynced).has_value());
  std::filesystem::remove(east_.folder + "/registry/link.yaml");
  EXPECT_TRUE(
      west_.Await("east", [](const auto& link) { return !link.last_error().empty(); }).has_value());
  EXPECT_TRUE(east_.List().empty());
}

TEST_F(LinkTest, Row109AUsedTokenIsRefusedButFromWhoUsedIt) {
  Cluster north("north");
  north.Start();
  const std::string token = east_.Token();
  ASSERT_TRUE(west_.Join(token).ok());
  ExpectRefused(north.Join(token), "was used by another cluster");
  EXPECT_TRUE(north.List().empty());
  EXPECT_EQ(east_.List().size(), 1u);
  EXPECT_TRUE(west_.Join(token).ok());
}

TEST_F(LinkTest, AnExpiredTokenIsRefused) {
  const std::string token = east_.Token(/*valid_seconds=*/1);
  absl::SleepFor(absl::Milliseconds(1100));
  ExpectRefused(west_.Join(token), "expired");
  EXPECT_TRUE(east_.List().empty() && west_.List().empty());
}

TEST_F(LinkTest, AWrongSecretIsRefusedAndAFewOfThemVoidTheToken) {
  const std::string token = east_.Token();
  auto wrong = *DecodeLinkToken(token);
  wrong.set_secret(std::string(kLinkTokenSecret, 'x'));
  for (int i = 0; i < kMostWrongSecrets; ++i) {
    ExpectRefused(west_.Join(EncodeLinkToken(wrong)), "secret is wrong");
  }
  ExpectRefused(west_.Join(token), "void");
  EXPECT_TRUE(east_.List().empty() && west_.List().empty());
}

// A gateway that leads elsewhere, and whoever waits there, learns no secret.
TEST_F(LinkTest, AnIssuerThatProvesItselfByAnotherRootIsNotTalkedTo) {
  Cluster north("north");
  north.Start();
  const std::string token = east_.Token();
  east_.gateway.LeadTo(north.weftd->peer());
  const auto joined = west_.Join(token);
  ExpectRefused(joined, "TLS with 127.0.0.1");
  EXPECT_TRUE(west_.List().empty() && north.List().empty());
  // The token is as good as it was.
  east_.gateway.LeadTo(east_.weftd->peer());
  EXPECT_TRUE(west_.Join(token).ok());
}

// The same name and trust domain as east's, but not its root.
TEST_F(LinkTest, ATokenOfAnImpostorIsOfNoUseWithTheCluster) {
  auto token = *DecodeLinkToken(east_.Token());
  token.mutable_issuer()->clear_roots_pem();
  token.mutable_issuer()->add_roots_pem(
      certs::Issuer::CreateRoot("east.weft", absl::Now())->ChainPem());
  ExpectRefused(west_.Join(EncodeLinkToken(token)), "TLS with 127.0.0.1");
}

TEST_F(LinkTest, ConflictsAreToldBeforeAnythingIsChanged) {
  ExpectRefused(east_.Join(east_.Token()), "both clusters are called east");
  Cluster north("north");
  north.options.self.trust_domain = "west.weft";
  north.Start();
  ASSERT_TRUE(west_.Join(east_.Token()).ok());
  ExpectRefused(north.Join(east_.Token()), "is that of west");
  EXPECT_TRUE(north.List().empty());
  EXPECT_EQ(east_.List().size(), 1u);
}

TEST_F(LinkTest, ACostIsSetAndARemovedLinkIsGoneAtOnceOnBothSides) {
  ASSERT_TRUE(west_.Join(east_.Token()).ok());
  ASSERT_TRUE(east_.Await("west", IsSynced).has_value());
  admin::v1::SetCostRequest cost;
  cost.set_cluster("west");
  cost.set_cost(5);
  ASSERT_TRUE(east_.Admin<admin::v1::SetCostResponse>("SetCost", cost).ok());
  EXPECT_TRUE(
      east_.Await("west", [](const auto& link) { return link.cost() == 5 && IsSynced(link); })
          .has_value());
  admin::v1::RemoveRequest remove;
  remove.set_cluster("west");
  ASSERT_TRUE(east_.Admin<admin::v1::RemoveResponse>("Remove", remove).ok());
  EXPECT_TRUE(east_.List().empty());
  EXPECT_TRUE(absl::IsNotFound(east_.Admin<admin::v1::RemoveResponse>("Remove", remove).status()));
  // West believes east still, but east does not believe it any more.
  EXPECT_TRUE(
      west_.Await("east", [](const auto& link) { return !link.last_error().empty(); }).has_value());
  // With another token they are linked again.
  ASSERT_TRUE(west_.Join(east_.Token()).ok());
  EXPECT_TRUE(west_.Await("east", IsSynced).has_value());
}

TEST_F(LinkTest, ATestTimesEachHopAndNamesTheOneThatFails) {
  ASSERT_TRUE(west_.Join(east_.Token()).ok());
  ASSERT_TRUE(west_.Await("east", IsSynced).has_value());
  admin::v1::TestRequest request;
  request.set_cluster("east");
  auto test = west_.Admin<admin::v1::TestResponse>("Test", request);
  ASSERT_TRUE(test.ok()) << test.status();
  ASSERT_EQ(test->hops_size(), 4);
  for (const admin::v1::Hop& hop : test->hops()) {
    EXPECT_TRUE(hop.ok()) << hop.name() << ": " << hop.error();
    printf("%s: %.2f ms, %.0f MB/s\n", hop.name().c_str(), hop.milliseconds(),
           hop.bytes_per_second() / 1e6);
  }
  EXPECT_GT(test->hops(3).bytes_per_second(), 0);
  // Behind its gateway stands somebody else.
  east_.gateway.LeadTo(west_.weftd->peer());
  test = west_.Admin<admin::v1::TestResponse>("Test", request);
  ASSERT_TRUE(test.ok()) << test.status();
  ASSERT_EQ(test->hops_size(), 2);
  EXPECT_TRUE(test->hops(0).ok());
  EXPECT_FALSE(test->hops(1).ok());
  EXPECT_TRUE(absl::StrContains(test->hops(1).name(), "TLS with weftd")) << test->hops(1).name();
  request.set_cluster("north");
  EXPECT_TRUE(absl::IsNotFound(west_.Admin<admin::v1::TestResponse>("Test", request).status()));
}

TEST(Link, AClusterThatNobodyCanDialJoinsAndIsNotDialed) {
  Cluster east("east"), north("north");
  north.options.self.outbound_only = true;
  north.options.gateways.clear();
  east.Start();
  north.Start();
  EXPECT_TRUE(absl::IsFailedPrecondition(
      north.Admin<admin::v1::CreateTokenResponse>("CreateToken", admin::v1::CreateTokenRequest())
          .status()));
  ASSERT_TRUE(north.Join(east.Token()).ok());
  const auto in_east = east.Await("north", IsSynced);
  ASSERT_TRUE(in_east.has_value());
  EXPECT_TRUE(in_east->outbound_only());
  EXPECT_FALSE(in_east->dialed_by_us());
  EXPECT_TRUE(north.Await("east", IsSynced).has_value());
  admin::v1::TestRequest request;
  request.set_cluster("north");
  EXPECT_TRUE(
      absl::IsFailedPrecondition(east.Admin<admin::v1::TestResponse>("Test", request).status()));
}

TEST(Link, TheAdminSocketIsForItsOwnerAndOneOfADeadWeftdIsReplaced) {
  Cluster east("east");
  std::filesystem::create_directory(east.options.data_folder);
  {
    EventLoop loop;
    (void)Listener::Create(loop, east.admin().address, {});  // leaves its file
  }
  ASSERT_TRUE(std::filesystem::exists(east.options.data_folder + "/admin.sock"));
  east.Start();
  EXPECT_TRUE(east.List().empty());
  struct stat info;
  ASSERT_EQ(stat((east.options.data_folder + "/admin.sock").c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0777, 0600u);
}

// ---- What the credential of a link is good for. It is tried at every port and with every method
// that there is, by whoever holds the key of west's control plane.

constexpr char kCanary[] = "canary";

class CredentialTest : public testing::Test {
 protected:
  CredentialTest() : issuer_(*certs::Issuer::CreateRoot("west.weft", absl::Now())) {}
  void SetUp() override {
    east_.Service("kube-system", "canary-service");
    east_.Write(
        "secret.yaml",
        "apiVersion: v1\nkind: Secret\nmetadata: {name: canary-secret, namespace: default}\n"
        "stringData: {password: canary-password}\n");
    east_.Write("config.yaml",
                "apiVersion: v1\nkind: ConfigMap\nmetadata: {name: canary-config, namespace: "
                "default}\ndata: {value: canary-value}\n");
    Peer west;
    west.cluster = "west";
    west.network = "west-net";
    west.trust_domain = "west.weft";
    west.roots_pem = issuer_.ChainPem();
    west.outbound_only = true;
    std::filesystem::create_directories(east_.options.peers_folder);
    std::ofstream(east_.options.peers_folder + "/west.yaml") << FormatPeer(west);
    east_.Start();
    ASSERT_TRUE(east_.Await("west", [](const auto&) { return true; }).has_value());
    absl::SleepFor(absl::Milliseconds(300));  // the registry is read beside the start
  }
  TlsCertificate Credential() const {
    const certs::PrivateKey key = certs::PrivateKey::Generate();
    const auto chain =
        issuer_.Issue(key.public_key(), ControlPlaneId("west.weft"), absl::Hours(1), absl::Now());
    TlsCertificate certificate;
    for (const std::string& pem : *chain) certificate.chain_pem += pem;
    certificate.key_pem = key.ToPem();
    return certificate;
  }
  Where At(const Address& port, TlsCertificate own) const {
    Peer east;
    east.cluster = "east";
    east.trust_domain = "east.weft";
    east.roots_pem = east_.weftd->roots_pem();
    return {port, *PeerTlsContext(east, ControlPlaneId("east.weft"), std::move(own))};
  }
  // Every method that weftd serves anywhere, each with what would make it answer.
  std::vector<Call> AllCalls() const {
    envoy::service::discovery::v3::DiscoveryRequest discovery;
    discovery.mutable_node()->set_id("sidecar~10.0.0.1~a.default~default.svc.cluster.local");
    envoy::service::discovery::v3::DeltaDiscoveryRequest delta;
    *delta.mutable_node() = discovery.node();
    std::vector<Call> calls;
    for (const ResourceType& type : ResourceTypes()) {
      discovery.set_type_url(std::string(type.url));
      delta.set_type_url(std::string(type.url));
      const std::string ads = "/envoy.service.discovery.v3.AggregatedDiscoveryService/";
      calls.push_back({ads + "StreamAggregatedResources", {discovery.SerializeAsString()}, false});
      calls.push_back({ads + "DeltaAggregatedResources", {delta.SerializeAsString()}, false});
    }
    istio::v1::auth::IstioCertificateRequest csr;
    csr.set_csr(certs::MakeCsr(certs::PrivateKey::Generate(), ControlPlaneId("east.weft")));
    calls.push_back(
        {"/istio.v1.auth.IstioCertificateService/CreateCertificate", {csr.SerializeAsString()}});
    calls.push_back({"/envoy.service.load_stats.v3.LoadReportingService/StreamLoadStats", {""}});
    for (const char* method :
         {"Links/CreateToken", "Links/Join", "Links/List", "Links/Remove", "Links/SetCost",
          "Links/Test", "Authority/Rotate", "Cluster/Drain"}) {
      calls.push_back({absl::StrCat("/weft.admin.v1.", method), {""}});
    }
    return calls;
  }
  static std::string Hello() {
    peer::v1::PeerMessage message;
    message.set_epoch(1);
    message.set_sequence(1);
    message.mutable_hello()->set_cluster("west");
    message.mutable_hello()->set_network("west-net");
    message.mutable_hello()->set_mesh_id("test");
    message.mutable_hello()->set_trust_domain("west.weft");
    message.mutable_hello()->set_dialer(true);
    return message.SerializeAsString();
  }

  const certs::Issuer issuer_;
  Cluster east_{"east"};
};

TEST_F(CredentialTest, TheWatchTellsOfExportedServicesAndOfNothingElse) {
  const Where peer_port = At(east_.weftd->peer(), Credential());
  Call watch{"/weft.peer.v1.Peer/Watch", {Hello()}, false, absl::Seconds(1)};
  const Answer answer = Ask(peer_port, watch);
  EXPECT_TRUE(absl::IsDeadlineExceeded(answer.status)) << answer.status;
  EXPECT_TRUE(absl::StrContains(answer.bytes, "east-service"));
  EXPECT_FALSE(absl::StrContains(answer.bytes, kCanary));
}

TEST_F(CredentialTest, ThePeerPortServesNoOtherMethod) {
  const Where peer_port = At(east_.weftd->peer(), Credential());
  for (const Call& call : AllCalls()) {
    const Answer answer = Ask(peer_port, call);
    EXPECT_TRUE(absl::IsUnimplemented(answer.status)) << call.method << ": " << answer.status;
    EXPECT_TRUE(answer.bytes.empty()) << call.method;
  }
  peer::v1::EchoMessage echo;
  echo.set_payload("hello");
  const Answer echoed = Ask(peer_port, {"/weft.peer.v1.Links/Echo", {echo.SerializeAsString()}});
  EXPECT_TRUE(echoed.status.ok()) << echoed.status;
  EXPECT_EQ(echoed.bytes, echo.SerializeAsString());
  const Answer joined =
      Ask(peer_port, {"/weft.peer.v1.Links/Join", {peer::v1::JoinRequest().SerializeAsString()}});
  EXPECT_TRUE(absl::IsPermissionDenied(joined.status)) << joined.status;
}

// The port that workloads of this cluster use trusts its own roots only.
TEST_F(CredentialTest, ThePortOfDiscoveryAndCertificatesServesNothing) {
  const Where xds = At(east_.weftd->xds(), Credential());
  const Where without = At(east_.weftd->xds(), {});
  for (const Where& where : {xds, without}) {
    for (Call call : AllCalls()) {
      call.patience = absl::Seconds(2);
      const Answer answer = Ask(where, call);
      EXPECT_FALSE(answer.status.ok()) << call.method;
      EXPECT_FALSE(absl::IsDeadlineExceeded(answer.status)) << call.method << " was left open";
      EXPECT_TRUE(answer.bytes.empty()) << call.method;
    }
    const Answer watch = Ask(where, {"/weft.peer.v1.Peer/Watch", {Hello()}, false});
    EXPECT_FALSE(watch.status.ok());
    EXPECT_TRUE(watch.bytes.empty());
  }
}

TEST_F(CredentialTest, WithoutItNobodyGetsPastTheHandshakeUnlessATokenIsAwaited) {
  const Where peer_port = At(east_.weftd->peer(), {});
  const Call watch{"/weft.peer.v1.Peer/Watch", {Hello()}, false};
  const Call echo{"/weft.peer.v1.Links/Echo", {""}};
  const Call join{"/weft.peer.v1.Links/Join", {""}};
  for (const Call& call : {watch, echo, join}) {
    EXPECT_TRUE(absl::IsUnavailable(Ask(peer_port, call).status)) << call.method;
  }
  ASSERT_NE(east_.Token(), "");
  for (const Call& call : {watch, echo}) {
    const Answer answer = Ask(peer_port, call);
    EXPECT_TRUE(absl::IsUnauthenticated(answer.status)) << call.method << ": " << answer.status;
    EXPECT_EQ(answer.bytes, "");
  }
  const Answer answer = Ask(peer_port, join);
  EXPECT_TRUE(absl::IsPermissionDenied(answer.status)) << answer.status;
  EXPECT_EQ(answer.bytes, "");
}

TEST_F(CredentialTest, NobodyGetsPastItAnyMoreOnceTheTokenHasExpired) {
  const Where peer_port = At(east_.weftd->peer(), {});
  const Call join{"/weft.peer.v1.Links/Join", {""}};
  ASSERT_NE(east_.Token(/*valid_seconds=*/3), "");
  EXPECT_TRUE(absl::IsPermissionDenied(Ask(peer_port, join).status));
  absl::SleepFor(absl::Milliseconds(3200));
  EXPECT_TRUE(absl::IsUnavailable(Ask(peer_port, join).status));
}

// Another identity of the same trust domain is nobody.
TEST_F(CredentialTest, AWorkloadOfTheLinkedClusterHasNoPartInIt) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  const auto chain =
      issuer_.Issue(key.public_key(), {"west.weft", "default", "app"}, absl::Hours(1), absl::Now());
  TlsCertificate app;
  for (const std::string& pem : *chain) app.chain_pem += pem;
  app.key_pem = key.ToPem();
  const Where peer_port = At(east_.weftd->peer(), app);
  for (const char* method : {"/weft.peer.v1.Peer/Watch", "/weft.peer.v1.Links/Echo"}) {
    const Answer answer = Ask(peer_port, {method, {Hello()}, false});
    EXPECT_TRUE(absl::IsPermissionDenied(answer.status)) << method << ": " << answer.status;
    EXPECT_TRUE(answer.bytes.empty());
  }
}

}  // namespace
}  // namespace weft
