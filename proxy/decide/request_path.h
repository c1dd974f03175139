// The path of a request, read and rewritten: its parts, its one normal form, and what rewrites and
// redirects make of it. Pure.
#ifndef WEFT_PROXY_DECIDE_REQUEST_PATH_H_
#define WEFT_PROXY_DECIDE_REQUEST_PATH_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "proxy/config/listener_config.h"
#include "proxy/config/route_table.h"
#include "proxy/http/head.h"

namespace weft {

struct SplitPath {
  absl::string_view path;
  absl::string_view query;  // without the '?'; empty also if there is none
  absl::string_view rest;   // '?' and everything behind it
};
SplitPath Split(absl::string_view path_and_query);

// The first value of a query parameter, as it stands (not decoded); nullopt: not there.
std::optional<absl::string_view> QueryParameter(absl::string_view query, absl::string_view name);

// What a route rewrites the path to, with the query kept. The request's own if it rewrites nothing.
// Whether the route changes the path at all.
inline bool RewritesPath(const ForwardAction& action) {
  return !action.prefix_rewrite.empty() || action.regex_rewrite.has_value();
}
std::string RewrittenPath(const Route& route, const ForwardAction& action,
                          absl::string_view path_and_query);

// What a route and the target rewrite the host to; nullopt: it stays. The host of the endpoint
// (auto_host_rewrite) is known later.
std::optional<std::string> RewrittenHost(const ForwardAction& action, const WeightedTarget& target,
                                         const RequestHead& request);

// The Location of a redirect.
std::string RedirectLocation(const Route& route, const RedirectAction& action,
                             const RequestHead& request);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_REQUEST_PATH_H_
