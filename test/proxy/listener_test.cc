// Listeners of the running proxy: what is found out before a chain is chosen, sockets that are not
// TCP over IPv4, and limits.
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

constexpr char kFilters[] = "type.googleapis.com/envoy.extensions.filters.";

std::string Filter(const std::string& name, const std::string& type, const std::string& more = "") {
  return absl::StrCat("{name: ", name, ", typed_config: {\"@type\": ", kFilters, type, more, "}}");
}

std::string TcpTo(const std::string& cluster) {
  return Filter("tcp", "network.tcp_proxy.v3.TcpProxy",
                absl::StrCat(", stat_prefix: t, cluster: ", cluster));
}

std::string At(int port) {
  return absl::StrCat("address: {socket_address: {address: 127.0.0.1, port_value: ", port, "}}");
}

std::string Chain(const std::string& match, const std::string& cluster) {
  return absl::StrCat("{filter_chain_match: {", match, "}, filters: [", TcpTo(cluster), "]}");
}

std::string ListenerOf(const std::string& address, const std::string& more,
                       const std::string& chains) {
  return absl::StrCat("{name: in, ", address, ", ", more, "filter_chains: [", chains, "]}");
}

const std::string kProxyProtocol = Filter("pp", "listener.proxy_protocol.v3.ProxyProtocol");

// Says who it is and ends; what the client sends meanwhile is taken.
Upstream::Script Named(const std::string& name) {
  return [name](Socket& socket, int) {
    socket.Send(name);
    socket.ShutdownWrite();
    socket.ReadToEnd();
  };
}

TEST(Listener, ProxyHeaderBecomesTheClientsAddress) {
  Upstream ten(Named("ten"));
  Upstream other(Named("other"));
  const int port = FreePort();
  ProxyProcess proxy(
      {ListenerOf(At(port), absl::StrCat("listener_filters: [", kProxyProtocol, "], "),
                  absl::StrCat(Chain("source_prefix_ranges: [{address_prefix: 10.0.0.0, "
                                     "prefix_len: 8}]",
                                     "ten"),
                               ", ", Chain("", "other")))},
      {Cluster("ten", {ten.port()}), Cluster("other", {other.port()})});
  struct Case {
    std::string header;
    std::string answer;
  };
  const std::string binary("\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x0c\x0a\1\1\1\x0a\2\2\2\0\1\0\2", 28);
  const Case kCases[] = {
      {"PROXY TCP4 10.1.1.1 10.2.2.2 1 2\r\n", "ten"},
      {"PROXY TCP4 192.0.2.1 10.2.2.2 1 2\r\n", "other"},
      {"PROXY UNKNOWN\r\n", "other"},
      {binary, "ten"},
  };
  for (const Case& one : kCases) {
    SCOPED_TRACE(one.answer);
    Socket client = Socket::Connect(port);
    client.Send(one.header);
    EXPECT_EQ(client.ReadToEnd(), one.answer);
  }
}

TEST(Listener, Row68MalformedProxyProtocol) {
  Upstream upstream(Named("served"));
  const int port = FreePort();
  ProxyProcess proxy(
      {ListenerOf(At(port), absl::StrCat("listener_filters: [", kProxyProtocol, "], "),
                  Chain("", "up"))},
      {Cluster("up", {upstream.port()})});
  const std::string kBad[] = {"GET / HTTP/1.1\r\n\r\n", "PROXY TCP4 1.2.3.4 5.6.7.8 1 99999\r\n",
                              "PROXY " + std::string(200, 'x'),
                              std::string("\r\n\r\n\0\r\nQUIT\n\x31\x11\0\x0c", 16)};
  for (const std::string& bad : kBad) {
    Socket client = Socket::Connect(port);
    client.Send(bad);
    EXPECT_EQ(client.ReadToEnd(), "");
  }
  EXPECT_EQ(upstream.connections(), 0);
  EXPECT_EQ(proxy.Stat("downstream_listener_filter_error"), 4);
}

TEST(Listener, SilenceBeforeAChainIsBounded) {
  Upstream upstream(Named("served"));
  const int port = FreePort();
  ProxyProcess proxy({ListenerOf(At(port),
                                 absl::StrCat("listener_filters_timeout: 0.1s, listener_filters: [",
                                              kProxyProtocol, "], "),
                                 Chain("", "up"))},
                     {Cluster("up", {upstream.port()})});
  Socket client = Socket::Connect(port);
  EXPECT_TRUE(client.Ended());
  EXPECT_EQ(proxy.Stat("downstream_pre_cx_timeout"), 1);
}

TEST(Listener, PlainHttpVersionsChooseTheChain) {
  Upstream h1(Named("h1"));
  Upstream h2(Named("h2"));
  Upstream other(Named("other"));
  const int port = FreePort();
  ProxyProcess proxy(
      {ListenerOf(
          At(port),
          absl::StrCat("listener_filters: [",
                       Filter("http", "listener.http_inspector.v3.HttpInspector"), "], "),
          absl::StrCat(Chain("application_protocols: [http/1.1]", "h1"), ", ",
                       Chain("application_protocols: [h2c]", "h2"), ", ", Chain("", "other")))},
      {Cluster("h1", {h1.port()}), Cluster("h2", {h2.port()}), Cluster("other", {other.port()})});
  const std::pair<std::string, std::string> kCases[] = {
      {Get("/"), "h1"}, {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "h2"}, {"EHLO x\r\n", "other"}};
  for (const auto& [bytes, answer] : kCases) {
    Socket client = Socket::Connect(port);
    // Byte by byte: nothing may be lost on the way.
    for (const char c : bytes) ASSERT_TRUE(client.Send(std::string(1, c)));
    EXPECT_EQ(client.ReadToEnd(), answer);
  }
}

// What the inspector has read is there for the codec again, whichever it chooses.
TEST(Listener, PlainHttpIsServedByTheChainOfItsVersion) {
  const int port = FreePort();
  const auto chain = [](const std::string& match, const std::string& body) {
    return absl::StrCat(
        "{filter_chain_match: {", match, "}, filters: [",
        Filter("http", "network.http_connection_manager.v3.HttpConnectionManager",
               absl::StrCat(", stat_prefix: h, route_config: {name: r, virtual_hosts: [{name: all, "
                            "domains: [\"*\"], routes: [{match: {prefix: /}, direct_response: "
                            "{status: 200, body: {inline_string: ",
                            body, "}}}]}]}, http_filters: [",
                            Filter("router", "http.router.v3.Router"), "]")),
        "]}");
  };
  ProxyProcess proxy(
      {ListenerOf(At(port),
                  absl::StrCat("listener_filters: [",
                               Filter("http", "listener.http_inspector.v3.HttpInspector"), "], "),
                  absl::StrCat(chain("application_protocols: [h2c]", "two"), ", ",
                               chain("application_protocols: [http/1.1]", "one")))},
      {Cluster("unused", {port})});
  const std::pair<std::string, std::string> kCases[] = {{"--http2-prior-knowledge", "two 2"},
                                                        {"--http1.1", "one 1.1"}};
  for (const auto& [option, answer] : kCases) {
    EXPECT_EQ(RunTool(absl::StrCat("curl --silent --show-error ", option,
                                   " -w ' %{http_version}' http://127.0.0.1:", port, "/")),
              answer);
  }
}

TEST(Listener, TakesUnixSocketsAndMoreThanOneAddress) {
  Upstream upstream(Named("served"));
  const int port = FreePort();
  const int more_port = FreePort();
  // Not the test's own folder: a Unix socket's path has 107 bytes at most.
  const std::string path = absl::StrCat("/tmp/weft-listener-", getpid(), ".sock");
  ProxyProcess proxy(
      {ListenerOf(At(port),
                  absl::StrCat("additional_addresses: [{", At(more_port),
                               "}, {address: {pipe: {path: \"", path, "\", mode: 384}}}], "),
                  Chain("", "up"))},
      {Cluster("up", {upstream.port()})});
  for (const int one : {port, more_port}) EXPECT_EQ(Socket::Connect(one).ReadToEnd(), "served");
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof(address.sun_path) - 1);
  const int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(Socket(fd).ReadToEnd(), "served");
  unlink(path.c_str());
}

TEST(Listener, ConnectionLimitClosesTheRest) {
  Upstream upstream([](Socket& socket, int) {
    socket.Send("in");
    socket.ReadToEnd();
  });
  const int port = FreePort();
  const std::string limited =
      absl::StrCat("{filters: [",
                   Filter("limit", "network.connection_limit.v3.ConnectionLimit",
                          ", stat_prefix: l, max_connections: 1"),
                   ", ", TcpTo("up"), "]}");
  ProxyProcess proxy({ListenerOf(At(port), "", limited)}, {Cluster("up", {upstream.port()})});
  Socket first = Socket::Connect(port);
  EXPECT_EQ(first.Read(2), "in");
  EXPECT_TRUE(Socket::Connect(port).Ended());
  EXPECT_EQ(proxy.Stat("downstream_cx_overflow"), 1);
  first.Close();
  EXPECT_TRUE(Eventually([&] { return Socket::Connect(port).Read(2) == "in"; }));
}

TEST(Listener, TellsTheEndpointWhoTheClientIs) {
  std::string seen;
  Upstream upstream([&](Socket& socket, int) {
    seen = socket.ReadToEnd();
    socket.Send("done");
  });
  const int port = FreePort();
  const std::string proxied =
      "transport_socket: {name: pp, typed_config: {\"@type\": type.googleapis.com/"
      "envoy.extensions.transport_sockets.proxy_protocol.v3.ProxyProtocolUpstreamTransport, "
      "config: {version: V1}, transport_socket: {name: envoy.transport_sockets.raw_buffer}}},";
  ProxyProcess proxy({TcpListener("in", port, "up")}, {Cluster("up", {upstream.port()}, proxied)});
  Socket client = Socket::Connect(port);
  client.Send("hello");
  client.ShutdownWrite();
  EXPECT_EQ(client.ReadToEnd(), "done");
  EXPECT_TRUE(absl::StartsWith(seen, "PROXY TCP4 127.0.0.1 127.0.0.1 ")) << seen;
  EXPECT_TRUE(absl::EndsWith(seen, absl::StrCat(" ", port, "\r\nhello"))) << seen;
}

TEST(Tcp, EndsAfterTheLongestDuration) {
  Upstream upstream([](Socket& socket, int) { socket.ReadToEnd(); });
  const int port = FreePort();
  const std::string chain = absl::StrCat(
      "{filters: [",
      Filter("tcp", "network.tcp_proxy.v3.TcpProxy",
             ", stat_prefix: t, cluster: up, max_downstream_connection_duration: 0.1s"),
      "]}");
  ProxyProcess proxy({ListenerOf(At(port), "", chain)}, {Cluster("up", {upstream.port()})});
  EXPECT_TRUE(Socket::Connect(port).Ended());
  EXPECT_EQ(proxy.Stat("max_downstream_connection_duration"), 1);
}

}  // namespace
}  // namespace weft::test
