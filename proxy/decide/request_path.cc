#include "proxy/decide/request_path.h"

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace weft {
namespace {

// How much of the path the route's match took: what prefix_rewrite replaces.
absl::string_view MatchedPart(const RouteMatch& match, absl::string_view path) {
  switch (match.path_kind) {
    case RouteMatch::PathKind::kPrefix:
    case RouteMatch::PathKind::kSeparatedPrefix:
      return path.substr(0, match.path.size());
    default:
      return path;
  }
}

std::string ReplacePrefix(const RouteMatch& match, absl::string_view path,
                          absl::string_view replacement) {
  return absl::StrCat(replacement, path.substr(MatchedPart(match, path).size()));
}

struct HostAndPort {
  absl::string_view host;  // with the brackets of IPv6
  absl::string_view port;  // with its colon; empty if none
};

HostAndPort SplitAuthority(absl::string_view authority) {
  const size_t colon = authority.rfind(':');
  if (colon == absl::string_view::npos || absl::StrContains(authority.substr(colon), ']')) {
    return {authority, ""};
  }
  return {authority.substr(0, colon), authority.substr(colon)};
}

// A port that goes without saying in the scheme is left out when the scheme changes.
bool IsDefaultPort(absl::string_view scheme, absl::string_view port) {
  return (scheme == "http" && port == ":80") || (scheme == "https" && port == ":443");
}

std::string RedirectAuthority(const RedirectAction& action, const RequestHead& request,
                              absl::string_view from_scheme) {
  HostAndPort to = SplitAuthority(request.authority);
  if (!action.host.empty()) to = {action.host, ""};
  if (action.port != 0) return absl::StrCat(to.host, ":", action.port);
  if (!action.scheme.empty() && IsDefaultPort(from_scheme, to.port)) to.port = "";
  return absl::StrCat(to.host, to.port);
}

std::string RedirectPath(const Route& route, const RedirectAction& action,
                         absl::string_view path_and_query) {
  const SplitPath from = Split(path_and_query);
  const absl::string_view rest = action.strip_query ? "" : from.rest;
  if (!action.path.empty()) {
    // A query in path_redirect replaces that of the request.
    return absl::StrContains(action.path, '?') ? action.path : absl::StrCat(action.path, rest);
  }
  if (!action.prefix_rewrite.empty()) {
    return absl::StrCat(ReplacePrefix(route.match, from.path, action.prefix_rewrite), rest);
  }
  if (action.regex_rewrite) return absl::StrCat(action.regex_rewrite->Apply(from.path), rest);
  return absl::StrCat(from.path, rest);
}

}  // namespace

SplitPath Split(absl::string_view path_and_query) {
  const size_t mark = path_and_query.find('?');
  if (mark == absl::string_view::npos) return {path_and_query, "", ""};
  return {path_and_query.substr(0, mark), path_and_query.substr(mark + 1),
          path_and_query.substr(mark)};
}

std::optional<absl::string_view> QueryParameter(absl::string_view query, absl::string_view name) {
  if (query.empty()) return std::nullopt;
  for (absl::string_view pair : absl::StrSplit(query, '&')) {
    const size_t equals = pair.find('=');
    if (pair.substr(0, equals) != name) continue;
    return equals == absl::string_view::npos ? absl::string_view("") : pair.substr(equals + 1);
  }
  return std::nullopt;
}

std::string RewrittenPath(const Route& route, const ForwardAction& action,
                          absl::string_view path_and_query) {
  const SplitPath from = Split(path_and_query);
  if (!action.prefix_rewrite.empty()) {
    return absl::StrCat(ReplacePrefix(route.match, from.path, action.prefix_rewrite), from.rest);
  }
  if (action.regex_rewrite) return absl::StrCat(action.regex_rewrite->Apply(from.path), from.rest);
  return std::string(path_and_query);
}

std::optional<std::string> RewrittenHost(const ForwardAction& action, const WeightedTarget& target,
                                         const RequestHead& request) {
  if (target.host_rewrite.has_value()) return target.host_rewrite;
  if (action.host_rewrite.has_value()) return action.host_rewrite;
  if (!action.host_rewrite_header.empty()) {
    const auto value = request.headers.Get(action.host_rewrite_header);
    if (!value.has_value() || value->empty()) return std::nullopt;
    return std::string(*value);
  }
  if (action.host_rewrite_path.has_value()) {
    return action.host_rewrite_path->Apply(Split(request.path).path);
  }
  return std::nullopt;
}

std::string RedirectLocation(const Route& route, const RedirectAction& action,
                             const RequestHead& request) {
  const absl::string_view stated = request.scheme;
  const absl::string_view from_scheme = stated.empty() ? "http" : stated;
  const absl::string_view scheme =
      action.scheme.empty() ? from_scheme : absl::string_view(action.scheme);
  return absl::StrCat(scheme, "://", RedirectAuthority(action, request, from_scheme),
                      RedirectPath(route, action, request.path));
}

}  // namespace weft
