#include <algorithm>
#include <array>
#include <set>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/grpc_status.h"
#include "controlplane/model/subnet.h"
#include "controlplane/model/validate_rules.h"
#include "re2/re2.h"

namespace weft {
namespace {

namespace networking = istio::networking::v1alpha3;
using networking::Destination;
using networking::HTTPMatchRequest;
using networking::HTTPRoute;
using networking::StringMatch;
using networking::VirtualService;

constexpr char kMesh[] = "mesh";

// What Envoy knows for retry_on and retry_grpc_on.
constexpr std::array<absl::string_view, 16> kRetryOn = {
    "5xx",
    "cancelled",
    "connect-failure",
    "deadline-exceeded",
    "envoy-ratelimited",
    "gateway-error",
    "http3-post-connect-failure",
    "internal",
    "refused-stream",
    "reset",
    "reset-before-request",
    "resource-exhausted",
    "retriable-4xx",
    "retriable-headers",
    "retriable-status-codes",
    "unavailable",
};

// ---- Matches.

void CheckString(absl::string_view field, const StringMatch& match, Checker& check) {
  if (match.match_type_case() != StringMatch::kRegex) return;
  check.Regex(absl::StrCat(field, field.empty() ? "" : ".", "regex"), match.regex());
}

template <typename Map>
void CheckHeaderMatches(absl::string_view field, const Map& headers, Checker& check) {
  const Checker::In in(check, field);
  for (const auto& [name, match] : headers) {
    const Checker::In at(check, absl::StrCat("[", name, "]"));
    check.HeaderName("", name);
    if (match.regex() != "*") CheckString("", match, check);  // Istio's way to say "any value"
  }
}

void CheckMatch(const HTTPMatchRequest& match, Checker& check) {
  CheckString("uri", match.uri(), check);
  CheckString("scheme", match.scheme(), check);
  CheckString("method", match.method(), check);
  CheckString("authority", match.authority(), check);
  CheckHeaderMatches("headers", match.headers(), check);
  CheckHeaderMatches("withoutHeaders", match.without_headers(), check);
  for (const auto& [name, value] : match.query_params()) {
    if (name.empty()) check.Error("queryParams", "a parameter without a name");
    if (value.regex() == "*") continue;  // as above
    CheckString(absl::StrCat("queryParams[", name, "]"), value, check);
  }
  check.Port("port", match.port());
  check.SelectorLabels("sourceLabels", match.source_labels());
  if (!match.stat_prefix().empty()) {
    check.Warning("statPrefix", "has no effect: the proxy counts by cluster, not by route");
  }
}

bool MatchesAll(const HTTPMatchRequest& match) {
  const bool any_path = !match.has_uri() || match.uri().prefix() == "/";
  return any_path && !match.has_scheme() && !match.has_method() && !match.has_authority() &&
         match.headers().empty() && match.without_headers().empty() &&
         match.query_params().empty() && match.port() == 0 && match.source_labels().empty() &&
         match.gateways().empty() && match.source_namespace().empty();
}

bool MatchesAll(const HTTPRoute& route) {
  return route.match().empty() ||
         std::any_of(route.match().begin(), route.match().end(),
                     [](const HTTPMatchRequest& match) { return MatchesAll(match); });
}

// ---- Destinations.

void CheckDestination(const Destination& destination, Checker& check) {
  const Checker::In in(check, "destination");
  check.Host("host", destination.host(), /*wildcard=*/false);
  if (!destination.subset().empty()) check.Label("subset", destination.subset());
  if (destination.has_port()) check.RequiredPort("port.number", destination.port().number());
}

template <typename Routes>
void CheckWeights(const Routes& routes, Checker& check) {
  int64_t total = 0;
  for (int i = 0; i < routes.size(); ++i) {
    if (routes.Get(i).weight() < 0) {
      check.Error(absl::StrCat("route[", i, "].weight"),
                  absl::StrCat(routes.Get(i).weight(), " is negative"));
    }
    total += routes.Get(i).weight();
  }
  if (routes.size() > 1 && total == 0) {
    check.Error("route", "the weights add up to 0: nothing would get a request");
  }
}

template <typename Routes>
void CheckDestinations(const Routes& routes, Checker& check) {
  for (int i = 0; i < routes.size(); ++i) {
    const Checker::In in(check, "route", i);
    CheckDestination(routes.Get(i).destination(), check);
  }
  CheckWeights(routes, check);
}

// ---- What a route does.

bool IsAuthority(absl::string_view name) {
  return absl::EqualsIgnoreCase(name, "host") || name == ":authority";
}

// Headers that make up the message's own frame are not for a route to change, but for the authority
// of a request, which may be set.
void CheckChangedHeader(const char* field, const std::string& name, bool may_be_authority,
                        Checker& check) {
  check.HeaderName(field, name);
  if (may_be_authority && IsAuthority(name)) return;
  if (absl::StartsWith(name, ":") || IsAuthority(name) ||
      absl::EqualsIgnoreCase(name, "content-length") ||
      absl::EqualsIgnoreCase(name, "transfer-encoding")) {
    check.Error(field,
                absl::StrCat("'", name, "' cannot be changed by a route",
                             IsAuthority(name) ? "; use request.set or rewrite.authority" : ""));
  }
}

// Values may hold operators, as "%DOWNSTREAM_REMOTE_ADDRESS%": a '%' that is meant is doubled.
void CheckHeaderValue(const char* field, const std::string& name, const std::string& value,
                      Checker& check) {
  static const re2::RE2* const kFormat =
      new re2::RE2(R"(([^%\r\n\x00]|%%|%[A-Z0-9_]+(\([^%\r\n]*?\))?(:[0-9]+)?%)*)");
  if (re2::RE2::FullMatch(value, *kFormat)) return;
  check.Error(field, absl::StrCat("'", name, ": ", value,
                                  "': a '%' that opens no operator is written '%%'"));
}

void CheckOperations(const char* field, const networking::Headers::HeaderOperations& operations,
                     bool of_request, Checker& check) {
  const Checker::In in(check, field);
  for (const auto& [name, value] : operations.set()) {
    CheckChangedHeader("set", name, of_request, check);
    CheckHeaderValue("set", name, value, check);
  }
  for (const auto& [name, value] : operations.add()) {
    CheckChangedHeader("add", name, false, check);
    CheckHeaderValue("add", name, value, check);
  }
  for (const std::string& name : operations.remove()) {
    CheckChangedHeader("remove", name, false, check);
  }
}

void CheckHeaders(const networking::Headers& headers, Checker& check) {
  const Checker::In in(check, "headers");
  CheckOperations("request", headers.request(), /*of_request=*/true, check);
  CheckOperations("response", headers.response(), /*of_request=*/false, check);
}

void CheckRedirect(const networking::HTTPRedirect& redirect, Checker& check) {
  constexpr std::array kCodes = {0u, 301u, 302u, 303u, 307u, 308u};
  const Checker::In in(check, "redirect");
  const bool empty =
      redirect.uri().empty() && redirect.authority().empty() && redirect.scheme().empty() &&
      redirect.redirect_code() == 0 && redirect.prefix_rewrite().empty() &&
      redirect.redirect_port_case() == networking::HTTPRedirect::REDIRECT_PORT_NOT_SET;
  if (empty) check.Error("", "says nothing: set uri, authority, scheme, port or redirectCode");
  if (std::find(kCodes.begin(), kCodes.end(), redirect.redirect_code()) == kCodes.end()) {
    check.Error("redirectCode",
                absl::StrCat(redirect.redirect_code(), " is none of 301, 302, 303, 307 and 308"));
  }
  if (!redirect.scheme().empty() && redirect.scheme() != "http" && redirect.scheme() != "https") {
    check.Error("scheme", absl::StrCat("'", redirect.scheme(), "' is neither http nor https"));
  }
  if (!redirect.uri().empty() && !redirect.prefix_rewrite().empty()) {
    check.Error("", "only one of uri and prefixRewrite may be set");
  }
  if (redirect.redirect_port_case() == networking::HTTPRedirect::kPort) {
    check.RequiredPort("port", redirect.port());
  }
}

void CheckRewrite(const networking::HTTPRewrite& rewrite, Checker& check) {
  const Checker::In in(check, "rewrite");
  if (rewrite.uri().empty() && rewrite.authority().empty() && !rewrite.has_uri_regex_rewrite()) {
    check.Error("", "says nothing: set uri, authority or uriRegexRewrite");
  }
  if (!rewrite.has_uri_regex_rewrite()) return;
  if (!rewrite.uri().empty()) check.Error("", "only one of uri and uriRegexRewrite may be set");
  if (rewrite.uri_regex_rewrite().match().empty()) {
    check.Error("uriRegexRewrite.match", "is missing");
  }
  check.Regex("uriRegexRewrite.match", rewrite.uri_regex_rewrite().match());
  const re2::RE2 pattern(rewrite.uri_regex_rewrite().match(), re2::RE2::Quiet);
  std::string error;
  if (pattern.ok() && !pattern.CheckRewriteString(rewrite.uri_regex_rewrite().rewrite(), &error)) {
    check.Error("uriRegexRewrite.rewrite", error);
  }
}

void CheckRetryOn(absl::string_view policy, Checker& check) {
  for (absl::string_view token : absl::StrSplit(policy, ',')) {
    token = absl::StripAsciiWhitespace(token);
    int code = 0;
    const bool is_code = absl::SimpleAtoi(token, &code) && code >= 100 && code <= 599;
    const bool known =
        !token.empty() && std::find(kRetryOn.begin(), kRetryOn.end(), token) != kRetryOn.end();
    if (!known && !is_code) {
      check.Error("retryOn", absl::StrCat("'", token,
                                          "' is not a condition for a retry; "
                                          "'5xx', 'connect-failure', 'reset' or a status code is"));
    }
  }
}

void CheckRetries(const networking::HTTPRetry& retries, Checker& check) {
  const Checker::In in(check, "retries");
  check.NotNegative("attempts", retries.attempts());
  if (retries.attempts() == 0 &&
      (!retries.retry_on().empty() || !retries.per_try_timeout().empty())) {
    check.Error("attempts", "0 switches retries off, but their policy is set");
  }
  check.Duration("perTryTimeout", retries.per_try_timeout());
  check.Duration("backoff", retries.backoff());
  if (!retries.retry_on().empty()) CheckRetryOn(retries.retry_on(), check);
  if (retries.retry_remote_localities()) {
    check.Info("retryRemoteLocalities",
               "is how it always is: a retry goes to an endpoint that was not tried, of another "
               "locality once those of the nearest were");
  }
  if (retries.has_retry_ignore_previous_hosts() && !retries.retry_ignore_previous_hosts()) {
    check.Warning("retryIgnorePreviousHosts",
                  "false has no effect: a retry never goes to an endpoint that was tried as long "
                  "as another is left");
  }
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
void CheckDelay(const networking::HTTPFaultInjection::Delay& delay, Checker& check) {
  const Checker::In in(check, "delay");
  check.Range("percentage.value", delay.percentage().value(), 0, 100);
  check.Range("percent", delay.percent(), 0, 100);
  if (!delay.has_percentage() && delay.percent() == 0) {
    check.Warning("percentage", "is missing: no request is delayed");
  }
  if (!delay.exponential_delay().empty()) {
    return check.Error("exponentialDelay", "is not supported; use fixedDelay");
  }
  if (delay.fixed_delay().empty()) check.Error("fixedDelay", "is missing");
  check.Duration("fixedDelay", delay.fixed_delay());
}
#pragma clang diagnostic pop

void CheckAbort(const networking::HTTPFaultInjection::Abort& abort, Checker& check) {
  using Abort = networking::HTTPFaultInjection::Abort;
  const Checker::In in(check, "abort");
  check.Range("percentage.value", abort.percentage().value(), 0, 100);
  if (!abort.has_percentage()) check.Warning("percentage", "is missing: no request is aborted");
  switch (abort.error_type_case()) {
    case Abort::kHttpStatus:
      check.Range("httpStatus", abort.http_status(), 200, 599);
      break;
    case Abort::kGrpcStatus:
      if (!GrpcStatusNamed(abort.grpc_status()).has_value()) {
        check.Error("grpcStatus", absl::StrCat("'", abort.grpc_status(),
                                               "' is no status of gRPC; 'UNAVAILABLE' or 14 is"));
      }
      break;
    case Abort::kHttp2Error:
      check.Error("http2Error", "is not supported; use httpStatus or grpcStatus");
      break;
    case Abort::ERROR_TYPE_NOT_SET:
      check.Error("", "httpStatus or grpcStatus is needed");
      break;
  }
}

void CheckFault(const networking::HTTPFaultInjection& fault, Checker& check) {
  const Checker::In in(check, "fault");
  if (!fault.has_delay() && !fault.has_abort()) check.Error("", "set delay or abort");
  if (fault.has_delay()) CheckDelay(fault.delay(), check);
  if (fault.has_abort()) CheckAbort(fault.abort(), check);
}

void CheckCors(const networking::CorsPolicy& cors, Checker& check) {
  const Checker::In in(check, "corsPolicy");
  check.Duration("maxAge", cors.max_age());
  for (int i = 0; i < cors.allow_origins_size(); ++i) {
    const std::string field = absl::StrCat("allowOrigins[", i, "]");
    if (cors.allow_origins(i).match_type_case() == StringMatch::MATCH_TYPE_NOT_SET) {
      check.Error(field, "needs one of exact, prefix and regex");
    }
    CheckString(field, cors.allow_origins(i), check);
  }
  for (const std::string& name : cors.allow_headers()) {
    if (name != "*") check.HeaderName("allowHeaders", name);
  }
  for (const std::string& name : cors.expose_headers()) {
    if (name != "*") check.HeaderName("exposeHeaders", name);
  }
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
uint32_t MirrorPercentOf(const HTTPRoute& route) { return route.mirror_percent(); }
#pragma clang diagnostic pop

void CheckMirrors(const HTTPRoute& route, Checker& check) {
  if (route.has_mirror() && !route.mirrors().empty()) {
    check.Error("mirror", "only one of mirror and mirrors may be set");
  }
  if (route.has_mirror()) check.Host("mirror.host", route.mirror().host(), /*wildcard=*/false);
  check.Range("mirrorPercentage.value", route.mirror_percentage().value(), 0, 100);
  check.Range("mirrorPercent", MirrorPercentOf(route), 0, 100);
  for (int i = 0; i < route.mirrors_size(); ++i) {
    const Checker::In in(check, "mirrors", i);
    CheckDestination(route.mirrors(i).destination(), check);
    check.Range("percentage.value", route.mirrors(i).percentage().value(), 0, 100);
  }
}

void CheckDirectResponse(const networking::HTTPDirectResponse& response, Checker& check) {
  constexpr size_t kMaxBody = 1 << 20;  // Istio's bound
  const Checker::In in(check, "directResponse");
  // Below 200 are interim responses, which are no answer.
  check.Range("status", response.status(), 200, 599);
  if (response.body().string().size() > kMaxBody || response.body().bytes().size() > kMaxBody) {
    check.Error("body", "is larger than 1 MiB");
  }
}

// A route has one action; what goes with it depends on which.
void CheckCombination(const HTTPRoute& route, Checker& check) {
  const auto refuse = [&](bool both, const char* one, const char* other) {
    if (both) check.Error("", absl::StrCat("cannot have both ", one, " and ", other));
  };
  const bool routes = !route.route().empty();
  refuse(route.has_redirect() && routes, "redirect", "route");
  refuse(route.has_redirect() && route.has_rewrite(), "redirect", "rewrite");
  refuse(route.has_redirect() && route.has_fault(), "redirect", "fault");
  refuse(route.has_redirect() && route.has_direct_response(), "redirect", "directResponse");
  refuse(route.has_direct_response() && routes, "directResponse", "route");
  refuse(route.has_direct_response() && route.has_rewrite(), "directResponse", "rewrite");
  refuse(route.has_direct_response() && route.has_fault(), "directResponse", "fault");
  refuse(route.has_delegate() && routes, "delegate", "route");
  refuse(route.has_delegate() && route.has_redirect(), "delegate", "redirect");
  refuse(route.has_delegate() && route.has_direct_response(), "delegate", "directResponse");
  if (!routes && !route.has_redirect() && !route.has_direct_response() && !route.has_delegate()) {
    check.Error("", "does nothing: set route, redirect or directResponse");
  }
}

void CheckHttpRoute(const HTTPRoute& route, Checker& check) {
  for (int i = 0; i < route.match_size(); ++i) {
    const Checker::In in(check, "match", i);
    CheckMatch(route.match(i), check);
  }
  CheckCombination(route, check);
  CheckDestinations(route.route(), check);
  for (int i = 0; i < route.route_size(); ++i) {
    const Checker::In in(check, "route", i);
    CheckHeaders(route.route(i).headers(), check);
  }
  CheckHeaders(route.headers(), check);
  if (route.has_redirect()) CheckRedirect(route.redirect(), check);
  if (route.has_rewrite()) CheckRewrite(route.rewrite(), check);
  if (route.has_direct_response()) CheckDirectResponse(route.direct_response(), check);
  check.Duration("timeout", route.timeout());
  if (route.has_retries()) CheckRetries(route.retries(), check);
  if (route.has_delegate() && route.delegate().name().empty()) {
    check.Error("delegate.name", "is missing");
  }
  if (route.has_fault()) CheckFault(route.fault(), check);
  CheckMirrors(route, check);
  if (route.has_cors_policy()) CheckCors(route.cors_policy(), check);
}

void CheckHttp(const VirtualService& spec, Checker& check) {
  int catch_all = -1;
  for (int i = 0; i < spec.http_size(); ++i) {
    const Checker::In in(check, "http", i);
    if (catch_all >= 0) {
      check.Warning("", absl::StrCat("is never reached: http[", catch_all,
                                     "] before it matches every request"));
    }
    CheckHttpRoute(spec.http(i), check);
    if (catch_all < 0 && MatchesAll(spec.http(i))) catch_all = i;
  }
}

// ---- TCP and TLS.

// What the two kinds of match have in common.
template <typename Match>
void CheckConnectionMatch(const Match& match, Checker& check) {
  check.Port("port", match.port());
  check.SelectorLabels("sourceLabels", match.source_labels());
  for (int i = 0; i < match.destination_subnets_size(); ++i) {
    if (ParseSubnet(match.destination_subnets(i)).has_value()) continue;
    check.Error(absl::StrCat("destinationSubnets[", i, "]"),
                absl::StrCat("'", match.destination_subnets(i),
                             "' is neither an IP address nor a range as '10.0.0.0/8'"));
  }
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
void CheckSourceSubnet(const networking::L4MatchAttributes& match, Checker& check) {
  if (match.source_subnet().empty()) return;
  check.Error("sourceSubnet", "is not supported; use sourceLabels or sourceNamespace");
}
#pragma clang diagnostic pop

void CheckTcp(const VirtualService& spec, Checker& check) {
  for (int i = 0; i < spec.tcp_size(); ++i) {
    const Checker::In in(check, "tcp", i);
    if (spec.tcp(i).route().empty()) check.Error("route", "is missing");
    for (int k = 0; k < spec.tcp(i).match_size(); ++k) {
      const Checker::In at(check, "match", k);
      CheckConnectionMatch(spec.tcp(i).match(k), check);
      CheckSourceSubnet(spec.tcp(i).match(k), check);
    }
    CheckDestinations(spec.tcp(i).route(), check);
  }
}

// Whether every name that fits `name` is one of the hosts.
bool IsOneOf(absl::string_view name, const VirtualService& spec) {
  return std::any_of(spec.hosts().begin(), spec.hosts().end(), [&](absl::string_view host) {
    return host == name || (absl::StartsWith(host, "*") && absl::EndsWith(name, host.substr(1)));
  });
}

void CheckServerNames(const VirtualService& spec, const networking::TLSMatchAttributes& match,
                      Checker& check) {
  if (match.sni_hosts().empty()) check.Error("sniHosts", "is missing");
  for (int i = 0; i < match.sni_hosts_size(); ++i) {
    const std::string& name = match.sni_hosts(i);
    const std::string field = absl::StrCat("sniHosts[", i, "]");
    check.Host(field, name, /*wildcard=*/true);
    if (!IsOneOf(name, spec)) {
      check.Error(field, absl::StrCat("'", name, "' is none of the hosts of the VirtualService"));
    }
  }
}

void CheckTls(const VirtualService& spec, Checker& check) {
  for (int i = 0; i < spec.tls_size(); ++i) {
    const Checker::In in(check, "tls", i);
    if (spec.tls(i).match().empty()) check.Error("match", "is missing");
    if (spec.tls(i).route().empty()) check.Error("route", "is missing");
    for (int k = 0; k < spec.tls(i).match_size(); ++k) {
      const Checker::In at(check, "match", k);
      CheckConnectionMatch(spec.tls(i).match(k), check);
      CheckServerNames(spec, spec.tls(i).match(k), check);
    }
    CheckDestinations(spec.tls(i).route(), check);
  }
}

// ---- Hosts and gateways.

bool BoundToMesh(const VirtualService& spec) {
  return spec.gateways().empty() ||
         std::find(spec.gateways().begin(), spec.gateways().end(), kMesh) != spec.gateways().end();
}

void CheckHosts(const VirtualService& spec, Checker& check) {
  std::set<std::string> seen;
  for (int i = 0; i < spec.hosts_size(); ++i) {
    const std::string& host = spec.hosts(i);
    const std::string field = absl::StrCat("hosts[", i, "]");
    check.Host(field, host, /*wildcard=*/true);
    if (host == "*" && BoundToMesh(spec)) {
      check.Error(field, "'*' is for gateways only; name a gateway or a host");
    }
    if (!seen.insert(host).second) check.Error(field, absl::StrCat("'", host, "' is there twice"));
  }
  for (int i = 0; i < spec.gateways_size(); ++i) {
    if (spec.gateways(i).empty()) check.Error(absl::StrCat("gateways[", i, "]"), "is empty");
  }
}

// Without hosts it is one that others delegate to: HTTP routes, and nothing that is the root's.
void CheckDelegate(const VirtualService& spec, Checker& check) {
  if (spec.http().empty()) {
    return check.Error("hosts", "is missing; only what others delegate to, by http, has none");
  }
  if (!spec.gateways().empty())
    check.Error("gateways", "a delegate is bound by its root: remove it");
  if (!spec.tcp().empty()) check.Error("tcp", "a delegate has http routes only");
  if (!spec.tls().empty()) check.Error("tls", "a delegate has http routes only");
  for (int i = 0; i < spec.http_size(); ++i) {
    if (!spec.http(i).has_delegate()) continue;
    check.Error(absl::StrCat("http[", i, "].delegate"),
                "a delegate cannot delegate: one level is all there is");
  }
}

}  // namespace

void CheckVirtualService(const VirtualService& spec, Checker& check) {
  const bool routes = !spec.http().empty() || !spec.tcp().empty() || !spec.tls().empty();
  CheckHosts(spec, check);
  if (spec.hosts().empty()) CheckDelegate(spec, check);
  if (!routes) check.Error("", "has no route: set http, tcp or tls");
  CheckHttp(spec, check);
  CheckTcp(spec, check);
  CheckTls(spec, check);
  check.ExportTo(spec.export_to());
}

}  // namespace weft
