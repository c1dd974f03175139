// A cluster that nobody can dial: its gateway, a running proxy without a port of its own, dials the
// gateway of another cluster, another running proxy, which then opens streams to it.
//
//   client ─▶ west's gateway ══ TLS, dialed by east ══ east's gateway ─▶ app
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/key.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

constexpr char kTls[] = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.";
constexpr char kFilters[] = "type.googleapis.com/envoy.extensions.filters.";
constexpr char kEastGateway[] = "spiffe://east/ns/weft-system/sa/gateway";
constexpr char kWestGateway[] = "spiffe://west/ns/weft-system/sa/gateway";
constexpr int kConnections = 4;
// Until who fell silent is known: a ping each second, 1.5 s for its answer, and the test's polling.
constexpr absl::Duration kSilence = absl::Milliseconds(3500);

// The field of a TLS context that says who one is, and the file it is read from again.
std::string SecretFile(const std::string& name, const std::string& contents) {
  return absl::StrCat("resources:\n- {\"@type\": ", kTls, "Secret, name: ", name, ", ", contents,
                      "}\n");
}
std::string SecretFrom(const std::string& name, const std::string& path) {
  return absl::StrCat("{name: ", name, ", sds_config: {path_config_source: {path: ", path, "}}}");
}

std::string IdentitySecret(const certs::Issuer& issuer, const std::string& uri) {
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  const auto chain = issuer.Issue(key.public_key(), *certs::SpiffeId::Parse(uri),
                                  certs::kLeafValidity, absl::Now());
  return SecretFile("own", absl::StrCat("tls_certificate: {certificate_chain: {filename: ",
                                        WriteTestFile("chain.pem", absl::StrJoin(*chain, "")),
                                        "}, private_key: {filename: ",
                                        WriteTestFile("key.pem", key.ToPem()), "}}"));
}

std::string TrustSecret(const std::vector<const certs::Issuer*>& roots) {
  std::vector<std::string> bundles;
  for (const certs::Issuer* issuer : roots) {
    bundles.push_back(absl::StrCat("{name: ", issuer->trust_domain(), ", trust_bundle: {filename: ",
                                   WriteTestFile("bundle.pem", issuer->root().ToPem()), "}}"));
  }
  return SecretFile("trust",
                    absl::StrCat("validation_context: {custom_validator_config: {name: "
                                 "envoy.tls.cert_validator.spiffe, typed_config: {\"@type\": ",
                                 kTls, "SPIFFECertValidatorConfig, trust_domains: [",
                                 absl::StrJoin(bundles, ", "), "]}}}"));
}

// One side's files, which a test may replace.
struct Side {
  std::string identity;
  std::string trust;

  std::string Tls(const std::string& peer) const {
    return absl::StrCat(
        "common_tls_context: {alpn_protocols: [weft-reverse], "
        "tls_certificate_sds_secret_configs: [",
        SecretFrom("own", identity),
        "], combined_validation_context: {default_validation_context: "
        "{match_typed_subject_alt_names: [{san_type: URI, matcher: {exact: \"",
        peer, "\"}}]}, validation_context_sds_secret_config: ", SecretFrom("trust", trust), "}}");
  }
};

std::string Accepting(int port, const Side& west, const std::string& more = "") {
  return absl::StrCat(
      "{name: tunnels, address: {socket_address: {address: 127.0.0.1, port_value: ", port,
      "}}, listener_filters_timeout: 1s, listener_filters: [", more,
      "{name: tls_inspector, typed_config: {\"@type\": ", kFilters,
      "listener.tls_inspector.v3.TlsInspector}}], filter_chains: [{filter_chain_match: "
      "{transport_protocol: tls, application_protocols: [weft-reverse]}, "
      "transport_socket_connect_timeout: 1s, transport_socket: {name: tls, typed_config: "
      "{\"@type\": ",
      kTls, "DownstreamTlsContext, require_client_certificate: true, ", west.Tls(kEastGateway),
      "}}, filters: [{name: weft.filters.network.reverse_tunnel, typed_config: {\"@type\": "
      "type.googleapis.com/weft.proxy.v1.ReverseTunnel}}]}]}");
}

std::string Dialing(const std::vector<int>& gateways, const Side& east) {
  std::vector<std::string> addresses;
  for (const int port : gateways) {
    addresses.push_back(
        absl::StrCat("{socket_address: {address: 127.0.0.1, port_value: ", port, "}}"));
  }
  return absl::StrCat(
      "{name: dial_west, listener_filters: [{name: weft.filters.listener.dial, typed_config: "
      "{\"@type\": type.googleapis.com/weft.proxy.v1.Dial, connections: ",
      kConnections, ", gateways: [", absl::StrJoin(addresses, ", "), "], tls: {",
      east.Tls(kWestGateway),
      "}}}], filter_chains: [{filters: [{name: http, typed_config: {\"@type\": ", kFilters,
      "network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: dialed, codec_type: "
      "HTTP2, strip_any_host_port: true, http2_protocol_options: {allow_connect: true}, "
      "upgrade_configs: [{upgrade_type: "
      "CONNECT}], route_config: {name: tunnels, virtual_hosts: [{name: all, domains: [\"*\"], "
      "routes: [{match: {connect_matcher: {}}, route: {cluster_header: \":authority\", timeout: "
      "0s, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}}]}]}, http_filters: "
      "[{name: weft.filters.http.tunnel, typed_config: {\"@type\": "
      "type.googleapis.com/weft.proxy.v1.TunnelTermination}}, {name: router, typed_config: "
      "{\"@type\": ",
      kFilters, "http.router.v3.Router}}]}}]}]}");
}

// Passes on what goes through it, behind `greeting`, until it is told to hold everything back, or
// to cut it. If `slow`, the first bytes that the dialing side sends come one by one.
class Wire {
 public:
  explicit Wire(int to, bool slow = false, std::string greeting = "")
      : to_(to), slow_(slow), greeting_(std::move(greeting)) {}

  ~Wire() { ended_ = true; }

  int port() const { return dialed_.port(); }
  int connections() const { return dialed_.connections(); }
  void Freeze() { frozen_ = true; }
  void Cut() { ++cuts_; }

 private:
  static constexpr size_t kSlowBytes = 300;

  void Pass(Socket& dialer) {
    const int cuts = cuts_;
    Socket gateway = Socket::Connect(to_);
    gateway.Send(greeting_);
    size_t slow = slow_ ? kSlowBytes : 0;
    while (cuts == cuts_ && !ended_) {
      pollfd ready[2] = {{dialer.fd(), POLLIN, 0}, {gateway.fd(), POLLIN, 0}};
      if (poll(ready, 2, 20) <= 0 || frozen_) {
        if (frozen_) absl::SleepFor(absl::Milliseconds(5));
        continue;
      }
      if (ready[0].revents != 0 && !Move(dialer.fd(), gateway.fd(), slow)) return;
      size_t fast = 0;
      if (ready[1].revents != 0 && !Move(gateway.fd(), dialer.fd(), fast)) return;
    }
  }

  static bool Move(int from, int to, size_t& slow) {
    char bytes[16384];
    const ssize_t got = read(from, bytes, slow > 0 ? 1 : sizeof(bytes));
    if (slow > 0) {
      --slow;
      absl::SleepFor(absl::Milliseconds(1));
    }
    return got > 0 && write(to, bytes, static_cast<size_t>(got)) == got;
  }

  const int to_;
  const bool slow_;
  const std::string greeting_;
  std::atomic<bool> ended_{false};
  std::atomic<bool> frozen_{false};
  std::atomic<int> cuts_{0};
  Upstream dialed_{[this](Socket& socket, int) { Pass(socket); }};  // last: it ends its threads
};

class ReverseTunnel : public testing::Test {
 protected:
  static Side MakeSide(const std::string& identity,
                       const std::vector<const certs::Issuer*>& roots) {
    return {WriteTestFile("own.yaml", identity), WriteTestFile("trust.yaml", TrustSecret(roots))};
  }

  std::unique_ptr<ProxyProcess> StartWest(const std::string& more = "") {
    const std::vector<std::string> listeners = {
        HttpListener("in", client_port_, RouteTo("east-app")),
        Accepting(tunnel_port_, west_side_, more)};
    const std::vector<std::string> clusters = {
        Cluster("east-app", {1},
                "transport_socket: {name: weft.transport_sockets.tunnel, typed_config: {\"@type\": "
                "type.googleapis.com/weft.proxy.v1.TunnelTransport, authority: app, reverse_of: "
                "east}}, ")};
    return std::make_unique<ProxyProcess>(listeners, clusters,
                                          std::vector<std::string>{"--concurrency", "2"});
  }

  std::unique_ptr<ProxyProcess> StartEast(const Side& side, const std::vector<int>& gateways,
                                          const std::string& workers = "1") {
    return std::make_unique<ProxyProcess>(std::vector<std::string>{Dialing(gateways, side)},
                                          std::vector<std::string>{Cluster("app", {app_.port()})},
                                          std::vector<std::string>{"--concurrency", workers});
  }
  std::unique_ptr<ProxyProcess> StartEast() { return StartEast(east_side_, {tunnel_port_}); }

  // What west has of east's gateways.
  static double Joined(ProxyProcess& west) { return west.Stat("reverse_tunnel.east.cx_active"); }
  static bool Joins(ProxyProcess& west, double connections = kConnections) {
    return Eventually([&] { return Joined(west) == connections; });
  }
  int Status() { return Ask(client_port_, Get("/")).status(); }
  // So many connections that each worker certainly has some.
  void ExpectAllWorkersServe(ProxyProcess& west) {
    for (int i = 0; i < 40; ++i)
      ASSERT_EQ(Status(), 200) << "request " << i << "\n" << west.Output();
  }

  const certs::Issuer east_ = *certs::Issuer::CreateRoot("east", absl::Now());
  const certs::Issuer west_ = *certs::Issuer::CreateRoot("west", absl::Now());
  const Side east_side_ = MakeSide(IdentitySecret(east_, kEastGateway), {&west_});
  const Side west_side_ = MakeSide(IdentitySecret(west_, kWestGateway), {&east_});
  const int client_port_ = FreePort();
  const int tunnel_port_ = FreePort();
  Upstream app_{Echo};
};

TEST_F(ReverseTunnel, EachWorkerReachesAClusterThatNobodyCanDial) {
  for (const char* workers : {"1", "3"}) {
    SCOPED_TRACE(absl::StrCat("workers of the dialing side: ", workers));
    const auto west = StartWest();
    EXPECT_EQ(Status(), 503) << "nobody has dialed yet";
    const auto east = StartEast(east_side_, {tunnel_port_}, workers);
    ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
    ExpectAllWorkersServe(*west);
    EXPECT_EQ(east->Stat("listener.dial_west.downstream_cx_active"), kConnections);
    // Much, and both ways.
    const std::string big(3 << 20, 'b');
    Socket client = Socket::Connect(client_port_);
    std::thread sender([&] {
      client.Send(absl::StrCat("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: ", big.size(),
                               "\r\n\r\n", big));
    });
    const Message answer = client.ReadResponse();
    sender.join();
    EXPECT_TRUE(answer.complete && absl::EndsWith(answer.body, big)) << answer.head;
  }
}

TEST_F(ReverseTunnel, WhatWasCutIsDialedAgain) {
  Wire wire(tunnel_port_);
  const auto west = StartWest();
  const auto east = StartEast(east_side_, {wire.port()});
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  for (int turn = 2; turn <= 3; ++turn) {
    wire.Cut();
    EXPECT_TRUE(Eventually([&] { return wire.connections() == turn * kConnections; }));
    ASSERT_TRUE(Joins(*west)) << west->Output();
    ExpectAllWorkersServe(*west);
  }
}

TEST_F(ReverseTunnel, Row115_AGatewayThatIsKilledIsDialedWhenItIsBack) {
  auto west = StartWest();
  auto east = StartEast();
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  west->Kill();
  west.reset();
  EXPECT_TRUE(Eventually([&] { return east->Stat("listener.dial_west.dial_fail") > 0; }));
  west = StartWest();
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  ExpectAllWorkersServe(*west);
  // And the other one.
  east->Kill();
  east.reset();
  ASSERT_TRUE(Joins(*west, 0)) << west->Output();
  EXPECT_EQ(Status(), 503);
  east = StartEast();
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  ExpectAllWorkersServe(*west);
}

TEST_F(ReverseTunnel, OnlyGatewaysOfALinkedClusterAreTakenIn) {
  const certs::Issuer south = *certs::Issuer::CreateRoot("south", absl::Now());
  const struct {
    const char* name;
    Side side;
  } kCases[] = {
      {"a workload of the cluster",
       MakeSide(IdentitySecret(east_, "spiffe://east/ns/default/sa/app"), {&west_})},
      {"a gateway of a cluster that is not linked",
       MakeSide(IdentitySecret(south, "spiffe://south/ns/weft-system/sa/gateway"), {&west_})},
      {"our own gateway", MakeSide(IdentitySecret(west_, kWestGateway), {&west_})},
  };
  const auto west = StartWest();
  for (const auto& one : kCases) {
    SCOPED_TRACE(one.name);
    const double before = west->Stat("listener.tunnels.ssl.connection_error");
    const auto east = StartEast(one.side, {tunnel_port_});
    EXPECT_TRUE(Eventually([&] {
      return west->Stat("listener.tunnels.ssl.connection_error") >= before + kConnections;
    })) << west->Output();
    EXPECT_EQ(Status(), 503);
    EXPECT_EQ(west->Stat("listener.tunnels.ssl.handshake"), 0);
  }
}

TEST_F(ReverseTunnel, OnlyAGatewayIsServed) {
  const Side impostor =
      MakeSide(IdentitySecret(west_, "spiffe://west/ns/default/sa/app"), {&east_});
  const int port = FreePort();
  ProxyProcess other({Accepting(port, impostor)}, {Cluster("none", {})});
  const auto east = StartEast(east_side_, {port});
  EXPECT_TRUE(
      Eventually([&] { return east->Stat("listener.dial_west.dial_fail") >= 2 * kConnections; }));
  EXPECT_EQ(east->Stat("listener.dial_west.downstream_cx_total"), 0);
}

TEST_F(ReverseTunnel, ARotationReplacesConnectionsBeforeTheyEnd) {
  const auto west = StartWest();
  const auto east = StartEast();
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  ReplaceTestFile(east_side_.identity, IdentitySecret(east_, kEastGateway));
  int requests = 0;
  EXPECT_TRUE(Eventually([&] {
    EXPECT_EQ(Status(), 200) << "after " << requests;
    ++requests;
    return east->Stat("listener.dial_west.downstream_cx_total") == 2 * kConnections &&
           east->Stat("listener.dial_west.downstream_cx_active") == kConnections;
  })) << east->Output();
  EXPECT_TRUE(Joins(*west));
  ExpectAllWorkersServe(*west);
}

TEST_F(ReverseTunnel, ACertificateThatIsRefusedDoesNotCostTheConnectionsThatAre) {
  const auto west = StartWest();
  const auto east = StartEast();
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  ReplaceTestFile(east_side_.identity, IdentitySecret(east_, "spiffe://east/ns/default/sa/app"));
  EXPECT_TRUE(Eventually([&] {
    return west->Stat("listener.tunnels.ssl.connection_error") >= 2 * kConnections;
  })) << west->Output();
  EXPECT_EQ(Joined(*west), kConnections);
  ExpectAllWorkersServe(*west);
}

TEST_F(ReverseTunnel, Row54_WhomARemovedRootVouchedForIsCut) {
  const auto west = StartWest();
  const auto east = StartEast();
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  ReplaceTestFile(west_side_.trust, TrustSecret({&west_}));
  ASSERT_TRUE(Joins(*west, 0)) << west->Output();
  EXPECT_EQ(west->Stat("listener.tunnels.ssl.trust_revoked"), kConnections);
  EXPECT_EQ(Status(), 503);
  ReplaceTestFile(west_side_.trust, TrustSecret({&east_}));
  ASSERT_TRUE(Joins(*west)) << west->Output();
  // And the other way round.
  ReplaceTestFile(east_side_.trust, TrustSecret({&east_}));
  ASSERT_TRUE(Joins(*west, 0)) << east->Output();
  EXPECT_EQ(east->Stat("listener.dial_west.ssl.trust_revoked"), kConnections);
}

TEST_F(ReverseTunnel, ADrainingGatewayEndsWhenItsRequestsHave) {
  std::atomic<bool> answer{false};
  Upstream slow([&](Socket& socket, int) {
    socket.ReadRequest();
    while (!answer) absl::SleepFor(absl::Milliseconds(5));
    // Nor is it kept for another request, which would keep the tunnel.
    socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\ndone");
  });
  for (const bool dialing : {true, false}) {
    SCOPED_TRACE(dialing ? "the dialing side" : "the accepting side");
    answer = false;
    auto west = StartWest();
    auto east = std::make_unique<ProxyProcess>(
        std::vector<std::string>{Dialing({tunnel_port_}, east_side_)},
        std::vector<std::string>{Cluster("app", {slow.port()})});
    ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
    Socket client = Socket::Connect(client_port_);
    const int before = slow.connections();
    client.Send(Get("/", "Connection: close\r\n"));
    ASSERT_TRUE(Eventually([&] { return slow.connections() == before + 1; }));
    ProxyProcess& leaving = dialing ? *east : *west;
    leaving.Signal(SIGTERM);
    // The connections that nobody uses go at once, that with the request does not.
    EXPECT_TRUE(Eventually([&] {
      return east->Stat("listener.dial_west.downstream_cx_active") == 1;
    })) << east->Output();
    answer = true;
    const Message message = client.ReadResponse();
    EXPECT_EQ(message.body, "done") << message.head;
    EXPECT_EQ(leaving.AwaitExit(absl::Seconds(5)), 0) << leaving.Output();
  }
}

TEST_F(ReverseTunnel, Row116_AHalfOpenConnectionIsNoticedByBothSides) {
  auto wire = std::make_unique<Wire>(tunnel_port_);
  const auto west = StartWest();
  const auto east = StartEast(east_side_, {wire->port()});
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  const absl::Time frozen = absl::Now();
  wire->Freeze();
  ASSERT_TRUE(Joins(*west, 0)) << west->Output();
  EXPECT_TRUE(Eventually(
      [&] { return east->Stat("http.dialed.http2.keepalive_timeout") >= kConnections; }));
  EXPECT_LT(absl::Now() - frozen, kSilence);
}

TEST_F(ReverseTunnel, Row117_AStoppedGatewayIsNoticed) {
  const auto west = StartWest();
  const auto east = StartEast();
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  absl::Time stopped = absl::Now();
  east->Signal(SIGSTOP);
  ASSERT_TRUE(Joins(*west, 0)) << west->Output();
  EXPECT_LT(absl::Now() - stopped, kSilence);
  east->Signal(SIGCONT);
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  stopped = absl::Now();
  west->Signal(SIGSTOP);
  EXPECT_TRUE(Eventually(
      [&] { return east->Stat("http.dialed.http2.keepalive_timeout") >= kConnections; }));
  EXPECT_LT(absl::Now() - stopped, kSilence);
  west->Signal(SIGCONT);
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  ExpectAllWorkersServe(*west);
}

TEST_F(ReverseTunnel, Row45_AClientHelloInPiecesGoesToItsWorkerWhole) {
  Wire wire(tunnel_port_, true);
  const auto west = StartWest();
  const auto east = StartEast(east_side_, {wire.port()});
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  ExpectAllWorkersServe(*west);
}

TEST_F(ReverseTunnel, Row57_SilenceAndNoiseOnTheTunnelPortEnd) {
  const auto west = StartWest();
  Socket silent = Socket::Connect(tunnel_port_);
  EXPECT_TRUE(silent.Ended());
  Socket plain = Socket::Connect(tunnel_port_);
  plain.Send(Get("/"));
  EXPECT_EQ(plain.ReadToEnd(), "");
  const auto east = StartEast();
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
}

TEST_F(ReverseTunnel, AProxyHeaderIsReadOnceThoughTheConnectionMoves) {
  Wire wire(tunnel_port_, false, "PROXY TCP4 192.0.2.7 192.0.2.8 1000 15008\r\n");
  const auto west =
      StartWest(absl::StrCat("{name: proxy_protocol, typed_config: {\"@type\": ", kFilters,
                             "listener.proxy_protocol.v3.ProxyProtocol}}, "));
  const auto east = StartEast(east_side_, {wire.port()});
  ASSERT_TRUE(Joins(*west)) << west->Output() << east->Output();
  ExpectAllWorkersServe(*west);
}

}  // namespace
}  // namespace weft::test
