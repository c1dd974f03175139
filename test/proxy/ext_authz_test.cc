// External authorization through the running proxy: an authorizer that speaks HTTP and one that
// speaks gRPC (of libgrpc) are asked about requests, answer well, badly, late or not at all.
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <fstream>
#include <functional>
#include <mutex>
#include <sstream>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/envoy/ext_authz_service.grpc.pb.h"
#include "gtest/gtest.h"
#include "proxy/grpc/grpc_server_for_test.h"
#include "test/proxy/harness.h"

namespace weft::test {
namespace {

namespace auth = envoy::service::auth::v3;
using testing::AssertionFailure;
using testing::AssertionResult;
using testing::AssertionSuccess;

constexpr char kTypes[] = "type.googleapis.com/envoy.extensions.";
constexpr char kHttp2Cluster[] =
    "typed_extension_protocol_options: {envoy.extensions.upstreams.http.v3.HttpProtocolOptions: "
    "{\"@type\": type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions, "
    "explicit_http_config: {http2_protocol_options: {}}}}, ";

std::string Filter(const std::string& name, const std::string& type, const std::string& config) {
  return absl::StrCat("{name: ", name, ", typed_config: {\"@type\": ", kTypes, "filters.http.",
                      type, config.empty() ? "" : ", ", config, "}}");
}

std::string Authz(const std::string& config) {
  return Filter("authz", "ext_authz.v3.ExtAuthz", config);
}

// Asks the cluster "authz" over HTTP.
std::string OverHttp(const std::string& of_service = "", const std::string& more = "",
                     const std::string& timeout = "5s") {
  return Authz(absl::StrCat("http_service: {server_uri: {uri: \"http://authz\", cluster: authz, ",
                            "timeout: ", timeout, "}", of_service.empty() ? "" : ", ", of_service,
                            "}", more.empty() ? "" : ", ", more));
}

std::string OverGrpc(const std::string& more = "", const std::string& timeout = "5s") {
  return Authz(absl::StrCat("grpc_service: {envoy_grpc: {cluster_name: authz}, timeout: ", timeout,
                            "}", more.empty() ? "" : ", ", more));
}

std::string PerRoute(const std::string& config) {
  return absl::StrCat("typed_per_filter_config: {authz: {\"@type\": ", kTypes,
                      "filters.http.ext_authz.v3.ExtAuthzPerRoute, ", config, "}}");
}

std::string Listener(int port, const std::vector<std::string>& filters, const std::string& routes,
                     const std::string& more_of_manager) {
  std::vector<std::string> all = filters;
  all.push_back(Filter("router", "router.v3.Router", ""));
  return absl::StrCat(
      "{name: in, address: {socket_address: {address: 127.0.0.1, port_value: ", port,
      "}}, filter_chains: [{filters: [{name: http, typed_config: {\"@type\": ", kTypes,
      "filters.network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: in, ",
      more_of_manager,
      " route_config: {name: r, virtual_hosts: [{name: all, domains: [\"*\"], routes: [", routes,
      "]}]}, http_filters: [", absl::StrJoin(all, ", "), "]}}]}]}");
}

// The listener "in" before an upstream that echoes, guarded by `filters`.
struct Guarded {
  struct Text {
    std::vector<std::string> filters;
    std::string routes = RouteTo("up");
    std::string more_of_manager = {};
    std::string more_of_authz = {};  // its cluster
  };
  Guarded(const Text& text, int authorizer)
      : proxy({Listener(port, text.filters, text.routes, text.more_of_manager)},
              {Cluster("up", {upstream.port()}),
               Cluster("authz", {authorizer}, text.more_of_authz)}) {}

  Message Get(const std::string& path, const std::string& more_fields = "") {
    return Ask(port, test::Get(path, more_fields));
  }

  Upstream upstream{Echo};
  const int port = FreePort();
  ProxyProcess proxy;
};

std::string Post(const std::string& path, const std::string& body,
                 const std::string& more_fields = "") {
  return absl::StrCat("POST ", path, " HTTP/1.1\r\nHost: test\r\nContent-Length: ", body.size(),
                      "\r\n", more_fields, "\r\n", body);
}

std::string Response(const std::string& status, const std::string& fields = "",
                     const std::string& body = "") {
  return absl::StrCat("HTTP/1.1 ", status, "\r\nContent-Length: ", body.size(), "\r\n", fields,
                      "\r\n", body);
}

// Answers each check with what `answer` makes of it; "" is silence. Remembers the last one.
class HttpAuthorizer {
 public:
  using Answerer = std::function<std::string(const Message&)>;
  explicit HttpAuthorizer(Answerer answer) : answer_(std::move(answer)) {}
  explicit HttpAuthorizer(const std::string& response)
      : HttpAuthorizer([response](const Message&) { return response; }) {}

  int port() const { return upstream_.port(); }
  int asked() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return asked_;
  }
  Message last() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return last_;
  }

 private:
  void Serve(Socket& socket) {
    while (true) {
      Message check = socket.ReadRequest();
      if (!check.complete) return;
      const std::string answer = answer_(check);
      {
        const std::lock_guard<std::mutex> lock(mutex_);
        last_ = std::move(check);
        ++asked_;
      }
      if (answer.empty()) {
        socket.Ended();
        return;
      }
      socket.Send(answer);
    }
  }

  const Answerer answer_;
  mutable std::mutex mutex_;
  Message last_;
  int asked_ = 0;
  Upstream upstream_{[this](Socket& socket, int) { Serve(socket); }};
};

// Whether a message, as the upstream got it, has this in any case.
bool Mentions(const std::string& message, const std::string& text) {
  return absl::StrContains(absl::AsciiStrToLower(message), text);
}

std::string AccessLog(const std::string& path) {
  return absl::StrCat("access_log: [{name: f, typed_config: {\"@type\": ", kTypes,
                      "access_loggers.file.v3.FileAccessLog, path: \"", path,
                      "\", log_format: {text_format_source: {inline_string: \"%RESPONSE_CODE% "
                      "%RESPONSE_FLAGS% %RESPONSE_CODE_DETAILS%\\n\"}}}}], ");
}

AssertionResult Logs(const std::string& path, const std::string& line) {
  std::string all;
  const bool found = Eventually([&] {
    std::ostringstream text;
    text << std::ifstream(path).rdbuf();
    all = text.str();
    return absl::StrContains(all, line + "\n");
  });
  return found ? AssertionSuccess() : AssertionFailure() << "'" << line << "' is not in: " << all;
}

// ---- Over HTTP.

TEST(ExtAuthzHttp, AnOkPassesWithWhatItChanges) {
  HttpAuthorizer authorizer(Response("200 OK",
                                     "x-user: alice\r\nx-tag: b\r\nset-cookie: s=1\r\n"
                                     "x-unasked: 1\r\n"
                                     "x-envoy-auth-headers-to-remove: authorization, host\r\n"));
  Guarded s({.filters = {OverHttp(
                 "path_prefix: /check, authorization_request: {headers_to_add: [{key: x-from, "
                 "value: weft}]}, authorization_response: {allowed_upstream_headers: {patterns: "
                 "[{exact: x-user}]}, allowed_upstream_headers_to_append: {patterns: [{exact: "
                 "x-tag}]}, allowed_client_headers_on_success: {patterns: [{exact: set-cookie}]}}",
                 "allowed_headers: {patterns: [{prefix: x-told}]}")}},
            authorizer.port());
  const Message got =
      s.Get("/a?q=1",
            "Authorization: t\r\nX-Told-1: yes\r\nX-Secret: no\r\nX-User: mallory\r\n"
            "X-Tag: a\r\n");
  EXPECT_EQ(got.status(), 200);
  EXPECT_EQ(got.Field("set-cookie"), "s=1");
  EXPECT_EQ(got.Field("x-user"), "");

  const Message check = authorizer.last();
  EXPECT_TRUE(absl::StartsWith(check.head, "GET /check/a?q=1 HTTP/1.1\r\n")) << check.head;
  EXPECT_EQ(check.Field("host"), "test");
  EXPECT_EQ(check.Field("authorization"), "t");
  EXPECT_EQ(check.Field("x-told-1"), "yes");
  EXPECT_EQ(check.Field("x-from"), "weft");
  EXPECT_EQ(check.Field("x-secret"), "");

  const std::string& passed = got.body;
  EXPECT_TRUE(Mentions(passed, "x-user: alice\r\n")) << passed;
  EXPECT_FALSE(absl::StrContains(passed, "mallory")) << passed;
  EXPECT_TRUE(Mentions(passed, "x-tag: a\r\n")) << passed;
  EXPECT_TRUE(Mentions(passed, "x-tag: b\r\n")) << passed;
  EXPECT_FALSE(Mentions(passed, "authorization")) << passed;
  EXPECT_FALSE(absl::StrContains(passed, "x-unasked")) << passed;
  EXPECT_TRUE(Mentions(passed, "host: test\r\n")) << passed;
  EXPECT_EQ(s.proxy.Stat("cluster.up.ext_authz.ok"), 1);
  EXPECT_EQ(s.proxy.Stat("http.in.ext_authz.ok"), 1);
}

TEST(ExtAuthzHttp, ADenialGoesToTheClient) {
  const std::string log = WriteTestFile("access.log", "");
  HttpAuthorizer authorizer(Response(
      "401 Unauthorized", "www-authenticate: Basic\r\ncontent-type: text/html\r\n", "<p>who?"));
  Guarded s({.filters = {OverHttp()}, .more_of_manager = AccessLog(log)}, authorizer.port());
  const Message got = s.Get("/");
  EXPECT_EQ(got.status(), 401);
  EXPECT_EQ(got.Field("www-authenticate"), "Basic");
  EXPECT_EQ(got.Field("content-type"), "text/html");
  EXPECT_EQ(got.body, "<p>who?");
  EXPECT_EQ(s.upstream.connections(), 0);
  EXPECT_TRUE(Logs(log, "401 UAEX ext_authz_denied"));
  EXPECT_EQ(s.proxy.Stat("cluster.up.ext_authz.denied"), 1);
}

TEST(ExtAuthzHttp, ADenialIsToldInPartWhereConfigSaysSo) {
  HttpAuthorizer authorizer(
      Response("302 Found", "location: /login\r\nx-inside: 1\r\nset-cookie: s=1\r\n"));
  Guarded s({.filters = {OverHttp("authorization_response: {allowed_client_headers: {patterns: "
                                  "[{exact: set-cookie}]}}")}},
            authorizer.port());
  const Message got = s.Get("/");
  EXPECT_EQ(got.status(), 302);
  EXPECT_EQ(got.Field("location"), "/login");
  EXPECT_EQ(got.Field("set-cookie"), "s=1");
  EXPECT_EQ(got.Field("x-inside"), "");
}

// What an authorizer can do wrong, and what comes of it with and without failure_mode_allow.
struct Trouble {
  const char* name;
  std::string answer;  // "": none
};

class ExtAuthzTrouble : public testing::TestWithParam<Trouble> {};

TEST_P(ExtAuthzTrouble, FailsClosedOrOpenAsConfigured) {
  const std::string log = WriteTestFile("access.log", "");
  HttpAuthorizer authorizer(GetParam().answer);
  Guarded closed({.filters = {OverHttp("", "", "0.3s")}, .more_of_manager = AccessLog(log)},
                 authorizer.port());
  const Message refused = closed.Get("/");
  EXPECT_EQ(refused.status(), 403);
  EXPECT_EQ(refused.body, "");
  EXPECT_EQ(closed.upstream.connections(), 0);
  EXPECT_TRUE(Logs(log, "403 UAEX ext_authz_error"));
  EXPECT_EQ(closed.proxy.Stat("cluster.up.ext_authz.error"), 1);

  Guarded open({.filters = {OverHttp("", "failure_mode_allow: true", "0.3s")}}, authorizer.port());
  EXPECT_EQ(open.Get("/").status(), 200);
  EXPECT_EQ(open.proxy.Stat("cluster.up.ext_authz.failure_mode_allowed"), 1);
}

INSTANTIATE_TEST_SUITE_P(
    All, ExtAuthzTrouble,
    testing::Values(Trouble{"Silence", ""}, Trouble{"ServerError", Response("503 Busy")},
                    Trouble{"NoHttp", "hello\r\n\r\n"}, Trouble{"Status999", Response("999 Odd")},
                    Trouble{"UnaskedUpgrade",
                            "HTTP/1.1 101 Switching Protocols\r\nConnection: upgrade\r\n"
                            "Upgrade: x\r\n\r\n"},
                    Trouble{"HugeHead",
                            Response("200 OK",
                                     absl::StrCat("x-a: ", std::string(100'000, 'x'), "\r\n"))},
                    Trouble{"HugeBody", Response("403 No", "", std::string(300'000, 'x'))},
                    Trouble{"CutShort", "HTTP/1.1 200 OK\r\ncontent-le"},
                    Trouble{"BadField", "HTTP/1.1 200 OK\r\nx y: 1\r\n\r\n"}),
    [](const auto& info) { return info.param.name; });

TEST(ExtAuthzHttp, AnAuthorizerThatIsNotThereIsAnError) {
  Guarded s({.filters = {OverHttp("", "status_on_error: {code: ServiceUnavailable}")}}, FreePort());
  EXPECT_EQ(s.Get("/").status(), 503);
}

TEST(ExtAuthzHttp, AConnectionThatTheAuthorizerClosedIsNotAnError) {
  Upstream authorizer([](Socket& socket, int) {
    if (socket.ReadRequest().complete) socket.Send(Response("200 OK"));
  });
  Guarded s({.filters = {OverHttp()}}, authorizer.port());
  for (int i = 0; i < 20; ++i) ASSERT_EQ(s.Get("/").status(), 200) << i;
}

TEST(ExtAuthzHttp, InterimResponsesAreNoAnswer) {
  HttpAuthorizer authorizer(
      absl::StrCat("HTTP/1.1 103 Early Hints\r\nx: 1\r\n\r\n", Response("403 Forbidden")));
  Guarded s({.filters = {OverHttp()}}, authorizer.port());
  EXPECT_EQ(s.Get("/").status(), 403);
}

TEST(ExtAuthzHttp, TheRouteIsChosenAgainWhereConfigSaysSo) {
  HttpAuthorizer authorizer(Response("200 OK", "x-to: teapot\r\n"));
  const std::string routes = absl::StrCat(
      "{match: {prefix: /, headers: [{name: x-to, string_match: {exact: teapot}}]}, "
      "direct_response: {status: 418}}, ",
      RouteTo("up"));
  const std::string takes =
      "authorization_response: {allowed_upstream_headers: {patterns: [{exact: x-to}]}}";
  Guarded again({.filters = {OverHttp(takes, "clear_route_cache: true")}, .routes = routes},
                authorizer.port());
  EXPECT_EQ(again.Get("/").status(), 418);
  Guarded once({.filters = {OverHttp(takes)}, .routes = routes}, authorizer.port());
  EXPECT_EQ(once.Get("/").status(), 200);
}

TEST(ExtAuthzHttp, ARouteMaySwitchItOff) {
  HttpAuthorizer authorizer(Response("403 Forbidden"));
  Guarded s({.filters = {OverHttp()},
             .routes = absl::StrCat("{match: {prefix: /open}, route: {cluster: up}, ",
                                    PerRoute("disabled: true"), "}, ", RouteTo("up"))},
            authorizer.port());
  EXPECT_EQ(s.Get("/open").status(), 200);
  EXPECT_EQ(authorizer.asked(), 0);
  EXPECT_EQ(s.Get("/other").status(), 403);
}

TEST(ExtAuthzHttp, WhereItIsDisabledRequestsPassOrNot) {
  HttpAuthorizer authorizer(Response("403 Forbidden"));
  const std::string never = "filter_enabled: {default_value: {numerator: 0}}";
  Guarded open({.filters = {OverHttp("", never)}}, authorizer.port());
  EXPECT_EQ(open.Get("/").status(), 200);
  EXPECT_EQ(open.proxy.Stat("http.in.ext_authz.disabled"), 1);
  Guarded closed({.filters = {OverHttp("", absl::StrCat(never,
                                                        ", deny_at_disable: {default_value: true, "
                                                        "runtime_key: k}"))}},
                 authorizer.port());
  EXPECT_EQ(closed.Get("/").status(), 403);
  EXPECT_EQ(authorizer.asked(), 0);
}

// As Istio links them: shadow rules select, and the authorizer is asked of what they selected.
TEST(ExtAuthzHttp, IsAskedOfWhatShadowRulesSelect) {
  HttpAuthorizer authorizer(Response("403 Forbidden"));
  const std::string rbac = Filter(
      "rbac", "rbac.v3.RBAC",
      "shadow_rules_stat_prefix: istio_ext_authz_, shadow_rules: {action: DENY, policies: "
      "{istio-ext-authz-p: {permissions: [{url_path: {path: {prefix: /admin}}}], principals: "
      "[{any: true}]}}}");
  const std::string by =
      "filter_enabled_metadata: {filter: envoy.filters.http.rbac, path: [{key: "
      "istio_ext_authz_shadow_effective_policy_id}], value: {string_match: {prefix: "
      "istio-ext-authz}}}";
  Guarded s({.filters = {rbac, OverHttp("", by)}}, authorizer.port());
  EXPECT_EQ(s.Get("/open").status(), 200);
  EXPECT_EQ(authorizer.asked(), 0);
  EXPECT_EQ(s.Get("/admin").status(), 403);
  EXPECT_EQ(authorizer.asked(), 1);
}

// ---- Bodies.

std::string WithBody(const std::string& settings) {
  return OverHttp("", absl::StrCat("with_request_body: {", settings, "}"));
}

TEST(ExtAuthzBody, IsToldAndGoesOnWhole) {
  HttpAuthorizer authorizer(Response("200 OK"));
  Guarded s({.filters = {WithBody("max_request_bytes: 100000")}}, authorizer.port());
  const std::string body(90'000, 'b');
  Message got = Ask(s.port, Post("/", body));
  EXPECT_EQ(got.status(), 200);
  EXPECT_TRUE(absl::EndsWith(got.body, "\r\n\r\n" + body));
  EXPECT_EQ(authorizer.last().body, body);
  EXPECT_EQ(authorizer.last().Field("x-envoy-auth-partial-body"), "false");

  got =
      Ask(s.port,
          "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n"
          "0\r\n\r\n");
  EXPECT_EQ(got.status(), 200);
  EXPECT_TRUE(absl::EndsWith(got.body, "abcde")) << got.body;
  EXPECT_EQ(authorizer.last().body, "abcde");

  EXPECT_EQ(s.Get("/").status(), 200);
  EXPECT_EQ(authorizer.last().body, "");
}

TEST(ExtAuthzBody, TooLongABodyIsRefusedUnasked) {
  HttpAuthorizer authorizer(Response("200 OK"));
  Guarded s({.filters = {OverHttp(
                 "", "with_request_body: {max_request_bytes: 4}, failure_mode_allow: true")}},
            authorizer.port());
  EXPECT_EQ(Ask(s.port, Post("/", "12345")).status(), 413);
  EXPECT_EQ(Ask(s.port,
                "POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabcde\r\n"
                "0\r\n\r\n")
                .status(),
            413);
  EXPECT_EQ(authorizer.asked(), 0);
  EXPECT_EQ(Ask(s.port, Post("/", "1234")).status(), 200);
}

TEST(ExtAuthzBody, IsToldInPartWhereConfigSaysSo) {
  HttpAuthorizer authorizer(Response("200 OK"));
  Guarded s({.filters = {WithBody("max_request_bytes: 4, allow_partial_message: true")}},
            authorizer.port());
  // More than a request keeps for retries, and than the buffers on its way hold.
  const std::string body = absl::StrCat("abcd", std::string(300'000, 'x'));
  const Message got = Ask(s.port, Post("/", body));
  EXPECT_EQ(got.status(), 200);
  EXPECT_TRUE(absl::EndsWith(got.body, "\r\n\r\n" + body));
  EXPECT_EQ(authorizer.last().body, "abcd");
  EXPECT_EQ(authorizer.last().Field("x-envoy-auth-partial-body"), "true");
}

TEST(ExtAuthzBody, AClientThatWaitsForItIsToldToGoOn) {
  HttpAuthorizer authorizer(Response("200 OK"));
  Guarded s({.filters = {WithBody("max_request_bytes: 100")}}, authorizer.port());
  Socket client = Socket::Connect(s.port);
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 3\r\nExpect: 100-continue\r\n\r\n");
  const std::string go_on = "HTTP/1.1 100 Continue\r\n\r\n";
  EXPECT_EQ(client.Read(go_on.size()), go_on);
  client.Send("abc");
  EXPECT_EQ(client.ReadResponse().status(), 200);
  EXPECT_EQ(authorizer.last().body, "abc");
}

TEST(ExtAuthzBody, IsSentAgainWithTheRequest) {
  HttpAuthorizer authorizer(Response("200 OK"));
  std::mutex mutex;
  std::vector<std::string> bodies;
  Upstream flaky([&](Socket& socket, int turn) {
    const Message request = socket.ReadRequest();
    {
      const std::lock_guard<std::mutex> lock(mutex);
      bodies.push_back(request.body);
    }
    if (turn > 1) socket.Send(Response("200 OK"));
  });
  const int port = FreePort();
  ProxyProcess proxy(
      {Listener(port, {WithBody("max_request_bytes: 1000")},
                RouteTo("up", "retry_policy: {num_retries: 2, retry_on: reset}"), "")},
      {Cluster("up", {flaky.port()}), Cluster("authz", {authorizer.port()})});
  EXPECT_EQ(Ask(port, Post("/", "whole body")).status(), 200);
  EXPECT_EQ(authorizer.asked(), 1);
  const std::lock_guard<std::mutex> lock(mutex);
  EXPECT_EQ(bodies, (std::vector<std::string>{"whole body", "whole body"}));
}

TEST(ExtAuthzBody, ADenialLeavesTheConnectionUsable) {
  HttpAuthorizer authorizer(Response("403 Forbidden"));
  Guarded s({.filters = {WithBody("max_request_bytes: 1000")}}, authorizer.port());
  Socket client = Socket::Connect(s.port);
  for (int i = 0; i < 3; ++i) {
    client.Send(Post("/", "abc"));
    ASSERT_EQ(client.ReadResponse().status(), 403) << i;
  }
}

TEST(ExtAuthzBody, ASlowBodyIsBoundedInTime) {
  HttpAuthorizer authorizer(Response("200 OK"));
  Guarded s({.filters = {WithBody("max_request_bytes: 1000")},
             .more_of_manager = "stream_idle_timeout: 0.3s, "},
            authorizer.port());
  Socket client = Socket::Connect(s.port);
  client.Send("POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 10\r\n\r\nabc");
  EXPECT_EQ(client.ReadResponse().status(), 408);
  EXPECT_EQ(authorizer.asked(), 0);
}

// ---- Over gRPC.

class GrpcAuthorizer final : public auth::Authorization::Service {
 public:
  using Answerer = std::function<grpc::Status(auth::CheckResponse*)>;
  explicit GrpcAuthorizer(Answerer answer) : answer_(std::move(answer)) {}

  grpc::Status Check(grpc::ServerContext*, const auth::CheckRequest* request,
                     auth::CheckResponse* response) override {
    {
      const std::lock_guard<std::mutex> lock(mutex_);
      last_ = *request;
    }
    return answer_(response);
  }

  auth::AttributeContext last() const {
    const std::lock_guard<std::mutex> lock(mutex_);
    return last_.attributes();
  }
  int port() const { return server_.address().port(); }

 private:
  const Answerer answer_;
  mutable std::mutex mutex_;
  auth::CheckRequest last_;
  GrpcServerForTest server_{this};
};

void Set(envoy::config::core::v3::HeaderValueOption* to, const std::string& name,
         const std::string& value) {
  to->mutable_header()->set_key(name);
  to->mutable_header()->set_value(value);
}

TEST(ExtAuthzGrpc, AnOkPassesWithWhatItChanges) {
  GrpcAuthorizer authorizer([](auth::CheckResponse* response) {
    auth::OkHttpResponse& ok = *response->mutable_ok_response();
    Set(ok.add_headers(), "x-user", "alice");
    ok.add_headers_to_remove("authorization");
    Set(ok.add_response_headers_to_add(), "x-checked", "yes");
    return grpc::Status::OK;
  });
  Guarded s({.filters = {OverGrpc()},
             .routes = absl::StrCat("{match: {prefix: /}, route: {cluster: up}, ",
                                    PerRoute("check_settings: {context_extensions: {k: v}}"), "}"),
             .more_of_authz = kHttp2Cluster},
            authorizer.port());
  for (int i = 0; i < 3; ++i) {
    const Message got = s.Get("/a?q=1", "Authorization: t\r\nX-User: mallory\r\n");
    ASSERT_EQ(got.status(), 200);
    EXPECT_EQ(got.Field("x-checked"), "yes");
    EXPECT_TRUE(Mentions(got.body, "x-user: alice\r\n")) << got.body;
    EXPECT_FALSE(absl::StrContains(got.body, "mallory")) << got.body;
    EXPECT_FALSE(Mentions(got.body, "authorization")) << got.body;
  }
  const auth::AttributeContext told = authorizer.last();
  EXPECT_EQ(told.source().address().socket_address().address(), "127.0.0.1");
  EXPECT_EQ(told.destination().address().socket_address().port_value(),
            static_cast<uint32_t>(s.port));
  EXPECT_EQ(told.request().http().path(), "/a?q=1");
  EXPECT_EQ(told.request().http().headers().at("authorization"), "t");
  EXPECT_NE(told.request().http().id(), "");
  EXPECT_EQ(told.context_extensions().at("k"), "v");
}

TEST(ExtAuthzGrpc, ADenialGoesToTheClient) {
  GrpcAuthorizer authorizer([](auth::CheckResponse* response) {
    response->mutable_status()->set_code(grpc::StatusCode::UNAUTHENTICATED);
    auth::DeniedHttpResponse& denied = *response->mutable_denied_response();
    denied.mutable_status()->set_code(envoy::type::v3::HttpStatus::Unauthorized);
    Set(denied.add_headers(), "www-authenticate", "Basic");
    denied.set_body("who?");
    return grpc::Status::OK;
  });
  Guarded s({.filters = {OverGrpc()}, .more_of_authz = kHttp2Cluster}, authorizer.port());
  const Message got = s.Get("/");
  EXPECT_EQ(got.status(), 401);
  EXPECT_EQ(got.Field("www-authenticate"), "Basic");
  EXPECT_EQ(got.body, "who?");
  const Message call = Ask(s.port, Post("/p.S/M", "", "Content-Type: application/grpc\r\n"));
  EXPECT_EQ(call.status(), 200);
  EXPECT_EQ(call.Field("grpc-status"), "16") << "a call is denied in the way it understands";
}

TEST(ExtAuthzGrpc, ErrorsAndSilenceFailClosedOrOpen) {
  const struct {
    const char* name;
    GrpcAuthorizer::Answerer answer;
  } rows[] = {
      {"status", [](auth::CheckResponse*) { return grpc::Status(grpc::StatusCode::INTERNAL, ""); }},
      {"late",
       [](auth::CheckResponse*) {
         std::this_thread::sleep_for(std::chrono::seconds(1));
         return grpc::Status::OK;
       }},
      {"pseudo-header",
       [](auth::CheckResponse* response) {
         Set(response->mutable_ok_response()->add_headers(), ":path", "/admin");
         return grpc::Status::OK;
       }},
      {"split field",
       [](auth::CheckResponse* response) {
         Set(response->mutable_ok_response()->add_headers(), "x", "a\r\nhost: b");
         return grpc::Status::OK;
       }},
  };
  for (const auto& row : rows) {
    SCOPED_TRACE(row.name);
    GrpcAuthorizer authorizer(row.answer);
    Guarded closed({.filters = {OverGrpc("", "0.3s")}, .more_of_authz = kHttp2Cluster},
                   authorizer.port());
    EXPECT_EQ(closed.Get("/").status(), 403);
    Guarded open(
        {.filters = {OverGrpc("failure_mode_allow: true", "0.3s")}, .more_of_authz = kHttp2Cluster},
        authorizer.port());
    EXPECT_EQ(open.Get("/").status(), 200);
  }
}

TEST(ExtAuthzGrpc, TheBodyIsToldAsBytes) {
  GrpcAuthorizer authorizer([](auth::CheckResponse*) { return grpc::Status::OK; });
  Guarded s(
      {.filters = {OverGrpc("with_request_body: {max_request_bytes: 100, pack_as_bytes: true}")},
       .more_of_authz = kHttp2Cluster},
      authorizer.port());
  const std::string body("\xff\0b", 3);
  EXPECT_EQ(Ask(s.port, Post("/", body)).status(), 200);
  EXPECT_EQ(authorizer.last().request().http().raw_body(), body);
  EXPECT_EQ(authorizer.last().request().http().size(), 3);
}

}  // namespace
}  // namespace weft::test
