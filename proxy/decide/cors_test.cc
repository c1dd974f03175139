#include "proxy/decide/cors.h"

#include <gtest/gtest.h>

namespace weft {
namespace {

CorsConfig Policy() {
  CorsConfig policy;
  policy.allow_origins.emplace_back().value = "https://a.example";
  policy.allow_methods = "GET,PUT";
  policy.allow_headers = "x-a";
  policy.expose_headers = "x-b";
  policy.max_age = "60";
  policy.allow_credentials = true;
  return policy;
}

RequestHead Request(const char* method, const char* origin, bool asks = false) {
  RequestHead head;
  head.method = method;
  if (origin != nullptr) head.headers.Add("origin", origin);
  if (asks) head.headers.Add("access-control-request-method", "PUT");
  return head;
}

TEST(Cors, Verdicts) {
  const struct {
    const char* method;
    const char* origin;
    bool asks;
    CorsVerdict want;  // cross_origin, allowed, enforced, preflight
  } cases[] = {
      {"GET", nullptr, false, {false, false, true, false}},
      {"GET", "", false, {false, false, true, false}},
      {"GET", "https://a.example", false, {true, true, true, false}},
      {"GET", "https://a.example.evil", false, {true, false, true, false}},
      {"OPTIONS", "https://a.example", true, {true, true, true, true}},
      {"OPTIONS", "https://a.example", false, {true, true, true, false}},
      {"GET", "https://a.example", true, {true, true, true, false}},
  };
  for (const auto& c : cases) {
    const CorsVerdict got = JudgeOrigin(Policy(), Request(c.method, c.origin, c.asks), 0);
    EXPECT_EQ(got.cross_origin, c.want.cross_origin) << c.method << (c.origin ? c.origin : "");
    EXPECT_EQ(got.allowed, c.want.allowed);
    EXPECT_EQ(got.enforced, c.want.enforced);
    EXPECT_EQ(got.preflight, c.want.preflight);
  }
}

TEST(Cors, SharesSayWhetherItIsEnforcedOrOnlyCounted) {
  CorsConfig policy = Policy();
  policy.enabled = Fraction::Never();
  EXPECT_FALSE(JudgeOrigin(policy, Request("GET", "https://a.example"), 0).cross_origin);
  policy.shadow_enabled = Fraction{100, 100};
  const CorsVerdict shadow = JudgeOrigin(policy, Request("GET", "https://a.example"), 0);
  EXPECT_TRUE(shadow.cross_origin && shadow.allowed && !shadow.enforced);
}

TEST(Cors, Fields) {
  Headers preflight;
  RequestHead head = Request("OPTIONS", "https://a.example", true);
  AddPreflightHeaders(Policy(), head, preflight);
  EXPECT_EQ(preflight.Get("access-control-allow-origin"), "https://a.example");
  EXPECT_EQ(preflight.Get("access-control-allow-methods"), "GET,PUT");
  EXPECT_EQ(preflight.Get("access-control-allow-headers"), "x-a");
  EXPECT_EQ(preflight.Get("access-control-max-age"), "60");
  EXPECT_EQ(preflight.Get("access-control-allow-credentials"), "true");
  EXPECT_FALSE(preflight.Has("access-control-expose-headers"));
  Headers response;
  AddCorsHeaders(Policy(), "https://a.example", response);
  EXPECT_EQ(response.Get("access-control-expose-headers"), "x-b");
  EXPECT_FALSE(response.Has("access-control-allow-methods"));
}

TEST(Cors, AStarAllowsEveryOrigin) {
  CorsConfig policy;
  policy.allow_origins.emplace_back().value = "*";
  EXPECT_TRUE(JudgeOrigin(policy, Request("GET", "null"), 0).allowed);
}

}  // namespace
}  // namespace weft
