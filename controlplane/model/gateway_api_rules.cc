#include "controlplane/model/gateway_api_rules.h"

#include <algorithm>
#include <array>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "controlplane/model/gateway_api_name.h"
#include "controlplane/model/kubernetes.h"
#include "re2/re2.h"

namespace weft {
namespace {

using istio::networking::v1alpha3::Headers;
using istio::networking::v1alpha3::HTTPMatchRequest;
using istio::networking::v1alpha3::HTTPRedirect;
using istio::networking::v1alpha3::HTTPRoute;
using istio::networking::v1alpha3::HTTPRouteDestination;
using istio::networking::v1alpha3::RouteDestination;
using istio::networking::v1alpha3::StringMatch;
using kubernetes::GrpcRouteMatch;
using kubernetes::HttpRouteMatch;
using kubernetes::RouteBackend;
using kubernetes::RouteFilter;

// Where a regular expression stands, the API leaves open: before prefixes, or "/" would hide it.
enum PathKind { kPrefix, kRegularExpression, kExact };

constexpr int kNoBackend = 500;
constexpr char kHttpRoute[] = "HTTPRoute";
constexpr char kGrpcRoute[] = "GRPCRoute";
// What a route that states only how often retries on, as Istio's default.
constexpr char kRetryOn[] = "connect-failure,refused-stream,unavailable,cancelled";
constexpr int kDefaultAttempts = 2;

// ---- Matches.

// A prefix ends where a segment does; "/a/" is "/a".
std::string PrefixOf(const std::string& value) {
  if (value.empty() || value == "/") return "/";
  return value.back() == '/' ? value.substr(0, value.size() - 1) : value;
}

template <typename Values>
size_t SetValues(const Values& from, bool names_fold_case,
                 google::protobuf::Map<std::string, StringMatch>& to) {
  for (const auto& value : from) {
    std::string name = value.name();
    if (names_fold_case) absl::AsciiStrToLower(&name);
    if (to.contains(name)) continue;  // the first of a name counts
    StringMatch& match = to[name];
    if (value.type() == "RegularExpression") {
      match.set_regex(value.value());
    } else {
      match.set_exact(value.value());
    }
  }
  return to.size();
}

struct Condition {
  RulePrecedence precedence;
  HTTPMatchRequest match;
  std::string prefix;  // of a prefix match, else empty
};

Condition ConditionOf(const HttpRouteMatch& from) {
  Condition to;
  const std::string value = from.path().has_value() ? from.path().value() : "/";
  StringMatch& uri = *to.match.mutable_uri();
  if (from.path().type() == "Exact") {
    uri.set_exact(value);
    to.precedence.path_kind = kExact;
  } else if (from.path().type() == "RegularExpression") {
    uri.set_regex(value);
    to.precedence.path_kind = kRegularExpression;
  } else {
    to.prefix = PrefixOf(value);
    uri.set_prefix(to.prefix);
    to.precedence.path_kind = kPrefix;
  }
  to.precedence.path_length = to.prefix.empty() ? value.size() : to.prefix.size();
  if (!from.method().empty()) to.match.mutable_method()->set_exact(from.method());
  to.precedence.method = !from.method().empty();
  to.precedence.headers = SetValues(from.headers(), true, *to.match.mutable_headers());
  to.precedence.query_params =
      SetValues(from.query_params(), false, *to.match.mutable_query_params());
  return to;
}

// A method of gRPC is the path "/service/method".
Condition ConditionOf(const GrpcRouteMatch& from) {
  Condition to;
  const auto& method = from.method();
  StringMatch& uri = *to.match.mutable_uri();
  if (method.type() == "RegularExpression" ||
      (method.service().empty() && !method.method().empty())) {
    const bool regex = method.type() == "RegularExpression";
    const auto part = [&](const std::string& text) {
      return text.empty() ? std::string("[^/]+") : regex ? text : RE2::QuoteMeta(text);
    };
    uri.set_regex(absl::StrCat("/", part(method.service()), "/", part(method.method())));
    to.precedence.path_kind = kRegularExpression;
  } else if (!method.method().empty()) {
    uri.set_exact(absl::StrCat("/", method.service(), "/", method.method()));
    to.precedence.path_kind = kExact;
  } else {
    uri.set_prefix(method.service().empty() ? "/" : absl::StrCat("/", method.service()));
    to.precedence.path_kind = kPrefix;
  }
  to.precedence.path_length = method.service().size() + method.method().size();
  to.precedence.headers = SetValues(from.headers(), true, *to.match.mutable_headers());
  return to;
}

// ---- Filters.

void SetHeaders(const kubernetes::HttpHeaderFilter& from, Headers::HeaderOperations& to) {
  for (const auto& header : from.set()) (*to.mutable_set())[header.name()] = header.value();
  for (const auto& header : from.add()) (*to.mutable_add())[header.name()] = header.value();
  for (const std::string& name : from.remove()) to.add_remove(name);
}

template <typename To>
void SetHeaders(const RouteFilter& filter, To& to) {
  if (filter.has_request_header_modifier()) {
    SetHeaders(filter.request_header_modifier(), *to.mutable_headers()->mutable_request());
  }
  if (filter.has_response_header_modifier()) {
    SetHeaders(filter.response_header_modifier(), *to.mutable_headers()->mutable_response());
  }
}

bool IsDefaultPort(const std::string& scheme, uint16_t port) {
  return port == 0 || (scheme != "https" && port == 80) || (scheme != "http" && port == 443);
}

// Where nothing is said of the port, it is the scheme's, or that of the listener. A Location does
// not spell a port that its scheme implies.
void SetRedirectPort(const kubernetes::HttpRequestRedirect& from, uint16_t listener_port,
                     HTTPRedirect& to) {
  const auto stated = static_cast<uint16_t>(from.port());
  if (from.has_port()) {
    if (from.scheme().empty() || !IsDefaultPort(from.scheme(), stated)) to.set_port(stated);
    return;
  }
  if (from.scheme().empty() && !from.hostname().empty() && !IsDefaultPort("", listener_port)) {
    to.set_port(listener_port);
  }
}

std::string ReplacementOf(const std::string& replacement) {
  std::string text = replacement;
  if (!absl::StartsWith(text, "/")) text.insert(0, "/");
  if (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

HTTPRedirect RedirectOf(const kubernetes::HttpRequestRedirect& from, const Condition& condition,
                        uint16_t listener_port) {
  HTTPRedirect to;
  to.set_scheme(from.scheme());
  to.set_authority(from.hostname());
  to.set_redirect_code(from.status_code() == 0 ? 302 : from.status_code());
  SetRedirectPort(from, listener_port, to);
  if (from.path().has_replace_full_path()) {
    to.set_uri(ReplacementOf(from.path().replace_full_path()));
  } else if (from.path().has_replace_prefix_match()) {
    to.set_prefix_rewrite(ReplacementOf(from.path().replace_prefix_match()));
    // Of "/" itself no segment is left to keep apart from what follows.
    if (condition.prefix == "/" && to.prefix_rewrite() != "/") {
      to.set_prefix_rewrite(absl::StrCat(to.prefix_rewrite(), "/"));
    }
  }
  return to;
}

// A backslash in a substitution is a reference to a group.
std::string Literal(const std::string& text) { return absl::StrReplaceAll(text, {{"\\", "\\\\"}}); }

void SetRewrite(const kubernetes::HttpUrlRewrite& from, const Condition& condition,
                HTTPRoute& route) {
  auto& to = *route.mutable_rewrite();
  to.set_authority(from.hostname());
  if (from.path().has_replace_full_path()) {
    to.mutable_uri_regex_rewrite()->set_match("^/.*$");
    to.mutable_uri_regex_rewrite()->set_rewrite(
        Literal(ReplacementOf(from.path().replace_full_path())));
  } else if (from.path().has_replace_prefix_match()) {
    const std::string with = ReplacementOf(from.path().replace_prefix_match());
    if (condition.prefix == "/") {
      if (with != "/") to.set_uri(absl::StrCat(with, "/"));
    } else if (with == "/") {  // else "/a/b" would become "//b"
      to.mutable_uri_regex_rewrite()->set_match(
          absl::StrCat("^", RE2::QuoteMeta(condition.prefix), "/*"));
      to.mutable_uri_regex_rewrite()->set_rewrite("/");
    } else {
      to.set_uri(with);
    }
  }
}

double PercentOf(const kubernetes::HttpRequestMirror& mirror) {
  if (mirror.has_percent()) return mirror.percent();
  if (!mirror.has_fraction()) return 100;
  const int whole = mirror.fraction().has_denominator() ? mirror.fraction().denominator() : 100;
  return 100.0 * mirror.fraction().numerator() / whole;
}

void SetDestination(const std::string& host, uint32_t port,
                    istio::networking::v1alpha3::Destination& to) {
  to.set_host(host);
  if (port != 0) to.mutable_port()->set_number(port);
}

// ---- One rule.

class RuleConversion {
 public:
  RuleConversion(const Backends& backends, absl::string_view kind,
                 const std::string& route_namespace, uint16_t listener_port)
      : backends_(backends), kind_(kind), namespace_(route_namespace), port_(listener_port) {}

  template <typename Rule>
  HTTPRoute Convert(const Rule& rule, const Condition& condition) const {
    HTTPRoute route;
    *route.add_match() = condition.match;
    for (const RouteFilter& filter : rule.filters()) AddFilter(filter, condition, route);
    if (!route.has_redirect()) SetBackends(rule.backend_refs(), route);
    return route;
  }

 private:
  void AddFilter(const RouteFilter& filter, const Condition& condition, HTTPRoute& route) const {
    SetHeaders(filter, route);
    if (filter.has_request_redirect()) {
      *route.mutable_redirect() = RedirectOf(filter.request_redirect(), condition, port_);
    }
    if (filter.has_url_rewrite()) SetRewrite(filter.url_rewrite(), condition, route);
    if (filter.has_request_mirror()) AddMirror(filter.request_mirror(), route);
  }

  void AddMirror(const kubernetes::HttpRequestMirror& from, HTTPRoute& route) const {
    const Backends::Verdict verdict = backends_.Resolve(from.backend_ref(), kind_, namespace_);
    if (verdict.host.empty()) return;
    auto* mirror = route.add_mirrors();
    SetDestination(verdict.host, from.backend_ref().port(), *mirror->mutable_destination());
    mirror->mutable_percentage()->set_value(PercentOf(from));
  }

  // The share of backends that cannot be used fails by itself; the others keep theirs.
  template <typename List>
  void SetBackends(const List& backends, HTTPRoute& route) const {
    int64_t good = 0;
    int64_t all = 0;
    for (const RouteBackend& backend : backends) {
      const int weight = backend.has_weight() ? backend.weight() : 1;
      all += weight;
      if (weight == 0) continue;
      const Backends::Verdict verdict = backends_.Resolve(backend, kind_, namespace_);
      if (verdict.host.empty()) continue;
      good += weight;
      HTTPRouteDestination& to = *route.add_route();
      to.set_weight(weight);
      SetDestination(verdict.host, backend.port(), *to.mutable_destination());
      for (const RouteFilter& filter : backend.filters()) SetHeaders(filter, to);
    }
    if (good == 0) return Fail(route);
    if (good < all) {
      SetError(*route.mutable_fault()->mutable_abort(),
               100.0 * static_cast<double>(all - good) / static_cast<double>(all));
    }
  }

  template <typename Abort>
  void SetError(Abort& abort, double percent) const {
    if (kind_ == kGrpcRoute) {
      abort.set_grpc_status("UNAVAILABLE");
    } else {
      abort.set_http_status(kNoBackend);
    }
    abort.mutable_percentage()->set_value(percent);
  }

  static void Fail(HTTPRoute& route) {
    route.clear_rewrite();
    route.clear_mirrors();
    route.mutable_direct_response()->set_status(kNoBackend);
  }

  const Backends& backends_;
  const absl::string_view kind_;
  const std::string& namespace_;
  const uint16_t port_;
};

void SetTimeouts(const kubernetes::HttpRouteRule& rule, HTTPRoute& route) {
  route.set_timeout(rule.timeouts().request());
  if (rule.has_retry()) {
    auto& retries = *route.mutable_retries();
    retries.set_attempts(rule.retry().has_attempts() ? rule.retry().attempts() : kDefaultAttempts);
    retries.set_retry_on(
        rule.retry().codes().empty()
            ? kRetryOn
            : absl::StrCat(kRetryOn, ",", absl::StrJoin(rule.retry().codes(), ",")));
    retries.set_backoff(rule.retry().backoff());
  }
  if (rule.timeouts().backend_request().empty()) return;
  if (!rule.has_retry()) route.mutable_retries()->set_attempts(kDefaultAttempts);
  route.mutable_retries()->set_per_try_timeout(rule.timeouts().backend_request());
}
void SetTimeouts(const kubernetes::GrpcRouteRule&, HTTPRoute&) {}

template <typename Match, typename Spec>
std::vector<ConvertedRule> Convert(const Backends& backends, const Config<Spec>& config,
                                   absl::string_view kind, uint16_t listener_port) {
  const RuleConversion conversion(backends, kind, config.key.namespace_, listener_port);
  std::vector<ConvertedRule> rules;
  for (const auto& rule : config.spec->rules()) {
    std::vector<Match> matches(rule.matches().begin(), rule.matches().end());
    if (matches.empty()) matches.emplace_back();
    for (const Match& match : matches) {
      const Condition condition = ConditionOf(match);
      HTTPRoute route = conversion.Convert(rule, condition);
      route.set_name(absl::StrCat(config.key.namespace_, ".", config.key.name));
      if (!route.has_redirect() && !route.has_direct_response()) SetTimeouts(rule, route);
      rules.push_back({condition.precedence, std::move(route)});
    }
  }
  return rules;
}

}  // namespace

bool Backends::Granted(absl::string_view from_kind, const std::string& from_namespace,
                       absl::string_view to_kind, const std::string& to_namespace,
                       const std::string& to_name) const {
  if (from_namespace == to_namespace) return true;
  for (const auto& [name, grant] : world_.gateway_api.reference_grants) {
    if (name.first != to_namespace) continue;
    const auto& from = grant.spec->from();
    const bool trusts = std::any_of(from.begin(), from.end(), [&](const auto& one) {
      return one.group() == kGatewayApiGroup && one.kind() == from_kind &&
             one.namespace_() == from_namespace;
    });
    const auto& to = grant.spec->to();
    const bool names = std::any_of(to.begin(), to.end(), [&](const auto& one) {
      return one.group().empty() && one.kind() == to_kind &&
             (one.name().empty() || one.name() == to_name);
    });
    if (trusts && names) return true;
  }
  return false;
}

Backends::Verdict Backends::Resolve(const std::string& group, const std::string& kind,
                                    const std::string& name, const std::string& namespace_,
                                    uint32_t port, absl::string_view route_kind,
                                    const std::string& route_namespace) const {
  if (!group.empty() || kind != "Service") {
    return {"", "InvalidKind",
            absl::StrCat("backend ", kind, " ", name, ": only Services are known")};
  }
  if (!Granted(route_kind, route_namespace, "Service", namespace_, name)) {
    return {"", "RefNotPermitted",
            absl::StrCat("backend ", namespace_, "/", name, ": no ReferenceGrant of namespace ",
                         namespace_, " lets a ", route_kind, " of ", route_namespace, " use it")};
  }
  const std::string host = weft::HostOf(name, namespace_);
  if (world_.aliases.contains(host)) return {host, "", ""};
  const auto service = world_.services.find(host);
  if (service == world_.services.end()) {
    return {"", "BackendNotFound",
            absl::StrCat("backend ", namespace_, "/", name, ": no such Service")};
  }
  const auto& ports = service->second->ports;
  if (std::none_of(ports.begin(), ports.end(), [&](const auto& p) { return p.port == port; })) {
    return {"", "BackendNotFound",
            absl::StrCat("backend ", namespace_, "/", name, ": it has no port ", port)};
  }
  return {host, "", ""};
}

std::vector<ConvertedRule> ConvertRules(const Backends& backends,
                                        const Config<kubernetes::HttpRouteSpec>& route,
                                        uint16_t listener_port) {
  return Convert<HttpRouteMatch>(backends, route, kHttpRoute, listener_port);
}

std::vector<ConvertedRule> ConvertRules(const Backends& backends,
                                        const Config<kubernetes::GrpcRouteSpec>& route,
                                        uint16_t listener_port) {
  return Convert<GrpcRouteMatch>(backends, route, kGrpcRoute, listener_port);
}

std::vector<RouteDestination> ConvertBackends(const Backends& backends,
                                              const kubernetes::L4RouteRule& rule,
                                              absl::string_view route_kind,
                                              const std::string& route_namespace) {
  std::vector<RouteDestination> destinations;
  for (const RouteBackend& backend : rule.backend_refs()) {
    const Backends::Verdict verdict = backends.Resolve(backend, route_kind, route_namespace);
    const int weight = backend.has_weight() ? backend.weight() : 1;
    if (verdict.host.empty() || weight == 0) continue;
    RouteDestination& to = destinations.emplace_back();
    to.set_weight(weight);
    SetDestination(verdict.host, backend.port(), *to.mutable_destination());
  }
  return destinations;
}

}  // namespace weft
