#include "proxy/decide/match_route.h"

#include <re2/re2.h>

#include <optional>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "proxy/decide/request_path.h"
#include "proxy/http/grpc.h"

namespace weft {
namespace {

absl::string_view WithoutPort(absl::string_view authority) {
  const size_t colon = authority.rfind(':');
  if (colon == absl::string_view::npos) return authority;
  // "[::1]" has colons, but no port.
  if (absl::StrContains(authority.substr(colon), ']')) return authority;
  return authority.substr(0, colon);
}

std::optional<size_t> FindDomain(const RouteTable& table, absl::string_view host) {
  auto it = table.exact_domains.find(host);
  if (it != table.exact_domains.end()) return it->second;
  for (const auto& [suffix, index] : table.suffix_domains) {
    // The star stands for at least one character.
    if (host.size() > suffix.size() && absl::EndsWith(host, suffix)) return index;
  }
  for (const auto& [prefix, index] : table.prefix_domains) {
    if (host.size() > prefix.size() && absl::StartsWith(host, prefix)) return index;
  }
  return table.any_domain;
}

// A pseudo-header's or header's value; several lines of one name are joined into `joined`.
std::optional<absl::string_view> HeaderValue(const RequestHead& request, absl::string_view name,
                                             std::string& joined) {
  if (name[0] == ':') {
    if (name == ":method") return request.method;
    if (name == ":authority") return request.authority;
    if (name == ":path") return request.path;
    if (name == ":scheme") return request.scheme;
    return std::nullopt;
  }
  if (name == "host") return request.authority;
  auto values = request.headers.GetAll(name);
  if (values.empty()) return std::nullopt;
  if (values.size() == 1) return values[0];
  joined = absl::StrJoin(values, ",");
  return joined;
}

bool QueryFits(const std::vector<QueryMatch>& wanted, absl::string_view query) {
  for (const QueryMatch& match : wanted) {
    if (!match.Matches(QueryParameter(query, match.name))) return false;
  }
  return true;
}

bool PathFits(const RouteMatch& match, absl::string_view path, const RequestHead& request) {
  const auto starts = [&] {
    return match.case_sensitive ? absl::StartsWith(path, match.path)
                                : absl::StartsWithIgnoreCase(path, match.path);
  };
  switch (match.path_kind) {
    case RouteMatch::PathKind::kPrefix:
      return starts();
    case RouteMatch::PathKind::kExact:
      return match.case_sensitive ? path == match.path : absl::EqualsIgnoreCase(path, match.path);
    case RouteMatch::PathKind::kSeparatedPrefix:
      return starts() && (path.size() == match.path.size() || path[match.path.size()] == '/');
    case RouteMatch::PathKind::kRegex:
      return re2::RE2::FullMatch(re2::StringPiece(path.data(), path.size()), *match.pattern);
    case RouteMatch::PathKind::kConnect:
      return request.method == "CONNECT";
  }
  return false;
}

bool Fits(const RouteMatch& match, const RequestHead& request, const SplitPath& path,
          uint64_t random) {
  return PathFits(match, path.path, request) && HeadersMatch(match.headers, request) &&
         QueryFits(match.query_parameters, path.query) &&
         (!match.grpc_only || IsGrpc(request.headers)) && match.share.Takes(random);
}

}  // namespace

bool HeadersMatch(absl::Span<const HeaderMatch> wanted, const RequestHead& request) {
  for (const HeaderMatch& match : wanted) {
    std::string joined;
    if (!match.Matches(HeaderValue(request, match.name, joined))) return false;
  }
  return true;
}

absl::string_view ClusterNameOf(const ForwardAction& action, const WeightedTarget& target,
                                const RequestHead& request) {
  if (action.cluster_header.empty()) return target.cluster;
  if (action.cluster_header == ":authority") return request.authority;
  return request.headers.Get(action.cluster_header).value_or("");
}

const VirtualHost* MatchVirtualHost(const RouteTable& table, absl::string_view authority) {
  if (table.ignore_port_in_host_matching) authority = WithoutPort(authority);
  const std::optional<size_t> index = FindDomain(table, absl::AsciiStrToLower(authority));
  return index ? &table.virtual_hosts[*index] : nullptr;
}

bool MatchesRequest(const RouteMatch& match, const RequestHead& request, uint64_t random) {
  return Fits(match, request, Split(request.path), random);
}

const Route* MatchRoute(const RouteTable& table, const RequestHead& request, uint64_t random) {
  const VirtualHost* host = MatchVirtualHost(table, request.authority);
  if (host == nullptr) return nullptr;
  SplitPath path = Split(request.path);
  if (table.ignore_path_parameters) path.path = path.path.substr(0, path.path.find(';'));
  for (const Route& route : host->routes) {
    if (Fits(route.match, request, path, random)) return &route;
  }
  return nullptr;
}

const WeightedTarget* ChooseTarget(absl::Span<const WeightedTarget> targets, uint64_t total_weight,
                                   uint64_t random) {
  if (total_weight == 0) return nullptr;
  uint64_t place = random % total_weight;
  for (const WeightedTarget& target : targets) {
    if (place < target.weight) return &target;
    place -= target.weight;
  }
  return nullptr;
}

}  // namespace weft
