#include "proxy/decide/request_path.h"

#include <gtest/gtest.h>
#include <re2/re2.h>

#include "proxy/decide/normalise_path.h"

namespace weft {
namespace {

using EscapedSlashes = PathNormalisation::EscapedSlashes;

struct PathCase {
  const char* from;
  const char* to;
};

TEST(NormalisePath, Row58OneFormBeforeAnythingMatches) {
  const PathNormalisation how = {
      .normalize = true, .merge_slashes = true, .escaped_slashes = EscapedSlashes::kForward};
  const PathCase cases[] = {
      {"/a/b?x=/../y", "/a/b?x=/../y"},
      {"/a/./b/../c", "/a/c"},
      {"/a/b/..", "/a/"},
      {"/..", "/"},
      {"/../../etc", "/etc"},
      {"/a%2Fb", "/a/b"},
      {"/a%5cb", "/a/b"},
      {"/a\\b", "/a/b"},
      {"//a///b", "/a/b"},
      {"/%61dmin", "/admin"},
      {"/a/%2e%2E/b", "/b"},
      {"/a/%252e%252e/b", "/a/%252e%252e/b"},
      {"/a/%2E%2e%2fb", "/b"},
      {"/100%", "/100%"},
      {"/a%20b", "/a%20b"},
      {"/a;v=1/b", "/a;v=1/b"},
      {"/a#b?c", "/a"},
      {"/", "/"},
      {"*", "*"},
      {"", ""},
  };
  for (const PathCase& c : cases) {
    std::string path = c.from;
    const PathVerdict verdict = NormalisePath(how, path);
    EXPECT_EQ(path, c.to) << c.from;
    EXPECT_EQ(verdict,
              std::string(c.from) == c.to ? PathVerdict::kUnchanged : PathVerdict::kChanged)
        << c.from;
    std::string again = path;
    EXPECT_EQ(NormalisePath(how, again), PathVerdict::kUnchanged) << "not a fixed point: " << path;
  }
}

TEST(NormalisePath, Row58EscapedSlashesAsConfigured) {
  const struct {
    EscapedSlashes action;
    PathVerdict verdict;
    const char* path;
  } cases[] = {
      {EscapedSlashes::kKeep, PathVerdict::kUnchanged, "/a%2fb"},
      {EscapedSlashes::kReject, PathVerdict::kReject, "/a%2fb"},
      {EscapedSlashes::kRedirect, PathVerdict::kRedirect, "/a/b"},
      {EscapedSlashes::kForward, PathVerdict::kChanged, "/a/b"},
  };
  for (const auto& c : cases) {
    std::string path = "/a%2fb";
    EXPECT_EQ(NormalisePath({.escaped_slashes = c.action}, path), c.verdict);
    EXPECT_EQ(path, c.path);
  }
}

TEST(NormalisePath, RejectsAnEscapedNul) {
  std::string path = "/a%00b";
  EXPECT_EQ(NormalisePath({.normalize = true}, path), PathVerdict::kReject);
}

TEST(NormalisePath, DoesNothingThatWasNotAskedFor) {
  std::string path = "//a/../%61";
  EXPECT_EQ(NormalisePath({}, path), PathVerdict::kUnchanged);
}

Route PrefixRoute(std::string prefix) {
  Route route;
  route.match.path = std::move(prefix);
  return route;
}

TEST(RewrittenPath, ReplacesThePrefixThatMatched) {
  ForwardAction action;
  action.prefix_rewrite = "/";
  EXPECT_EQ(RewrittenPath(PrefixRoute("/api/"), action, "/api/v1?x=1"), "/v1?x=1");
  action.prefix_rewrite = "/v2";
  EXPECT_EQ(RewrittenPath(PrefixRoute("/api"), action, "/api/v1"), "/v2/v1");
  Route exact = PrefixRoute("/api");
  exact.match.path_kind = RouteMatch::PathKind::kExact;
  EXPECT_EQ(RewrittenPath(exact, action, "/api?q"), "/v2?q");
}

TEST(RewrittenPath, RegexDoesNotSeeTheQuery) {
  ForwardAction action;
  action.regex_rewrite = RegexRewrite{std::make_shared<re2::RE2>("^/([^/]+)/(.*)$"), "/\\2/\\1"};
  EXPECT_EQ(RewrittenPath(PrefixRoute("/"), action, "/a/b?c=/d/e"), "/b/a?c=/d/e");
  EXPECT_EQ(RewrittenPath(PrefixRoute("/"), ForwardAction{}, "/a?b"), "/a?b");
}

TEST(RedirectLocation, ChangesWhatItSaysAndKeepsTheRest) {
  RequestHead request;
  request.scheme = "http";
  request.authority = "a.org:80";
  request.path = "/old/x?q=1";
  const struct {
    RedirectAction action;
    const char* location;
  } cases[] = {
      {{}, "http://a.org:80/old/x?q=1"},
      {{.scheme = "https"}, "https://a.org/old/x?q=1"},
      {{.host = "b.org"}, "http://b.org/old/x?q=1"},
      {{.port = 8443}, "http://a.org:8443/old/x?q=1"},
      {{.path = "/new"}, "http://a.org:80/new?q=1"},
      {{.path = "/new?r=2"}, "http://a.org:80/new?r=2"},
      {{.path = "/new", .strip_query = true}, "http://a.org:80/new"},
      {{.prefix_rewrite = "/new"}, "http://a.org:80/new/x?q=1"},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(RedirectLocation(PrefixRoute("/old"), c.action, request), c.location);
  }
}

TEST(QueryParameter, FindsTheFirstOfItsName) {
  EXPECT_EQ(QueryParameter("a=1&b&a=2", "a"), "1");
  EXPECT_EQ(QueryParameter("a=1&b&a=2", "b"), "");
  EXPECT_EQ(QueryParameter("a=1&b&a=2", "c"), std::nullopt);
  EXPECT_EQ(QueryParameter("", ""), std::nullopt);
}

}  // namespace
}  // namespace weft
