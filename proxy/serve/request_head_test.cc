#include "proxy/serve/request_head.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

HttpManagerConfig Manager() {
  HttpManagerConfig config;
  config.internal_ranges = {IpPrefix{std::string("\x0a\0\0\0", 4), 8}};
  return config;
}

ClientFacts Client(const char* address) {
  ClientFacts client;
  client.address = address;
  client.local_port = 8080;
  return client;
}

RequestHead Prepared(const HttpManagerConfig& config, const ClientFacts& client, RequestHead head) {
  PrepareRequestHead(config, client, 1, 2, head);
  return head;
}

TEST(RequestHead, WhoseRequestItIs) {
  const struct {
    const char* name;
    bool use_remote_address;
    uint32_t hops;
    const char* client;
    const char* forwarded;  // null: none
    const char* peer_uri;
    const char* address;
    bool trusted;
  } cases[] = {
      {"an inner client", true, 0, "10.1.1.1", nullptr, "", "10.1.1.1", true},
      {"an outer client", true, 0, "8.8.8.8", nullptr, "", "8.8.8.8", false},
      {"an inner client for someone", true, 0, "10.1.1.1", "8.8.8.8", "", "10.1.1.1", false},
      {"forged", true, 0, "8.8.8.8", "10.1.1.1", "", "8.8.8.8", false},
      {"behind one proxy", true, 1, "10.1.1.1", "9.9.9.9, 8.8.8.8", "", "8.8.8.8", false},
      {"an inner one behind one proxy", true, 1, "10.1.1.1", "10.2.2.2", "", "10.2.2.2", true},
      {"not the edge", false, 0, "10.1.1.1", "10.2.2.2", "", "10.2.2.2", true},
      {"not the edge, from outside", false, 0, "10.1.1.1", "8.8.8.8", "", "8.8.8.8", false},
      {"not the edge, far", false, 0, "10.1.1.1", "10.3.3.3, 10.2.2.2", "", "10.2.2.2", false},
      {"not the edge, none", false, 0, "8.8.8.8", nullptr, "", "8.8.8.8", false},
      {"authenticated", false, 0, "8.8.8.8", nullptr, "spiffe://d/x", "8.8.8.8", true},
      {"nonsense", false, 0, "10.1.1.1", "what", "", "what", false},
  };
  for (const auto& c : cases) {
    HttpManagerConfig config = Manager();
    config.use_remote_address = c.use_remote_address;
    config.xff_trusted_hops = c.hops;
    ClientFacts client = Client(c.client);
    client.peer_uri = c.peer_uri;
    Headers headers;
    if (c.forwarded != nullptr) headers.Add("x-forwarded-for", c.forwarded);
    const RequestOrigin origin = OriginOf(config, client, headers);
    EXPECT_EQ(origin.address, c.address) << c.name;
    EXPECT_EQ(origin.trusted, c.trusted) << c.name;
    RequestHead head;
    head.headers = headers;
    const RequestOrigin after =
        OriginOfPrepared(config, client, Prepared(config, client, head).headers);
    EXPECT_EQ(after.address, c.address) << c.name << ", prepared";
    EXPECT_EQ(after.trusted, c.trusted) << c.name << ", prepared";
  }
}

TEST(RequestHead, Row61EveryLineOfForwardedForIsKept) {
  HttpManagerConfig config = Manager();
  config.use_remote_address = true;
  config.xff_trusted_hops = 1;
  RequestHead head;
  head.headers.Add("X-Forwarded-For", "9.9.9.9");
  head.headers.Add("x-forwarded-for", "8.8.8.8");
  const RequestHead got = Prepared(config, Client("10.1.1.1"), head);
  EXPECT_EQ(got.headers.GetAll("x-forwarded-for").size(), 1u);
  EXPECT_EQ(got.headers.Get("x-forwarded-for"), "9.9.9.9, 8.8.8.8, 10.1.1.1");
  EXPECT_EQ(OriginOfPrepared(config, Client("10.1.1.1"), got.headers).address, "8.8.8.8");
}

TEST(RequestHead, Row66ForgedEnvoyFieldsAreRemovedUnlessTheHopIsTrusted) {
  RequestHead head;
  head.headers.Add("X-Envoy-Retry-On", "5xx");
  head.headers.Add("x-envoy-upstream-rq-timeout-ms", "1");
  head.headers.Add("x-request-id", "mine");
  HttpManagerConfig edge = Manager();
  edge.use_remote_address = true;
  const RequestHead outer = Prepared(edge, Client("8.8.8.8"), head);
  EXPECT_FALSE(outer.headers.Has("x-envoy-retry-on"));
  EXPECT_FALSE(outer.headers.Has("x-envoy-upstream-rq-timeout-ms"));
  EXPECT_NE(outer.headers.Get("x-request-id"), "mine");
  EXPECT_EQ(outer.headers.Get("x-envoy-external-address"), "8.8.8.8");
  const RequestHead inner = Prepared(edge, Client("10.1.1.1"), head);
  EXPECT_TRUE(inner.headers.Has("x-envoy-retry-on"));
  EXPECT_EQ(inner.headers.Get("x-request-id"), "mine");
  edge.preserve_external_request_id = true;
  EXPECT_EQ(Prepared(edge, Client("8.8.8.8"), head).headers.Get("x-request-id"), "mine");
  // A chain of addresses that the client wrote does not make it one of ours.
  head.headers.Add("x-forwarded-for", "10.1.1.1, 10.1.1.2");
  EXPECT_FALSE(Prepared(Manager(), Client("8.8.8.8"), head).headers.Has("x-envoy-retry-on"));
}

TEST(RequestHead, Hosts) {
  const struct {
    const char* authority;
    bool any;
    bool matching;
    bool dot;
    const char* want;
  } cases[] = {
      {"h:8080", false, false, false, "h:8080"},
      {"h:8080", true, false, false, "h"},
      {"h:8080", false, true, false, "h"},
      {"h:81", false, true, false, "h:81"},
      {"[::1]", true, true, true, "[::1]"},
      {"[::1]:8080", true, false, false, "[::1]"},
      {"h.:81", false, false, true, "h:81"},
      {"h.", false, false, true, "h"},
      {".", false, false, true, "."},
  };
  for (const auto& c : cases) {
    HttpManagerConfig config = Manager();
    config.strip_any_host_port = c.any;
    config.strip_matching_host_port = c.matching;
    config.strip_trailing_host_dot = c.dot;
    RequestHead head;
    head.authority = c.authority;
    EXPECT_EQ(Prepared(config, Client("10.1.1.1"), head).authority, c.want) << c.authority;
  }
}

TEST(RequestHead, Underscores) {
  RequestHead head;
  head.headers.Add("x_a", "1");
  HttpManagerConfig config = Manager();
  EXPECT_EQ(HeadProblem(config, head), nullptr);
  EXPECT_TRUE(Prepared(config, Client("10.1.1.1"), head).headers.Has("x_a"));
  config.underscores = UnderscoreAction::kDrop;
  EXPECT_FALSE(Prepared(config, Client("10.1.1.1"), head).headers.Has("x_a"));
  config.underscores = UnderscoreAction::kReject;
  EXPECT_STREQ(HeadProblem(config, head), "unexpected_underscore");
}

TEST(RequestHead, ViaPortAndScheme) {
  HttpManagerConfig config = Manager();
  config.via = "1.1 weft";
  config.append_x_forwarded_port = true;
  config.scheme_to_overwrite = "https";
  RequestHead head;
  head.headers.Add("via", "1.0 a");
  const RequestHead got = Prepared(config, Client("10.1.1.1"), head);
  EXPECT_EQ(got.headers.Get("via"), "1.0 a, 1.1 weft");
  EXPECT_EQ(got.headers.Get("x-forwarded-port"), "8080");
  EXPECT_EQ(got.scheme, "https");
}

TEST(Mutations, Actions) {
  const struct {
    HeaderToAdd::Action action;
    bool exists;
    std::vector<std::string> want;
  } cases[] = {
      {HeaderToAdd::Action::kAppend, false, {"new"}},
      {HeaderToAdd::Action::kAppend, true, {"old", "new"}},
      {HeaderToAdd::Action::kAddIfAbsent, false, {"new"}},
      {HeaderToAdd::Action::kAddIfAbsent, true, {"old"}},
      {HeaderToAdd::Action::kOverwriteOrAdd, false, {"new"}},
      {HeaderToAdd::Action::kOverwriteOrAdd, true, {"new"}},
      {HeaderToAdd::Action::kOverwriteIfExists, false, {}},
      {HeaderToAdd::Action::kOverwriteIfExists, true, {"new"}},
  };
  RequestRecord record;
  for (const auto& c : cases) {
    HeaderMutations mutations;
    HeaderToAdd& add = mutations.add.emplace_back();
    add.name = "x";
    add.value = "new";
    add.action = c.action;
    Headers headers;
    if (c.exists) headers.Add("X", "old");
    ApplyMutations(mutations, headers, [&] {
      FormatInput input;
      input.record = &record;
      return input;
    });
    std::vector<std::string> got;
    for (absl::string_view value : headers.GetAll("x")) got.emplace_back(value);
    EXPECT_EQ(got, c.want);
  }
}

TEST(Mutations, EvaluatedValuesAndEmptyOnes) {
  RequestRecord record;
  record.route_name = "r";
  const auto input = [&] {
    FormatInput in;
    in.record = &record;
    return in;
  };
  HeaderToAdd add;
  add.name = "x";
  add.format = *ParseFormat("<%ROUTE_NAME%>");
  Headers headers;
  ApplyAddition(add, headers, input);
  EXPECT_EQ(headers.Get("x"), "<r>");
  add.name = "y";
  add.format = *ParseFormat("%UPSTREAM_HOST%");
  ApplyAddition(add, headers, input);
  EXPECT_FALSE(headers.Has("y"));
  add.keep_empty_value = true;
  ApplyAddition(add, headers, input);
  EXPECT_EQ(headers.Get("y"), "");
}

}  // namespace
}  // namespace weft
