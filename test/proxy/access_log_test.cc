// Access logs of the running proxy: formats, filters, and what peers cannot do to them.
#include <fstream>
#include <sstream>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

std::string Contents(const std::string& path) {
  std::ostringstream text;
  text << std::ifstream(path).rdbuf();
  return text.str();
}

std::string Log(const std::string& path, const std::string& format, const std::string& more = "") {
  return absl::StrCat(
      "{name: f, ", more,
      " typed_config: {\"@type\": "
      "type.googleapis.com/envoy.extensions.access_loggers.file.v3.FileAccessLog, path: \"",
      path, "\"", format.empty() ? "" : ", log_format: ", format, "}}");
}

std::string Text(const std::string& format) {
  return absl::StrCat("{text_format_source: {inline_string: \"", format, "\"}}");
}

// A listener with these logs before an upstream that echoes.
struct Logged {
  explicit Logged(const std::string& format, const std::string& more = "",
                  const std::string& route = "", Upstream::Script script = Echo)
      : path(WriteTestFile("access.log", "")),
        upstream(std::move(script)),
        proxy({HttpListener("in", port, RouteTo("up", route),
                            absl::StrCat("access_log: [", Log(path, format, more), "],"))},
              {Cluster("up", {upstream.port()})}) {}

  // The lines, once there are so many.
  std::vector<std::string> Lines(size_t count) {
    std::vector<std::string> lines;
    EXPECT_TRUE(Eventually([&] {
      lines = absl::StrSplit(Contents(path), '\n', absl::SkipEmpty());
      return lines.size() >= count;
    }));
    EXPECT_EQ(lines.size(), count);
    lines.resize(count);
    return lines;
  }

  const std::string path;
  Upstream upstream;
  const int port = FreePort();
  ProxyProcess proxy;
};

TEST(AccessLog, TheDefaultFormat) {
  Logged s("");
  Ask(s.port, Get("/a?b", "User-Agent: ua\r\n"));
  const std::string line = s.Lines(1)[0];
  EXPECT_TRUE(absl::StrContains(line, "] \"GET /a?b HTTP/1.1\" 200 - via_upstream - \"-\" 0 "))
      << line;
  EXPECT_TRUE(absl::StrContains(line, " \"-\" \"ua\" \"")) << line;
  EXPECT_TRUE(absl::StrContains(line, absl::StrCat("\"127.0.0.1:", s.upstream.port(), "\" up ")))
      << line;
}

TEST(AccessLog, OperatorsOfRequestAndResponse) {
  Logged s(Text("%REQ(:METHOD)% %REQ(x-a?x-b)% %RESP(x-up)% %TRAILER(t)% %GRPC_STATUS% "
                "%RESPONSE_CODE% %UPSTREAM_CLUSTER% %BYTES_RECEIVED% %BYTES_SENT% "
                "%UPSTREAM_REQUEST_ATTEMPT_COUNT% %DOWNSTREAM_LOCAL_PORT%\\n"),
           "", "", [](Socket& socket, int) {
             socket.ReadRequest();
             socket.Send(
                 "HTTP/1.1 200 OK\r\nx-up: u\r\ntransfer-encoding: chunked\r\n\r\n"
                 "2\r\nok\r\n0\r\nt: v\r\ngrpc-status: 5\r\n\r\n");
             socket.Read(1);
           });
  Ask(s.port, "POST / HTTP/1.1\r\nHost: h\r\nx-b: b\r\nContent-Length: 3\r\n\r\nabc");
  EXPECT_EQ(s.Lines(1)[0], absl::StrCat("POST b u v NotFound 200 up 3 2 1 ", s.port));
}

TEST(AccessLog, Json) {
  Logged s(
      "{json_format: {code: \"%RESPONSE_CODE%\", a: \"%REQ(x-a)%\", path: "
      "\"p=%REQ(:PATH)%\"}, omit_empty_values: true}");
  Ask(s.port, Get("/\"", "x-a: \xff\"\r\n"));
  Ask(s.port, Get("/b"));
  const std::vector<std::string> lines = s.Lines(2);
  EXPECT_EQ(lines[0], "{\"a\":\"\\u00ff\\\"\",\"code\":200,\"path\":\"p=/\\\"\"}");
  EXPECT_EQ(lines[1], "{\"code\":200,\"path\":\"p=/b\"}");
}

TEST(AccessLog, Row46WhatAPeerSentCannotForgeALine) {
  Logged s(Text("\\\"%REQ(x-a)%\\\" %REQ(:PATH)%\\n"));
  Ask(s.port, Get("/", "x-a: a\"\tb\x80\r\n"));
  EXPECT_EQ(s.Lines(1)[0], "\"a\\\"\\tb\\x80\" /");
}

TEST(AccessLog, FiltersChoose) {
  Logged s(Text("%REQ(:PATH)%\\n"),
           "filter: {or_filter: {filters: [{status_code_filter: {comparison: {op: GE, value: "
           "{default_value: 500, runtime_key: x}}}}, {header_filter: {header: {name: x-log, "
           "present_match: true}}}]}},",
           "", [](Socket& socket, int) {
             while (true) {
               const Message request = socket.ReadRequest();
               if (!request.complete) return;
               socket.Send(absl::StartsWith(request.head, "GET /bad")
                               ? "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n"
                               : "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n");
             }
           });
  Ask(s.port, Get("/fine"));
  Ask(s.port, Get("/bad"));
  Ask(s.port, Get("/wanted", "x-log: 1\r\n"));
  const std::vector<std::string> lines = s.Lines(2);
  EXPECT_EQ(lines[0], "/bad");
  EXPECT_EQ(lines[1], "/wanted");
}

TEST(AccessLog, FlagsAndDetailsOfOurOwnAnswers) {
  const std::string path = WriteTestFile("access.log", "");
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, "{match: {path: /x}, route: {cluster: dead}}",
                                   absl::StrCat("access_log: [",
                                                Log(path, Text("%RESPONSE_CODE% %RESPONSE_FLAGS% "
                                                               "%RESPONSE_CODE_DETAILS%\\n")),
                                                "],"))},
                     {Cluster("dead", {FreePort()})});
  Ask(port, Get("/none"));
  Ask(port, Get("/x"));
  EXPECT_TRUE(Eventually([&] {
    return std::vector<std::string>(absl::StrSplit(Contents(path), '\n', absl::SkipEmpty()))
               .size() == 2;
  }));
  EXPECT_TRUE(absl::StartsWith(Contents(path), "404 NR route_not_found\n503 UF upstream_reset_"))
      << Contents(path);
}

TEST(AccessLog, OfATcpConnection) {
  const std::string path = WriteTestFile("access.log", "");
  Upstream upstream([](Socket& socket, int) { socket.Send(socket.Read(4)); });
  const int port = FreePort();
  const std::string listener = absl::StrCat(
      "{name: tcp, address: {socket_address: {address: 127.0.0.1, port_value: ", port,
      "}}, filter_chains: [{filters: [{name: tcp, typed_config: {\"@type\": "
      "type.googleapis.com/envoy.extensions.filters.network.tcp_proxy.v3.TcpProxy, stat_prefix: "
      "t, cluster: up, access_log: [",
      Log(path, Text("%REQ(:METHOD)% %UPSTREAM_CLUSTER% %BYTES_RECEIVED% %BYTES_SENT%\\n")),
      "]}}]}]}");
  ProxyProcess proxy({listener}, {Cluster("up", {upstream.port()})});
  {
    Socket client = Socket::Connect(port);
    client.Send("ping");
    EXPECT_EQ(client.Read(4), "ping");
  }
  EXPECT_TRUE(Eventually([&] { return Contents(path) == "- up 4 4\n"; })) << Contents(path);
}

TEST(AccessLog, AnUnknownOperatorIsRefusedAtTheStart) {
  const std::string config = WriteTestFile(
      "bad.yaml",
      Bootstrap(
          FreePort(),
          {HttpListener("in", FreePort(), RouteTo("up"),
                        absl::StrCat("access_log: [", Log("/dev/null", Text("%NOPE%")), "],"))},
          {Cluster("up", {FreePort()})}));
  const RunResult result = RunProxy({"-c", config, "--mode", "validate"});
  EXPECT_NE(result.exit_code, 0);
  EXPECT_TRUE(absl::StrContains(
      result.output, "access_log[0].log_format.text_format_source: 'NOPE': is not a command"))
      << result.output;
}

}  // namespace
}  // namespace weft::test
