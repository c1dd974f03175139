#include "proxy/decide/request_hash.h"

#include <gtest/gtest.h>
#include <re2/re2.h>

namespace weft {
namespace {

HashPolicy Policy(HashPolicy::Source source, const char* name) {
  HashPolicy policy;
  policy.source = source;
  policy.name = name;
  return policy;
}

TEST(RequestHash, AHeaderIsRewrittenFirst) {
  HashPolicy policy = Policy(HashPolicy::Source::kHeader, "x");
  policy.regex_rewrite = RegexRewrite{std::make_shared<const re2::RE2>("^(\\w+)-.*"), "\\1"};
  RequestHead a, b, c;
  a.headers.Add("x", "user-1");
  b.headers.Add("x", "user-2");
  c.headers.Add("x", "other-1");
  const std::vector<HashPolicy> policies = {policy};
  EXPECT_EQ(RequestHash(policies, a, ""), RequestHash(policies, b, ""));
  EXPECT_NE(RequestHash(policies, a, ""), RequestHash(policies, c, ""));
}

TEST(RequestHash, MakesTheCookieThatIsMissingAndKnowsItAgain) {
  HashPolicy policy = Policy(HashPolicy::Source::kCookie, "k");
  policy.cookie_ttl = absl::Seconds(60);
  policy.cookie_path = "/p";
  policy.cookie_attributes = "; Secure";
  const std::vector<HashPolicy> policies = {policy};
  std::string set_cookie;
  const auto made = RequestHash(policies, RequestHead(), "", 0xabc, &set_cookie);
  EXPECT_EQ(set_cookie, "k=\"0000000000000abc\"; Max-Age=60; Path=/p; HttpOnly; Secure");
  for (const char* cookie : {"k=\"0000000000000abc\"", "a=b; k=0000000000000abc"}) {
    RequestHead next;
    next.headers.Add("cookie", cookie);
    std::string again;
    EXPECT_EQ(RequestHash(policies, next, "", 1, &again), made);
    EXPECT_EQ(again, "");
  }
}

TEST(RequestHash, WithoutALifetimeNoCookieIsMade) {
  std::string set_cookie;
  const std::vector<HashPolicy> policies = {Policy(HashPolicy::Source::kCookie, "k")};
  EXPECT_EQ(RequestHash(policies, RequestHead(), "", 1, &set_cookie), std::nullopt);
  EXPECT_EQ(set_cookie, "");
}

TEST(RequestHash, ATerminalPolicyEndsTheList) {
  RequestHead head;
  head.path = "/?q=1";
  std::vector<HashPolicy> policies = {Policy(HashPolicy::Source::kQueryParameter, "q"),
                                      Policy(HashPolicy::Source::kSourceIp, "")};
  const auto both = RequestHash(policies, head, "10.0.0.1");
  policies[0].terminal = true;
  const auto first = RequestHash(policies, head, "10.0.0.1");
  EXPECT_NE(both, first);
  EXPECT_EQ(first, RequestHash(policies, head, "10.0.0.2"));
}

}  // namespace
}  // namespace weft
