// A whole RouteConfiguration: virtual hosts, the index of their domains, and what they share.
#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/config/compile.h"
#include "proxy/config/compile_http_filters.h"
#include "proxy/config/compile_retry.h"
#include "proxy/config/compile_route.h"

namespace weft {
namespace {

namespace route = envoy::config::route::v3;

void Append(HeaderMutations& to, const HeaderMutations& from) {
  to.add.insert(to.add.end(), from.add.begin(), from.add.end());
  to.remove.insert(to.remove.end(), from.remove.begin(), from.remove.end());
}

// What a level above the routes gives to each route below it.
struct Inherited {
  HeaderMutations request_headers;
  HeaderMutations response_headers;
  FilterOverrides filters;
  std::optional<RetryPolicy> retry;
  std::vector<RequestMirror> mirrors;
};

void Inherit(const Inherited& from, Route& to) {
  Append(to.request_headers, from.request_headers);
  Append(to.response_headers, from.response_headers);
  InheritOverrides(from.filters, to.filters);
  auto* forward = std::get_if<ForwardAction>(&to.action);
  if (forward == nullptr) return;
  if (!forward->retry) forward->retry = from.retry;
  if (forward->mirrors.empty()) forward->mirrors = from.mirrors;
}

// Of the levels above the weighted clusters, once the route has its own.
void FinishTargets(Route& route) {
  auto* forward = std::get_if<ForwardAction>(&route.action);
  if (forward == nullptr) return;
  for (WeightedTarget& target : forward->clusters) {
    if (!target.filters.empty()) InheritOverrides(route.filters, target.filters);
  }
}

template <typename Message>
absl::StatusOr<Inherited> CompileInherited(const Message& from, const Secrets& secrets) {
  Inherited to;
  absl::Status status = CompileHeaderMutations(from, to.request_headers, to.response_headers);
  if (!status.ok()) return status;
  absl::StatusOr<FilterOverrides> filters =
      CompileFilterOverrides(from.typed_per_filter_config(), secrets);
  if (!filters.ok()) return filters.status();
  to.filters = *std::move(filters);
  absl::StatusOr<std::vector<RequestMirror>> mirrors =
      CompileMirrors(from.request_mirror_policies(), secrets.runtime);
  if (!mirrors.ok()) return mirrors.status();
  to.mirrors = *std::move(mirrors);
  return to;
}

absl::Status CheckUnsupported(const route::VirtualHost& from) {
  if (from.has_cors()) {
    return Invalid("cors", "give it as typed_per_filter_config of the CORS filter");
  }
  if (!from.rate_limits().empty()) return Invalid("rate_limits", "is not supported by this proxy");
  if (from.hedge_policy().hedge_on_per_try_timeout()) {
    return Invalid("hedge_policy.hedge_on_per_try_timeout", "is not supported by this proxy");
  }
  return absl::OkStatus();
}

RequireTls RequireTlsOf(route::VirtualHost::TlsRequirementType type) {
  switch (type) {
    case route::VirtualHost::EXTERNAL_ONLY:
      return RequireTls::kExternalOnly;
    case route::VirtualHost::ALL:
      return RequireTls::kAll;
    default:
      return RequireTls::kNone;
  }
}

absl::StatusOr<VirtualHost> CompileVirtualHost(const route::VirtualHost& from,
                                               const Secrets& secrets) {
  VirtualHost to;
  to.name = from.name();
  if (to.name.empty()) return Invalid("name", "must not be empty");
  if (from.domains().empty()) return Invalid("domains", "must not be empty");
  absl::Status status = CheckUnsupported(from);
  if (!status.ok()) return status;
  absl::StatusOr<Inherited> inherited = CompileInherited(from, secrets);
  if (!inherited.ok()) return inherited.status();
  if (from.has_retry_policy()) {
    absl::StatusOr<RetryPolicy> retry = CompileRetryPolicy(from.retry_policy());
    if (!retry.ok()) return Under("retry_policy", retry.status());
    inherited->retry = *std::move(retry);
  }
  status = CompileEach("routes", from.routes(), to.routes,
                       [&](const route::Route& one) { return CompileRoute(one, secrets); });
  if (!status.ok()) return status;
  for (Route& one : to.routes) {
    Inherit(*inherited, one);
    one.virtual_host = to.name;
    one.require_tls = RequireTlsOf(from.require_tls());
    one.attempt_count_in_request = from.include_request_attempt_count();
    one.attempt_count_in_response = from.include_attempt_count_in_response();
  }
  return to;
}

using Wildcards = std::vector<std::pair<std::string, size_t>>;

bool AddWildcard(absl::string_view affix, size_t host, Wildcards& domains) {
  for (const auto& [other, unused] : domains) {
    if (other == affix) return false;
  }
  domains.emplace_back(affix, host);
  return true;
}

// Puts `domain` (lower case) into the index of `table`; false if it is there already.
bool AddDomain(absl::string_view domain, size_t host, RouteTable& table) {
  if (domain == "*") return !std::exchange(table.any_domain, host).has_value();
  if (domain.front() == '*') return AddWildcard(domain.substr(1), host, table.suffix_domains);
  if (domain.back() == '*') {
    return AddWildcard(domain.substr(0, domain.size() - 1), host, table.prefix_domains);
  }
  return table.exact_domains.emplace(domain, host).second;
}

bool ValidDomain(absl::string_view domain) {
  if (domain.empty()) return false;
  return domain.size() == 1 || !absl::StrContains(domain.substr(1, domain.size() - 2), '*');
}

absl::Status AddDomains(const route::VirtualHost& from, size_t host, RouteTable& table) {
  for (int i = 0; i < from.domains_size(); ++i) {
    const std::string domain = absl::AsciiStrToLower(from.domains(i));
    if (!ValidDomain(domain)) {
      return Invalid(Index("domains", i),
                     absl::StrCat("'", domain, "': '*' may only be its first or last character"));
    }
    if (!AddDomain(domain, host, table)) {
      return Invalid(Index("domains", i),
                     absl::StrCat("'", domain, "' is the domain of another virtual host too"));
    }
  }
  return absl::OkStatus();
}

void LongestFirst(Wildcards& domains) {
  std::stable_sort(domains.begin(), domains.end(),
                   [](const auto& a, const auto& b) { return a.first.size() > b.first.size(); });
}

std::vector<std::string> ClustersOf(const RouteTable& table) {
  std::vector<std::string> clusters;
  for (const VirtualHost& host : table.virtual_hosts) {
    for (const Route& one : host.routes) {
      const auto* forward = std::get_if<ForwardAction>(&one.action);
      if (forward == nullptr) continue;
      for (const WeightedTarget& target : forward->clusters) {
        if (!target.cluster.empty()) clusters.push_back(target.cluster);
      }
      for (const RequestMirror& mirror : forward->mirrors) {
        if (!mirror.cluster.empty()) clusters.push_back(mirror.cluster);
      }
    }
  }
  std::sort(clusters.begin(), clusters.end());
  clusters.erase(std::unique(clusters.begin(), clusters.end()), clusters.end());
  return clusters;
}

}  // namespace

absl::StatusOr<std::shared_ptr<const RouteTable>> CompileRoutes(
    const route::RouteConfiguration& from, const Secrets& secrets) {
  auto table = std::make_shared<RouteTable>();
  table->name = from.name();
  table->ignore_port_in_host_matching = from.ignore_port_in_host_matching();
  table->ignore_path_parameters = from.ignore_path_parameters_in_path_matching();
  for (const std::string& name : from.internal_only_headers()) {
    table->internal_only_headers.push_back(absl::AsciiStrToLower(name));
  }
  if (from.has_vhds()) return Invalid("vhds", "is not supported by this proxy");
  if (from.most_specific_header_mutations_wins()) {
    return Invalid("most_specific_header_mutations_wins", "is not supported by this proxy");
  }
  absl::StatusOr<Inherited> inherited = CompileInherited(from, secrets);
  if (!inherited.ok()) return inherited.status();
  absl::Status status =
      CompileEach("virtual_hosts", from.virtual_hosts(), table->virtual_hosts,
                  [&](const route::VirtualHost& one) { return CompileVirtualHost(one, secrets); });
  if (!status.ok()) return status;
  for (int i = 0; i < from.virtual_hosts_size(); ++i) {
    for (Route& one : table->virtual_hosts[i].routes) {
      Inherit(*inherited, one);
      FinishTargets(one);
    }
    status = AddDomains(from.virtual_hosts(i), i, *table);
    if (!status.ok()) return Under(Index("virtual_hosts", i), status);
  }
  LongestFirst(table->suffix_domains);
  LongestFirst(table->prefix_domains);
  table->clusters = ClustersOf(*table);
  return table;
}

}  // namespace weft
