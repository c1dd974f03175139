#include "proxy/decide/match_route.h"

#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include "api/envoy/route.pb.h"
#include "proxy/config/compile.h"
#include "proxy/config/secrets.h"

namespace weft {
namespace {

std::shared_ptr<const RouteTable> Compiled(const std::string& text) {
  envoy::config::route::v3::RouteConfiguration config;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &config));
  auto table = CompileRoutes(config, Secrets{});
  EXPECT_TRUE(table.ok()) << table.status();
  return table.ok() ? *table : std::make_shared<RouteTable>();
}

RequestHead Request(const char* authority, const char* path) {
  RequestHead request;
  request.method = "GET";
  request.authority = authority;
  request.path = path;
  return request;
}

std::string RouteOf(const RouteTable& table, const RequestHead& request, uint64_t random = 0) {
  const Route* route = MatchRoute(table, request, random);
  return route == nullptr ? "none" : route->name;
}

TEST(MatchVirtualHost, ExactThenLongestSuffixThenLongestPrefixThenAny) {
  auto table = Compiled(R"(
    virtual_hosts { name: "any" domains: "*" }
    virtual_hosts { name: "exact" domains: "a.example.org" domains: "a.example.org:80" }
    virtual_hosts { name: "suffix" domains: "*.org" }
    virtual_hosts { name: "longer" domains: "*.example.org" }
    virtual_hosts { name: "dash" domains: "*-x.example.org" }
    virtual_hosts { name: "prefix" domains: "www.*" }
  )");
  const struct {
    const char* authority;
    const char* host;
  } cases[] = {
      {"A.Example.ORG", "exact"},
      {"a.example.org:80", "exact"},
      {"a.example.org:81", "any"},
      {"b.example.org", "longer"},
      {"b-x.example.org", "dash"},
      {"www.org", "suffix"},
      {"www.com", "prefix"},
      {".org", "any"},
      {"www.", "any"},
      {"", "any"},
      {"[::1]:80", "any"},
  };
  for (const auto& c : cases) {
    const VirtualHost* host = MatchVirtualHost(*table, c.authority);
    ASSERT_NE(host, nullptr);
    EXPECT_EQ(host->name, c.host) << c.authority;
  }
}

TEST(MatchVirtualHost, PortIgnoredIfTheTableSaysSo) {
  auto table = Compiled(R"(
    ignore_port_in_host_matching: true
    virtual_hosts { name: "v" domains: "a" domains: "[::1]" }
  )");
  EXPECT_NE(MatchVirtualHost(*table, "a:8080"), nullptr);
  EXPECT_NE(MatchVirtualHost(*table, "[::1]:8080"), nullptr);
  EXPECT_NE(MatchVirtualHost(*table, "[::1]"), nullptr);
  EXPECT_EQ(MatchVirtualHost(*table, "b:8080"), nullptr);
}

TEST(MatchRoute, TheFirstThatFitsWins) {
  auto table = Compiled(R"(
    virtual_hosts {
      name: "v" domains: "*"
      routes { name: "exact" match { path: "/exact" } route { cluster: "c" } }
      routes { name: "regex" match { safe_regex { regex: "/re/[0-9]+" } } route { cluster: "c" } }
      routes { name: "dir" match { path_separated_prefix: "/dir" } route { cluster: "c" } }
      routes { name: "nocase" match { prefix: "/CASE" case_sensitive { value: false } } route { cluster: "c" } }
      routes { name: "query" match { prefix: "/q" query_parameters { name: "v" string_match { exact: "1" } } } route { cluster: "c" } }
      routes { name: "post" match { prefix: "/m" headers { name: ":method" string_match { exact: "POST" } } } route { cluster: "c" } }
      routes { name: "grpc" match { prefix: "/g" grpc {} } route { cluster: "c" } }
      routes { name: "half" match { prefix: "/half" runtime_fraction { default_value { numerator: 50 } } } route { cluster: "c" } }
      routes { name: "rest" match { prefix: "/" } route { cluster: "c" } }
    })");
  const struct {
    const char* path;
    const char* route;
  } cases[] = {
      {"/exact", "exact"},   {"/exact?x", "exact"}, {"/exact/", "rest"},   {"/re/12", "regex"},
      {"/re/12?a", "regex"}, {"/re/12a", "rest"},   {"/dir", "dir"},       {"/dir/x", "dir"},
      {"/dirx", "rest"},     {"/dir?x", "dir"},     {"/case/x", "nocase"}, {"/q?v=1", "query"},
      {"/q?v=2", "rest"},    {"/q", "rest"},        {"/m", "rest"},        {"/g", "rest"},
  };
  for (const auto& c : cases) EXPECT_EQ(RouteOf(*table, Request("h", c.path)), c.route) << c.path;
  RequestHead post = Request("h", "/m");
  post.method = "POST";
  EXPECT_EQ(RouteOf(*table, post), "post");
  RequestHead grpc = Request("h", "/g");
  grpc.headers.Add("content-type", "application/grpc+proto");
  EXPECT_EQ(RouteOf(*table, grpc), "grpc");
  EXPECT_EQ(RouteOf(*table, Request("h", "/half"), 49), "half");
  EXPECT_EQ(RouteOf(*table, Request("h", "/half"), 50), "rest");
}

TEST(MatchRoute, HeaderTests) {
  const struct {
    const char* matcher;
    std::vector<std::string> values;
    bool fits;
  } cases[] = {
      {R"(string_match { exact: "jason" })", {"jason"}, true},
      {R"(string_match { exact: "jason" })", {"Jason"}, false},
      {R"(string_match { exact: "jason" ignore_case: true })", {"Jason"}, true},
      {R"(string_match { prefix: "ja" })", {"jason"}, true},
      {R"(string_match { suffix: "ON" ignore_case: true })", {"jason"}, true},
      {R"(string_match { contains: "AS" ignore_case: true })", {"jason"}, true},
      {R"(string_match { safe_regex { regex: "j.*n" } })", {"jason"}, true},
      {R"(string_match { safe_regex { regex: "j" } })", {"jason"}, false},
      {R"(string_match { exact: "a,b" })", {"a", "b"}, true},
      {R"(string_match { exact: "a" })", {"a", "b"}, false},
      {R"(string_match { exact: "jason" } invert_match: true)", {"x"}, true},
      {R"(string_match { exact: "jason" } invert_match: true)", {}, false},
      {R"(string_match { exact: "jason" } invert_match: true treat_missing_header_as_empty: true)",
       {},
       true},
      {R"(present_match: true)", {""}, true},
      {R"(present_match: true)", {}, false},
      {R"(present_match: false)", {}, true},
      {R"(present_match: true invert_match: true)", {}, true},
      {R"(range_match { start: 5 end: 10 })", {"9"}, true},
      {R"(range_match { start: 5 end: 10 })", {"10"}, false},
      {R"(range_match { start: 5 end: 10 })", {"9x"}, false},
      {R"(exact_match: "old")", {"old"}, true},
  };
  for (const auto& c : cases) {
    auto table = Compiled(std::string(R"(virtual_hosts { name: "v" domains: "*" routes {
      name: "r" match { prefix: "/" headers { name: "End-User" )") +
                          c.matcher + R"( } } route { cluster: "c" } } })");
    RequestHead request = Request("h", "/");
    for (const std::string& value : c.values) request.headers.Add("end-user", value);
    EXPECT_EQ(RouteOf(*table, request) == "r", c.fits) << c.matcher;
  }
}

TEST(MatchRoute, NoVirtualHostNoRoute) {
  auto table = Compiled(R"(virtual_hosts { name: "v" domains: "a" routes {
    name: "r" match { prefix: "/" } route { cluster: "c" } } })");
  EXPECT_EQ(RouteOf(*table, Request("b", "/")), "none");
}

TEST(ClusterNameOf, AHeaderOrTheAuthorityNamesTheCluster) {
  const struct {
    const char* header;
    const char* cluster;
  } cases[] = {{"", "fixed"}, {"x-to", "other"}, {":authority", "a.b"}, {"x-missing", ""}};
  RequestHead request = Request("a.b", "/");
  request.headers.Add("x-to", "other");
  WeightedTarget target;
  target.cluster = "fixed";
  for (const auto& c : cases) {
    ForwardAction action;
    action.cluster_header = c.header;
    EXPECT_EQ(ClusterNameOf(action, target, request), c.cluster) << c.header;
  }
}

TEST(ChooseTarget, EachHasItsShare) {
  std::vector<WeightedTarget> targets(3);
  targets[0].cluster = "a";
  targets[0].weight = 10;
  targets[1].cluster = "never";
  targets[1].weight = 0;
  targets[2].cluster = "b";
  targets[2].weight = 90;
  int a = 0;
  for (uint64_t random = 0; random < 1000; ++random) {
    const WeightedTarget* target = ChooseTarget(targets, 100, random);
    ASSERT_NE(target, nullptr);
    EXPECT_NE(target->cluster, "never");
    a += target->cluster == "a";
  }
  EXPECT_EQ(a, 100);
  EXPECT_EQ(ChooseTarget({}, 0, 1), nullptr);
}

}  // namespace
}  // namespace weft
