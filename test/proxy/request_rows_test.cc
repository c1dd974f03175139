// Rows 58 to 62 and 66 of bad input on the running proxy: what must not get a request past a rule,
// over both versions of HTTP. A rule here is a route that answers 403.
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"
#include "test/proxy/harness.h"
#include "test/proxy/http2_peer.h"

namespace weft::test {
namespace {

constexpr char kForbidden[] = "direct_response: {status: 403}";

std::string Hosts(const std::string& hosts, const std::string& more = "") {
  return absl::StrCat("{name: r, ", more, " virtual_hosts: [", hosts, "]}");
}

std::string Host(const std::string& name, const std::string& domain, const std::string& routes) {
  return absl::StrCat("{name: ", name, ", domains: [\"", domain, "\"], routes: [", routes, "]}");
}

// How a request was answered: its status, and what the endpoint saw of it if it came so far.
struct Outcome {
  int status = 0;
  std::string seen;
  std::string location;
};

class RequestRows : public testing::TestWithParam<bool> {
 protected:
  void Start(const std::string& route_config, const std::string& manager = "") {
    proxy_ = std::make_unique<ProxyProcess>(
        std::vector<std::string>{RoutedListener("in", port_, route_config, manager)},
        std::vector<std::string>{Cluster("up", {upstream_.port()})});
  }

  // `fields` are name and value in turn.
  Outcome Request(const std::string& path, const std::vector<std::string>& fields = {},
                  const std::string& host = "h.test") {
    if (GetParam()) return Request2(path, fields, host);
    std::string head = absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: ", host, "\r\n");
    for (size_t i = 0; i < fields.size(); i += 2) {
      absl::StrAppend(&head, fields[i], ": ", fields[i + 1], "\r\n");
    }
    const Message answer = Ask(port_, head + "\r\n");
    return {answer.status(), answer.body, answer.Field("location")};
  }

  // The path that the endpoint saw, or the status if it saw none.
  std::string Forwarded(const std::string& path) {
    const Outcome outcome = Request(path);
    if (outcome.status != 200) return absl::StrCat(outcome.status);
    return outcome.seen.substr(4, outcome.seen.find(" HTTP/1.1") - 4);
  }

  Upstream upstream_{Echo};
  const int port_ = FreePort();
  std::unique_ptr<ProxyProcess> proxy_;

 private:
  Outcome Request2(const std::string& path, const std::vector<std::string>& fields,
                   const std::string& host) {
    Http2Peer client = Http2Peer::Client(port_);
    std::string head = H2RequestFields("GET", path, host);
    for (size_t i = 0; i < fields.size(); i += 2) head += H2Field(fields[i], fields[i + 1]);
    client.Send(H2Headers(1, head));
    const Http2Stream& stream = client.Await(1);
    return {stream.status(), stream.body, stream.Field("location")};
  }
};

const char kNormalising[] =
    "normalize_path: true, merge_slashes: true, "
    "path_with_escaped_slashes_action: UNESCAPE_AND_FORWARD,";

TEST_P(RequestRows, Row58_OtherSpellingsOfAPathFindTheSameRule) {
  Start(Hosts(Host("all", "*",
                   absl::StrCat("{match: {prefix: /admin}, ", kForbidden, "}, ",
                                "{match: {path: /secret}, ", kForbidden, "}, ", RouteTo("up"))),
              "ignore_path_parameters_in_path_matching: true,"),
        kNormalising);
  for (const char* path :
       {"/admin", "//admin", "/./admin", "/x/../admin", "/x/%2e%2e/admin", "/x/%2E./admin",
        "/x%2f..%2fadmin", "/x%5C..%5Cadmin", "/x\\..\\admin", "/%61dmin", "/%2fadmin", "/secret",
        "/secret;a=b", "/x/..//secret;", "/secret?x", "/%73ecret;/x"}) {
    EXPECT_EQ(Request(path).status, 403) << path;
  }
  EXPECT_EQ(upstream_.connections(), 0);
}

TEST_P(RequestRows, Row58_WhatIsMatchedIsWhatIsForwarded) {
  Start(Hosts(Host("all", "*", RouteTo("up"))), kNormalising);
  const std::pair<const char*, const char*> kPaths[] = {
      {"/a//b", "/a/b"},
      {"/a/./b/../c", "/a/c"},
      {"/a%2fb", "/a/b"},
      {"/%7Ea", "/~a"},
      // Unescaped once only.
      {"/a%252f..%252fadmin", "/a%252f..%252fadmin"},
      {"/%252e%252e/admin", "/%252e%252e/admin"},
      {"/a?x=/../%2f//", "/a?x=/../%2f//"},
      {"/../../a", "/a"},
      {"/a%00b", "400"},
  };
  for (const auto& [path, seen] : kPaths) EXPECT_EQ(Forwarded(path), seen) << path;
}

TEST_P(RequestRows, Row58_EscapedSlashesMayBeRefusedOrRedirected) {
  Start(Hosts(Host("all", "*", RouteTo("up"))),
        "normalize_path: true, path_with_escaped_slashes_action: REJECT_REQUEST,");
  for (const char* path : {"/a%2fb", "/a%5cb", "/a%2Fb"}) EXPECT_EQ(Request(path).status, 400);
  EXPECT_EQ(proxy_->Stat("path_normalization_failed.rejected_requests"), 3);
  proxy_.reset();
  Start(Hosts(Host("all", "*", RouteTo("up"))),
        "normalize_path: true, path_with_escaped_slashes_action: UNESCAPE_AND_REDIRECT,");
  const Outcome redirect = Request("/x%2f..%2fb?q");
  EXPECT_EQ(redirect.status, 307);
  EXPECT_EQ(redirect.location, "/b?q");
}

TEST_P(RequestRows, Row59_AFragmentIsRefused) {
  Start(Hosts(Host("all", "*", RouteTo("up"))), kNormalising);
  for (const char* path : {"/a#b", "/#/../admin", "/a?b#c"}) EXPECT_EQ(Request(path).status, 400);
  EXPECT_EQ(upstream_.connections(), 0);
}

TEST_P(RequestRows, Row60_AHostIsTheSameInEverySpelling) {
  Start(Hosts(absl::StrCat(
            Host("a", "a.test", absl::StrCat("{match: {prefix: /}, ", kForbidden, "}")), ", ",
            Host("all", "*", RouteTo("up")))),
        "strip_any_host_port: true, strip_trailing_host_dot: true,");
  for (const char* host :
       {"a.test", "A.Test", "a.test:80", "A.TEST:8080", "a.test.", "a.test.:1"}) {
    EXPECT_EQ(Request("/", {}, host).status, 403) << host;
  }
  for (const char* host : {"aa.test", "a.test.b", "a-test", "[::1]:8080"}) {
    EXPECT_EQ(Request("/", {}, host).status, 200) << host;
  }
  EXPECT_TRUE(absl::StrContains(Request("/", {}, "b.test:99").seen, "Host: b.test\r\n"));
}

TEST_P(RequestRows, Row61_EveryValueOfARepeatedHeaderIsEvaluated) {
  const std::string denied = absl::StrCat(
      "{match: {prefix: /, headers: [{name: x-group, string_match: {contains: admin}}]}, ",
      kForbidden, "}");
  const std::string only_guests =
      "{match: {prefix: /, headers: [{name: x-group, string_match: {exact: guest}}]}, "
      "route: {cluster: up}}";
  Start(Hosts(
      Host("all", "*",
           absl::StrCat(denied, ", ", only_guests, ", {match: {prefix: /}, ", kForbidden, "}"))));
  EXPECT_EQ(Request("/", {"x-group", "guest"}).status, 200);
  EXPECT_EQ(Request("/", {"x-group", "guest", "x-group", "admin"}).status, 403);
  EXPECT_EQ(Request("/", {"x-group", "admin", "x-group", "guest"}).status, 403);
  EXPECT_EQ(Request("/", {"x-group", "guest", "x-group", "other"}).status, 403);
  EXPECT_EQ(Request("/", {"x-group", "other", "x-group", "guest"}).status, 403);
}

TEST_P(RequestRows, Row66_WhatOnlyTheMeshMaySayIsRemoved) {
  Start(Hosts(Host("all", "*", RouteTo("up"))),
        "use_remote_address: true, internal_address_config: {unix_sockets: false},");
  const Outcome outcome = Request("/", {"x-forwarded-client-cert",
                                        "By=spiffe://forged;URI=spiffe://forged",
                                        "x-forwarded-for",
                                        "10.1.2.3",
                                        "x-forwarded-proto",
                                        "forged",
                                        "x-request-id",
                                        "forged",
                                        "x-envoy-internal",
                                        "forged",
                                        "x-envoy-external-address",
                                        "forged",
                                        "x-envoy-original-path",
                                        "/forged",
                                        "x-envoy-upstream-rq-timeout-ms",
                                        "1",
                                        "x-envoy-decorator-operation",
                                        "forged",
                                        "x-envoy-peer-metadata",
                                        "forged",
                                        "x-kept",
                                        "1"});
  EXPECT_EQ(outcome.status, 200);
  EXPECT_FALSE(absl::StrContains(outcome.seen, "forged")) << outcome.seen;
  EXPECT_FALSE(absl::StrContains(outcome.seen, "timeout-ms")) << outcome.seen;
  EXPECT_TRUE(absl::StrContains(outcome.seen, "x-forwarded-for: 10.1.2.3, 127.0.0.1\r\n"))
      << outcome.seen;
  EXPECT_TRUE(absl::StrContains(outcome.seen, "x-envoy-external-address: 127.0.0.1\r\n"))
      << outcome.seen;
  EXPECT_TRUE(absl::StrContains(outcome.seen, "x-kept: 1\r\n")) << outcome.seen;
}

INSTANTIATE_TEST_SUITE_P(Http, RequestRows, testing::Values(false, true),
                         [](const auto& info) { return std::string(info.param ? "2" : "1"); });

// Over HTTP/1 a client may name fields that are for one connection only: not those by which the
// next hop is told who it was.
TEST(Http1Rows, Row66_ConnectionDoesNotTakeAwayWhatWeSay) {
  Upstream upstream(Echo);
  const int port = FreePort();
  ProxyProcess proxy({HttpListener("in", port, RouteTo("up"), "use_remote_address: true,")},
                     {Cluster("up", {upstream.port()})});
  const std::string seen =
      Ask(port, Get("/",
                    "Connection: close, x-forwarded-for, x-request-id, x-own\r\n"
                    "x-own: 1\r\nx-forwarded-for: 8.8.8.8\r\n"))
          .body;
  EXPECT_FALSE(absl::StrContains(seen, "x-own")) << seen;
  EXPECT_TRUE(absl::StrContains(seen, "x-forwarded-for: 127.0.0.1\r\n")) << seen;
  EXPECT_TRUE(absl::StrContains(seen, "x-request-id: ")) << seen;
}

}  // namespace
}  // namespace weft::test
