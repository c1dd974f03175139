// Tunnels between running proxies:
//
//   client ─▶ sidecar ══ TLS, HTTP/2, CONNECT ══ gateway ─▶ pods (plain, or behind TLS of their
//   own)
#include <signal.h>

#include <atomic>
#include <fstream>
#include <map>
#include <memory>
#include <set>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "certs/issuer.h"
#include "certs/key.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

constexpr char kTls[] = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.";
constexpr char kFilters[] = "type.googleapis.com/envoy.extensions.filters.";
constexpr char kGateway[] = "spiffe://west/ns/weft-system/sa/gateway";
constexpr char kClient[] = "spiffe://west/ns/default/sa/client";
constexpr char kPod[] = "spiffe://west/ns/default/sa/pod";
// Of eight degrees of freedom, exceeded once in a hundred times by chance.
constexpr double kChiSquareOfNine = 20.09;
// A ping each second, 1.5 s for its answer, and what the test itself takes.
constexpr absl::Duration kSilence = absl::Seconds(4);

std::string Http(int status, const std::string& body) {
  return absl::StrCat("HTTP/1.1 ", status, " Status\r\ncontent-length: ", body.size(), "\r\n\r\n",
                      body);
}

// Answers with its name, but hangs when it is asked for /hang, and begins an answer of ten bytes
// when it is asked for /begin.
class Pod {
 public:
  explicit Pod(std::string name) : name_(std::move(name)) {}
  int port() const { return server_.port(); }

  std::atomic<int> status{200};
  std::atomic<int> requests{0};
  std::atomic<int> hanging{0};
  std::atomic<bool> release{false};  // who hangs
  std::atomic<bool> silent{false};   // closes each connection at once

 private:
  void Serve(Socket& socket) {
    while (!silent) {
      const Message request = socket.ReadRequest();
      if (!request.complete) return;
      ++requests;
      if (absl::StrContains(request.head, " /begin ")) {
        socket.Send("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhello");
        Hang();
        socket.Send("world");
      } else {
        if (absl::StrContains(request.head, " /hang ")) Hang();
        if (!socket.Send(Http(status, name_))) return;
      }
    }
  }
  void Hang() {
    ++hanging;
    const absl::Time end = absl::Now() + kPatience;
    while (!release && absl::Now() < end) absl::SleepFor(absl::Milliseconds(5));
    --hanging;
  }

  const std::string name_;
  Upstream server_{[this](Socket& socket, int) { Serve(socket); }};
};

class TunnelTest : public testing::Test {
 protected:
  TunnelTest() { SetPods(3); }
  ~TunnelTest() override {
    for (const auto& pod : pods_) pod->release = true;
  }

  void SetPods(int count) {
    pods_.clear();
    for (int i = 0; i < count; ++i) pods_.push_back(std::make_unique<Pod>(absl::StrCat("pod-", i)));
  }

  std::string Context(const certs::Issuer& issuer, const std::string& own, const std::string& alpn,
                      const std::string& peer = "") {
    const Files files = Issue(issuer, own);
    return absl::StrCat(
        "common_tls_context: {alpn_protocols: [", alpn,
        "], tls_certificates: ", "[{certificate_chain: {filename: ", files.chain,
        "}, private_key: {filename: ", files.key,
        "}}], validation_context: {trusted_ca: {filename: ", roots_, "}",
        peer.empty() ? ""
                     : absl::StrCat(", match_typed_subject_alt_names: [{san_type: URI, matcher: "
                                    "{exact: \"",
                                    peer, "\"}}]"),
        "}}");
  }
  struct Files {
    std::string chain, key;
  };
  static Files Issue(const certs::Issuer& issuer, const std::string& uri) {
    const certs::PrivateKey key = certs::PrivateKey::Generate();
    const auto chain = issuer.Issue(key.public_key(), *certs::SpiffeId::Parse(uri),
                                    certs::kLeafValidity, absl::Now());
    return {WriteTestFile("chain.pem", absl::StrJoin(*chain, "")),
            WriteTestFile("key.pem", key.ToPem())};
  }

  // ---- The gateway.

  std::string GatewayListener(int port, const std::string& termination = "") {
    return absl::StrCat(
        "{name: tunnels, address: {socket_address: {address: 127.0.0.1, port_value: ", port,
        "}}, filter_chains: [{transport_socket: {name: tls, typed_config: {\"@type\": ", kTls,
        "DownstreamTlsContext, require_client_certificate: true, ",
        Context(issuer_, kGateway, "h2, http/1.1"),
        "}}, filters: [{name: http, typed_config: {\"@type\": ", kFilters,
        "network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: tunnels, "
        "strip_any_host_port: true, http2_protocol_options: {allow_connect: true}, "
        "upgrade_configs: [{upgrade_type: CONNECT}], access_log: [{name: file, typed_config: "
        "{\"@type\": type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, "
        "path: ",
        log_,
        ", log_format: {text_format_source: {inline_string: \"%REQ(:AUTHORITY)% "
        "%RESPONSE_CODE% source=%REQ(X-WEFT-SOURCE)% pod=%RESP(X-WEFT-POD)% "
        "trace=%REQ(TRACEPARENT)%\\n\"}}}}], route_config: {name: tunnels, "
        "virtual_hosts: [{name: all, domains: [\"*\"], "
        "routes: [{match: {connect_matcher: {}}, route: {cluster_header: \":authority\", "
        "cluster_not_found_response_code: NOT_FOUND, timeout: "
        "0s, upgrade_configs: [{upgrade_type: CONNECT, connect_config: {}}]}}]}]}, http_filters: "
        "[{name: weft.filters.http.tunnel, typed_config: {\"@type\": "
        "type.googleapis.com/weft.proxy.v1.TunnelTermination",
        termination, "}}, {name: router, typed_config: {\"@type\": ", kFilters,
        "http.router.v3.Router}}]}}]}]}");
  }

  std::unique_ptr<ProxyProcess> StartGateway(int port, const std::string& termination = "",
                                             const std::string& workers = "1") {
    return std::make_unique<ProxyProcess>(
        std::vector<std::string>{GatewayListener(port, termination)},
        std::vector<std::string>{Cluster("app", Ports()), Cluster("other", Ports()),
                                 Cluster("nobody", {})},
        std::vector<std::string>{"--concurrency", workers});
  }
  std::vector<int> Ports() const {
    std::vector<int> ports;
    for (const auto& pod : pods_) ports.push_back(pod->port());
    return ports;
  }

  // ---- The client.

  std::string Tunnel(const std::string& authority, const std::string& inner = "") {
    if (outer_.empty()) outer_ = Context(issuer_, kClient, "h2", kGateway);
    return absl::StrCat(
        "{name: weft.transport_sockets.tunnel, typed_config: {\"@type\": "
        "type.googleapis.com/weft.proxy.v1.TunnelTransport, authority: ",
        authority, ", gateway: {", outer_, "}", inner.empty() ? "" : ", inner: ", inner, "}}");
  }
  // One endpoint for each gateway; `socket` empty: in plain.
  std::string ClusterBy(const std::string& name, const std::vector<int>& gateways,
                        const std::string& socket, const std::string& more = "") {
    return absl::StrCat("{name: ", name, ", connect_timeout: 2s, type: STATIC, ", more,
                        socket.empty() ? "" : absl::StrCat("transport_socket: ", socket, ", "),
                        "load_assignment: ", Assignment(name, gateways), "}");
  }
  std::string Assignment(const std::string& name, const std::vector<int>& gateways,
                         const std::string& health = "HEALTHY") {
    std::vector<std::string> endpoints;
    for (const int port : gateways) {
      endpoints.push_back(absl::StrCat(
          "{endpoint: {address: {socket_address: {address: 127.0.0.1, port_value: ", port,
          "}}}, health_status: ", health,
          ", metadata: {filter_metadata: {weft: {fanout: ", pods_.size(), "}}}}"));
    }
    return absl::StrCat("{cluster_name: ", name, ", endpoints: [{lb_endpoints: [",
                        absl::StrJoin(endpoints, ", "), "]}]}");
  }

  std::unique_ptr<ProxyProcess> StartClient(const std::string& cluster,
                                            const std::string& more_of_route = "") {
    return std::make_unique<ProxyProcess>(
        std::vector<std::string>{HttpListener("in", client_port_, RouteTo("app", more_of_route))},
        std::vector<std::string>{cluster});
  }

  Message Fetch(const std::string& path = "/") { return Ask(client_port_, Get(path)); }
  // By one connection, one after the other: how many each pod answered, by its name.
  std::map<std::string, int> Spread(int requests) {
    std::map<std::string, int> had;
    Socket client = Socket::Connect(client_port_);
    for (int i = 0; i < requests; ++i) {
      client.Send("GET / HTTP/1.1\r\nHost: h\r\n\r\n");
      const Message answer = client.ReadResponse();
      EXPECT_TRUE(answer.complete);
      if (!answer.complete) break;
      ++had[answer.status() == 200 || answer.body.size() < 10 ? answer.body : "an error"];
    }
    return had;
  }
  static double ChiSquare(const std::map<std::string, int>& had, size_t pods) {
    double total = 0;
    for (const auto& [pod, count] : had) total += count;
    const double expected = total / static_cast<double>(pods);
    double sum = static_cast<double>(pods) * expected - static_cast<double>(had.size()) * expected;
    for (const auto& [pod, count] : had) sum += (count - expected) * (count - expected) / expected;
    return sum;
  }

  bool Hangs(int count) {
    return Eventually([&] {
      int hanging = 0;
      for (const auto& pod : pods_) hanging += pod->hanging;
      return hanging == count;
    });
  }
  std::string Log() const {
    std::ifstream file(log_);
    std::stringstream text;
    text << file.rdbuf();
    return text.str();
  }
  bool Logs(const std::string& line) {
    return Eventually([&] { return absl::StrContains(Log(), line); });
  }

  const certs::Issuer issuer_ = *certs::Issuer::CreateRoot("west", absl::Now());
  const std::string roots_ = WriteTestFile("roots.pem", issuer_.root().ToPem());
  const std::string log_ = WriteTestFile("access.log", "");
  const int client_port_ = FreePort();
  const int gateway_port_ = FreePort();
  std::string outer_;
  std::vector<std::unique_ptr<Pod>> pods_;
};

TEST_F(TunnelTest, AllClustersShareOneConnection) {
  const auto gateway = StartGateway(gateway_port_);
  const int other_port = FreePort();
  ProxyProcess client({HttpListener("in", client_port_, RouteTo("app")),
                       HttpListener("other", other_port, RouteTo("other"))},
                      {ClusterBy("app", {gateway_port_}, Tunnel("app")),
                       ClusterBy("other", {gateway_port_}, Tunnel("other"))});
  std::vector<std::thread> clients;
  for (int i = 0; i < 10; ++i) {
    clients.emplace_back([&, i] { Ask(i % 2 == 0 ? client_port_ : other_port, Get("/hang")); });
  }
  EXPECT_TRUE(Hangs(10));
  EXPECT_EQ(gateway->Stat("listener.tunnels.downstream_cx_total"), 1);
  for (const auto& pod : pods_) pod->release = true;
  for (std::thread& one : clients) one.join();
  EXPECT_EQ(Fetch().status(), 200);
}

TEST_F(TunnelTest, RequestsOfOneConnectionAreSpreadEvenlyOverThePods) {
  SetPods(9);
  const auto gateway = StartGateway(gateway_port_);
  const auto client = StartClient(ClusterBy("app", {gateway_port_}, Tunnel("app")));
  const std::map<std::string, int> had = Spread(1800);
  EXPECT_EQ(had.size(), 9u);
  EXPECT_LT(ChiSquare(had, 9), kChiSquareOfNine) << ::testing::PrintToString(had);
}

TEST_F(TunnelTest, BytesGoBothWaysUntilBothSidesHaveEnded) {
  Upstream server([](Socket& socket, int) {
    const std::string all = socket.ReadToEnd();
    socket.Send(absl::StrCat("had ", all.size()));
    socket.Send(all);
  });
  ProxyProcess gateway({GatewayListener(gateway_port_)}, {Cluster("app", {server.port()})});
  ProxyProcess client({TcpListener("in", client_port_, "app")},
                      {ClusterBy("app", {gateway_port_}, Tunnel("app"))});
  const std::string big(4 << 20, 'b');
  Socket socket = Socket::Connect(client_port_);
  std::thread sender([&] {
    socket.Send(big);
    socket.ShutdownWrite();
  });
  const std::string answer = socket.ReadToEnd();
  sender.join();
  EXPECT_EQ(answer.size(), big.size() + sizeof("had 4194304") - 1);
  EXPECT_TRUE(absl::StartsWith(answer, "had 4194304b"));
}

TEST_F(TunnelTest, TheGatewayLogsWhoWentWhere) {
  const auto gateway = StartGateway(gateway_port_);
  auto client = StartClient(ClusterBy("app", {gateway_port_}, Tunnel("app")));
  const std::string trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";
  EXPECT_EQ(Ask(client_port_, Get("/", absl::StrCat("traceparent: ", trace, "\r\n"))).status(),
            200);
  client.reset();
  EXPECT_TRUE(Logs(absl::StrCat("app 200 source=", kClient, " pod="))) << Log();
  EXPECT_TRUE(absl::StrContains(Log(), absl::StrCat("trace=", trace))) << Log();
}

TEST_F(TunnelTest, WhatTheGatewayDoesNotHaveIsRefused) {
  const auto gateway = StartGateway(gateway_port_);
  for (const char* authority : {"unknown", "nobody"}) {
    const auto client = StartClient(ClusterBy("app", {gateway_port_}, Tunnel(authority)));
    EXPECT_EQ(Fetch().status(), 503) << authority;
  }
  EXPECT_TRUE(Logs("unknown 404")) << Log();
  EXPECT_TRUE(Logs("nobody 503")) << Log();
}

// ---- At the gateway alone, by curl.

class TunnelGatewayTest : public TunnelTest {
 protected:
  // What curl says of a request through the gateway by CONNECT, as `identity`.
  std::string Curl(int port, const certs::Issuer& issuer, const std::string& identity,
                   const std::vector<std::string>& fields, const std::string& authority = "app") {
    const Files files = Issue(issuer, identity);
    std::string headers;
    for (const std::string& field : fields)
      absl::StrAppend(&headers, " --proxy-header '", field, "'");
    return RunTool(absl::StrCat("curl -sv -m 10 -p --http1.1 --proxy-insecure --proxy-cert ",
                                files.chain, " --proxy-key ", files.key, headers,
                                " -x https://127.0.0.1:", port, " http://", authority, ":80/"));
  }
  static std::string PodIn(const std::string& output) {
    const size_t at = output.find("x-weft-pod: ");
    if (at == std::string::npos) return "";
    const size_t begin = at + sizeof("x-weft-pod: ") - 1;
    return output.substr(begin, output.find_first_of("\r\n", begin) - begin);
  }
};

TEST_F(TunnelGatewayTest, Row66_NobodyIsTakenForAnotherByWhatHeSays) {
  // Both roots are trusted; the gateways of east may speak for those of east.
  const certs::Issuer east = *certs::Issuer::CreateRoot("east", absl::Now());
  ReplaceTestFile(roots_, absl::StrCat(issuer_.root().ToPem(), east.root().ToPem()));
  const std::string east_gateway = "spiffe://east/ns/weft-system/sa/gateway";
  const auto gateway =
      StartGateway(gateway_port_, absl::StrCat(", gateways: {east: \"", east_gateway, "\"}"));
  const std::string of_east = "spiffe://east/ns/default/sa/app";
  const struct {
    const char* name;
    const certs::Issuer& issuer;
    std::string identity;
    std::vector<std::string> said;
    std::string source;
  } kCases[] = {
      {"who says nothing", issuer_, kClient, {}, kClient},
      {"a workload for its gateway", issuer_, kClient, {kGateway}, kClient},
      {"a workload for another cluster's", issuer_, kClient, {of_east}, kClient},
      {"a gateway for its own", east, east_gateway, {of_east}, of_east},
      {"a gateway for ours", east, east_gateway, {kClient}, east_gateway},
      {"a gateway for nobody", east, east_gateway, {"nonsense"}, east_gateway},
      {"a workload of the gateway's domain", east, of_east, {kClient}, of_east},
      {"a workload that says it twice", issuer_, kClient, {of_east, kGateway}, kClient},
  };
  for (const auto& one : kCases) {
    std::vector<std::string> fields;
    for (const std::string& said : one.said) {
      fields.push_back(absl::StrCat("x-weft-source: ", said));
    }
    const std::string output = Curl(gateway_port_, one.issuer, one.identity, fields);
    EXPECT_TRUE(absl::StrContains(output, "pod-")) << one.name << "\n" << output;
  }
  std::vector<std::string> expected;
  for (const auto& one : kCases) expected.push_back(absl::StrCat("source=", one.source, " "));
  EXPECT_TRUE(Eventually([&] {
    const std::vector<std::string> lines = absl::StrSplit(Log(), '\n', absl::SkipEmpty());
    return lines.size() == expected.size();
  })) << Log();
  const std::vector<std::string> lines = absl::StrSplit(Log(), '\n', absl::SkipEmpty());
  ASSERT_EQ(lines.size(), expected.size());
  for (size_t i = 0; i < lines.size(); ++i) {
    EXPECT_TRUE(absl::StrContains(lines[i], expected[i])) << kCases[i].name << ": " << lines[i];
  }
}

TEST_F(TunnelGatewayTest, WhoHasNoCertificateIsNotServed) {
  const auto gateway = StartGateway(gateway_port_);
  const std::string output = RunTool(
      absl::StrCat("curl -sv -m 10 -p --proxy-insecure -x https://127.0.0.1:", gateway_port_,
                   " http://app:80/"));
  EXPECT_FALSE(absl::StrContains(output, "pod-")) << output;
}

TEST_F(TunnelGatewayTest, APodHasOneNameAtAllGatewaysOfACluster) {
  SetPods(1);
  const int second_port = FreePort();
  const int foreign_port = FreePort();
  const auto first = StartGateway(gateway_port_, ", pod_name_key: shared", "3");
  const auto second = StartGateway(second_port, ", pod_name_key: shared");
  const auto foreign = StartGateway(foreign_port, ", pod_name_key: another");
  std::set<std::string> names;
  // So many connections that each worker certainly has some.
  for (int i = 0; i < 12; ++i) names.insert(PodIn(Curl(gateway_port_, issuer_, kClient, {})));
  names.insert(PodIn(Curl(second_port, issuer_, kClient, {})));
  ASSERT_EQ(names.size(), 1u) << absl::StrJoin(names, " ");
  EXPECT_EQ(names.begin()->size(), 16u) << *names.begin();
  EXPECT_NE(PodIn(Curl(foreign_port, issuer_, kClient, {})), *names.begin());
}

TEST_F(TunnelGatewayTest, AWorkersNamesAreThoseOfTheOthersWithoutAKey) {
  SetPods(1);
  const auto gateway = StartGateway(gateway_port_, "", "3");
  std::set<std::string> names;
  for (int i = 0; i < 12; ++i) names.insert(PodIn(Curl(gateway_port_, issuer_, kClient, {})));
  EXPECT_EQ(names.size(), 1u) << absl::StrJoin(names, " ");
}

TEST_F(TunnelGatewayTest, APodIsAvoidedWhileThereIsAnother) {
  const auto gateway = StartGateway(gateway_port_);
  std::set<std::string> names;
  for (int i = 0; i < 30 && names.size() < 3; ++i) {
    names.insert(PodIn(Curl(gateway_port_, issuer_, kClient, {})));
  }
  ASSERT_EQ(names.size(), 3u);
  const std::vector<std::string> all(names.begin(), names.end());
  for (int i = 0; i < 6; ++i) {
    const std::string avoid = absl::StrCat("x-weft-avoid: ", all[0], ",", all[2]);
    EXPECT_EQ(PodIn(Curl(gateway_port_, issuer_, kClient, {avoid})), all[1]);
  }
  const std::string avoid = absl::StrCat("x-weft-avoid: ", absl::StrJoin(all, ","));
  EXPECT_EQ(names.count(PodIn(Curl(gateway_port_, issuer_, kClient, {avoid}))), 1u);
  EXPECT_EQ(names.count(PodIn(Curl(gateway_port_, issuer_, kClient, {"x-weft-avoid: ,,no,"}))), 1u);
}

// ---- Pods that fail.

constexpr char kOutlier[] =
    "outlier_detection: {consecutive_5xx: 3, interval: 1s, base_ejection_time: 60s}, ";

TEST_F(TunnelTest, APodThatAnswers500LosesItsShareAlone) {
  SetPods(9);
  pods_[4]->status = 500;
  const auto gateway = StartGateway(gateway_port_);
  const auto client = StartClient(ClusterBy("app", {gateway_port_}, Tunnel("app"), kOutlier));
  Spread(90);
  EXPECT_EQ(pods_[4]->requests, 3);
  const std::map<std::string, int> had = Spread(1600);
  EXPECT_EQ(had.count("pod-4"), 0u);
  EXPECT_LT(ChiSquare(had, 8), kChiSquareOfNine) << ::testing::PrintToString(had);
  EXPECT_EQ(client->Stat("outlier_detection.ejections_active"), 1);
  EXPECT_EQ(client->Stat("ejections_enforced_consecutive_5xx"), 1);
}

TEST_F(TunnelTest, WithoutOutlierDetectionItKeepsItsShare) {
  SetPods(9);
  pods_[4]->status = 500;
  const auto gateway = StartGateway(gateway_port_);
  const auto client = StartClient(ClusterBy("app", {gateway_port_}, Tunnel("app")));
  EXPECT_LT(ChiSquare(Spread(900), 9), kChiSquareOfNine);
}

// With mTLS within, of which the gateway has no key.
class InnerTlsTest : public TunnelTest {
 protected:
  std::string Inner() {
    return absl::StrCat("{name: tls, typed_config: {\"@type\": ", kTls, "UpstreamTlsContext, ",
                        Context(issuer_, kClient, "istio", kPod), "}}");
  }
  // One more proxy, with a listener for each pod.
  std::unique_ptr<ProxyProcess> StartSidecars(std::vector<int>& ports) {
    std::vector<std::string> listeners, clusters;
    for (size_t i = 0; i < pods_.size(); ++i) {
      ports.push_back(FreePort());
      const std::string name = absl::StrCat("pod-", i);
      listeners.push_back(HttpListener(
          name, ports.back(), RouteTo(name), "",
          absl::StrCat("transport_socket: {name: tls, typed_config: {\"@type\": ", kTls,
                       "DownstreamTlsContext, require_client_certificate: true, ",
                       Context(issuer_, kPod, "istio", kClient), "}},")));
      clusters.push_back(Cluster(name, {pods_[i]->port()}));
    }
    return std::make_unique<ProxyProcess>(listeners, clusters);
  }
};

TEST_F(InnerTlsTest, RequestsAreSpreadEvenly) {
  SetPods(9);
  std::vector<int> ports;
  const auto sidecars = StartSidecars(ports);
  ProxyProcess gateway({GatewayListener(gateway_port_)}, {Cluster("app", ports)});
  const auto client = StartClient(ClusterBy("app", {gateway_port_}, Tunnel("app", Inner())));
  const std::map<std::string, int> had = Spread(900);
  EXPECT_LT(ChiSquare(had, 9), kChiSquareOfNine) << ::testing::PrintToString(had);
}

TEST_F(InnerTlsTest, APodThatDoesNotAnswerTlsIsNotTakenForItsGateway) {
  std::vector<int> ports;
  const auto sidecars = StartSidecars(ports);
  Pod broken("broken");
  broken.silent = true;
  ports[1] = broken.port();
  ProxyProcess gateway({GatewayListener(gateway_port_)}, {Cluster("app", ports)});
  const auto client = StartClient(ClusterBy("app", {gateway_port_}, Tunnel("app", Inner())),
                                  "retry_policy: {retry_on: connect-failure, num_retries: 2}");
  const std::map<std::string, int> had = Spread(300);
  EXPECT_EQ(had.count("an error"), 0u) << ::testing::PrintToString(had);
  EXPECT_EQ(had.size(), 2u) << ::testing::PrintToString(had);
}

// ---- Gateways that fail.

// As Istio has it; Envoy's default lets three retries at once be under way.
constexpr char kManyRetries[] = "circuit_breakers: {thresholds: [{max_retries: 1000}]}, ";

constexpr char kRetry[] =
    "timeout: 15s, retry_policy: {retry_on: \"connect-failure,reset\", num_retries: 3}";

class TwoGatewaysTest : public TunnelTest {
 protected:
  // Requests for /hang: as many as are under way at both.
  void Begin(int count, const std::string& request) {
    for (int i = 0; i < count; ++i) {
      clients_.emplace_back([this, request] {
        const Message answer = Ask(client_port_, request);
        ++(answer.status() == 200 ? well_ : badly_);
      });
    }
    ASSERT_TRUE(Hangs(count));
  }
  void End() {
    for (std::thread& one : clients_) one.join();
    clients_.clear();
  }
  void ReleaseAll() {
    for (const auto& pod : pods_) pod->release = true;
  }

  const int second_port_ = FreePort();
  std::vector<std::thread> clients_;
  std::atomic<int> well_{0};
  std::atomic<int> badly_{0};
};

TEST_F(TwoGatewaysTest, Row115_WhatIsInFlightAtAKilledGatewayIsSentAgainIfThatIsSafe) {
  for (const bool retried : {false, true}) {
    SetPods(3);
    well_ = badly_ = 0;
    auto first = StartGateway(gateway_port_);
    const auto second = StartGateway(second_port_);
    const auto client =
        StartClient(ClusterBy("app", {gateway_port_, second_port_}, Tunnel("app"), kManyRetries),
                    retried ? kRetry : "timeout: 15s");
    Begin(12, Get("/hang"));
    const double at_first = first->Stat("tunnels.downstream_rq_active");
    ASSERT_GT(at_first, 0);
    ASSERT_LT(at_first, 12);
    const absl::Time killed = absl::Now();
    first->Kill();
    if (retried) {
      EXPECT_TRUE(Hangs(12 + static_cast<int>(at_first)));
    } else {
      EXPECT_TRUE(Eventually([&] { return badly_ == static_cast<int>(at_first); }));
    }
    EXPECT_LT(absl::Now() - killed, absl::Seconds(3));
    ReleaseAll();
    End();
    EXPECT_EQ(well_, retried ? 12 : 12 - static_cast<int>(at_first));
    // Without a retry one request each time finds out that nobody listens there.
    for (int i = 0; retried && i < 30; ++i) EXPECT_EQ(Fetch().status(), 200) << i;
  }
}

TEST_F(TwoGatewaysTest, Row117_AStoppedGatewayIsFoundByItsSilence) {
  const auto first = StartGateway(gateway_port_);
  const auto second = StartGateway(second_port_);
  const auto client = StartClient(
      ClusterBy("app", {gateway_port_, second_port_}, Tunnel("app"), kManyRetries), kRetry);
  Begin(12, Get("/hang"));
  const int at_first = static_cast<int>(first->Stat("tunnels.downstream_rq_active"));
  ASSERT_GT(at_first, 0);
  const absl::Time stopped = absl::Now();
  first->Signal(SIGSTOP);
  EXPECT_TRUE(Hangs(12 + at_first));
  EXPECT_LT(absl::Now() - stopped, kSilence);
  ReleaseAll();
  End();
  EXPECT_EQ(well_, 12);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(Fetch().status(), 200) << i;
  first->Signal(SIGCONT);
}

// Without tunnels, too: a gateway that passes TLS on by its server name is no more than a port.
class NamedGatewaysTest : public TwoGatewaysTest {
 protected:
  std::string Resource(const std::string& assignment) {
    return absl::StrCat(
        "resources:\n- {\"@type\": "
        "type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment, ",
        assignment.substr(1), "\n");
  }
  std::unique_ptr<ProxyProcess> StartNamed(const std::string& socket, const std::string& route) {
    return StartClient(
        absl::StrCat("{name: app, connect_timeout: 2s, type: EDS, ", kManyRetries,
                     "eds_cluster_config: "
                     "{eds_config: {path_config_source: {path: ",
                     endpoints_, "}}}, ",
                     socket.empty() ? "" : absl::StrCat("transport_socket: ", socket), "}"),
        route);
  }
  void Say(const std::string& assignment) { ReplaceTestFile(endpoints_, Resource(assignment)); }

  const std::string endpoints_ = WriteTestFile("endpoints.yaml", "resources: []\n");
};

TEST_F(NamedGatewaysTest, AGatewayThatIsSaidToBeIllHoldsNoRequest) {
  for (const bool tunnel : {true, false}) {
    SetPods(3);
    well_ = badly_ = 0;
    const auto gateway = StartGateway(gateway_port_);
    const int port = tunnel ? gateway_port_ : pods_[0]->port();
    Say(Assignment("app", {port}));
    const auto client = StartNamed(tunnel ? Tunnel("app") : "", "timeout: 15s");
    Begin(4, Get("/hang"));
    Socket begun = Socket::Connect(client_port_);
    begun.Send(Get("/begin"));
    EXPECT_EQ(begun.ReadResponse(/*to_head=*/true).status(), 200);
    ASSERT_TRUE(Hangs(5));
    const absl::Time said = absl::Now();
    Say(Assignment("app", {port}, "UNHEALTHY"));
    EXPECT_TRUE(Eventually([&] { return badly_ == 4; }));
    EXPECT_LT(absl::Now() - said, absl::Seconds(1));
    ReleaseAll();
    End();
    // An answer that has begun comes to its end.
    EXPECT_EQ(begun.Read(10), "helloworld");
  }
}

TEST_F(NamedGatewaysTest, AGatewayThatIsNamedNoMoreHoldsRequestsForASecond) {
  Say(Assignment("app", {pods_[0]->port(), pods_[1]->port()}));
  const auto client = StartNamed("", kRetry);
  Begin(12, Get("/hang"));
  const int at_first = pods_[0]->hanging;
  ASSERT_GT(at_first, 0);
  const absl::Time said = absl::Now();
  Say(Assignment("app", {pods_[1]->port()}));
  // They are sent to the other one.
  EXPECT_TRUE(Hangs(12 + at_first));
  EXPECT_GT(absl::Now() - said, absl::Milliseconds(900));
  EXPECT_LT(absl::Now() - said, absl::Seconds(3));
  ReleaseAll();
  End();
  EXPECT_EQ(well_, 12);
}

// Its pings say that it lives: it may end what it has, as one that is scaled down in good order.
TEST_F(NamedGatewaysTest, ATunnelIsNotCutBecauseItsGatewayIsNamedNoMore) {
  const auto first = StartGateway(gateway_port_);
  const auto second = StartGateway(second_port_);
  Say(Assignment("app", {gateway_port_, second_port_}));
  const auto client = StartNamed(Tunnel("app"), "timeout: 15s");
  Begin(12, Get("/hang"));
  Say(Assignment("app", {second_port_}));
  absl::SleepFor(absl::Seconds(2));
  EXPECT_EQ(badly_, 0);
  ReleaseAll();
  End();
  EXPECT_EQ(well_, 12);
}

TEST_F(TwoGatewaysTest, AGatewayThatDrainsGetsNoMoreRequests) {
  auto first = StartGateway(gateway_port_);
  const auto second = StartGateway(second_port_);
  const auto client = StartClient(
      ClusterBy("app", {gateway_port_, second_port_}, Tunnel("app"), kManyRetries), kRetry);
  for (int i = 0; i < 40; ++i) ASSERT_EQ(Fetch().status(), 200);
  std::atomic<bool> enough{false};
  std::atomic<int> failed{0};
  std::thread load([&] {
    while (!enough) failed += Fetch().status() != 200;
  });
  // As a pod ends: it drains, and then it goes.
  EXPECT_EQ(first->Admin("/drain_listeners", "POST").status(), 200);
  EXPECT_TRUE(Eventually([&] { return first->Stat("tunnels.downstream_rq_active") == 0; }))
      << "tunnels that nobody uses are not kept";
  first->Signal(SIGTERM);
  EXPECT_EQ(first->AwaitExit(), 0);
  enough = true;
  load.join();
  EXPECT_EQ(failed, 0);
}

}  // namespace
}  // namespace weft::test
