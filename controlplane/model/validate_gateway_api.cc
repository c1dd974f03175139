// Rules of the kinds of gateway.networking.k8s.io: what their CustomResourceDefinitions check, for
// files, where nobody else does. What the API tells by conditions in the status (a class of another
// controller, a backend that is not there) is not an error here.
#include <algorithm>
#include <array>
#include <initializer_list>
#include <set>
#include <string>
#include <tuple>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "api/kubernetes/gateway.pb.h"
#include "controlplane/model/validate_rules.h"

namespace weft {
namespace {

using Texts = std::initializer_list<absl::string_view>;
constexpr int kMaxWeight = 1000000;

// Empty is an absent field.
void CheckOneOf(absl::string_view field, absl::string_view value, Texts values, Checker& check) {
  if (value.empty() || std::find(values.begin(), values.end(), value) != values.end()) return;
  check.Error(field, absl::StrCat("'", value, "' is none of ", absl::StrJoin(values, ", ")));
}

// ---- Gateway.

void CheckRouteNamespaces(const kubernetes::RouteNamespaces& namespaces, Checker& check) {
  const Checker::In in(check, "namespaces");
  CheckOneOf("from", namespaces.from(), {"Same", "All", "Selector", "None"}, check);
  if (namespaces.from() == "Selector" && !namespaces.has_selector()) {
    check.Error("selector", "is missing for 'from: Selector'");
  }
  const auto& expressions = namespaces.selector().match_expressions();
  for (int i = 0; i < expressions.size(); ++i) {
    const Checker::In at(check, "selector.matchExpressions", i);
    if (expressions[i].key().empty()) check.Error("key", "is missing");
    const std::string& op = expressions[i].operator_();
    if (op.empty()) check.Error("operator", "is missing");
    CheckOneOf("operator", op, {"In", "NotIn", "Exists", "DoesNotExist"}, check);
    const bool lists = op == "In" || op == "NotIn";
    if (lists && expressions[i].values().empty()) {
      check.Error("values", absl::StrCat("is missing for ", op));
    }
  }
}

void CheckListenerTls(const kubernetes::GatewayListener& listener, Checker& check) {
  const bool secure = listener.protocol() == "HTTPS" || listener.protocol() == "TLS";
  if (!listener.has_tls()) {
    if (secure) check.Error("tls", absl::StrCat("is missing for protocol ", listener.protocol()));
    return;
  }
  if (!secure) return check.Error("tls", "is for the protocols HTTPS and TLS only");
  const Checker::In in(check, "tls");
  const kubernetes::ListenerTls& tls = listener.tls();
  CheckOneOf("mode", tls.mode(), {"Terminate", "Passthrough"}, check);
  const bool passes = tls.mode() == "Passthrough";
  if (passes && listener.protocol() == "HTTPS") {
    check.Error("mode", "HTTPS is terminated here; Passthrough is of the protocol TLS");
  }
  if (passes && !tls.certificate_refs().empty()) {
    check.Error("certificateRefs", "has no effect with Passthrough");
  }
  if (!passes && tls.certificate_refs().empty()) check.Error("certificateRefs", "is missing");
  for (int i = 0; i < tls.certificate_refs_size(); ++i) {
    const Checker::In at(check, "certificateRefs", i);
    if (tls.certificate_refs(i).name().empty()) check.Error("name", "is missing");
  }
  CheckOneOf("frontendValidation.mode", tls.frontend_validation().mode(),
             {"AllowValidOnly", "AllowInsecureFallback"}, check);
}

void CheckListener(const kubernetes::GatewayListener& listener, Checker& check) {
  if (listener.name().empty()) {
    check.Error("name", "is missing");
  } else {
    check.Label("name", listener.name());
  }
  check.RequiredPort("port", listener.port());
  if (listener.protocol().empty()) check.Error("protocol", "is missing");
  if (!listener.hostname().empty()) {
    check.Host("hostname", listener.hostname(), /*wildcard=*/true);
    if (IsIp(listener.hostname())) check.Error("hostname", "must not be an IP address");
  }
  CheckListenerTls(listener, check);
  const Checker::In in(check, "allowedRoutes");
  CheckRouteNamespaces(listener.allowed_routes().namespaces(), check);
  for (int i = 0; i < listener.allowed_routes().kinds_size(); ++i) {
    const Checker::In at(check, "kinds", i);
    if (listener.allowed_routes().kinds(i).kind().empty()) check.Error("kind", "is missing");
  }
}

// ---- What routes have in common.

template <typename Spec>
void CheckParents(const Spec& spec, Checker& check) {
  for (int i = 0; i < spec.parent_refs_size(); ++i) {
    const Checker::In at(check, "parentRefs", i);
    if (spec.parent_refs(i).name().empty()) check.Error("name", "is missing");
    if (spec.parent_refs(i).has_port()) check.RequiredPort("port", spec.parent_refs(i).port());
  }
}

template <typename Spec>
void CheckHostnames(const Spec& spec, Checker& check) {
  for (int i = 0; i < spec.hostnames_size(); ++i) {
    const std::string field = absl::StrCat("hostnames[", i, "]");
    check.Host(field, spec.hostnames(i), /*wildcard=*/true);
    if (spec.hostnames(i) == "*") check.Error(field, "leave hostnames out for any host");
    if (IsIp(spec.hostnames(i))) check.Error(field, "must not be an IP address");
  }
}

// A RouteBackend or a BackendReference. Other kinds than Service have no port.
template <typename Backend>
void CheckBackend(const Backend& backend, Checker& check) {
  if (backend.name().empty()) check.Error("name", "is missing");
  const bool service =
      backend.group().empty() && (backend.kind().empty() || backend.kind() == "Service");
  if (backend.has_port()) {
    check.RequiredPort("port", backend.port());
  } else if (service) {
    check.Error("port", "is missing");
  }
}

// Filters of one type stand at one place once, and each has the settings of its type and no others.
class Filters {
 public:
  Filters(Checker& check, bool http) : check_(check), http_(http) {}

  template <typename List>
  void Check(const List& filters) {
    for (int i = 0; i < filters.size(); ++i) {
      const Checker::In at(check_, "filters", i);
      CheckOne(filters.Get(i));
    }
    if (types_.contains("RequestRedirect") && types_.contains("URLRewrite")) {
      check_.Error("filters", "RequestRedirect and URLRewrite exclude each other");
    }
  }

  bool redirects() const { return types_.contains("RequestRedirect"); }
  bool replaces_prefix() const { return replaces_prefix_; }

 private:
  void CheckOne(const kubernetes::RouteFilter& filter) {
    const std::string& type = filter.type();
    if (type.empty()) return check_.Error("type", "is missing");
    if (http_) {
      CheckOneOf("type", type,
                 {"RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror",
                  "RequestRedirect", "URLRewrite", "ExtensionRef"},
                 check_);
    } else {
      CheckOneOf(
          "type", type,
          {"RequestHeaderModifier", "ResponseHeaderModifier", "RequestMirror", "ExtensionRef"},
          check_);
    }
    if (type == "ExtensionRef") {
      check_.Error("extensionRef", "no kind of extension is known; remove the filter");
    }
    if (!types_.insert(type).second && type != "RequestMirror") {
      check_.Error("type", absl::StrCat(type, " is there twice"));
    }
    CheckPart(filter.has_request_header_modifier(), "requestHeaderModifier",
              "RequestHeaderModifier", type);
    CheckPart(filter.has_response_header_modifier(), "responseHeaderModifier",
              "ResponseHeaderModifier", type);
    CheckPart(filter.has_request_mirror(), "requestMirror", "RequestMirror", type);
    CheckPart(filter.has_request_redirect(), "requestRedirect", "RequestRedirect", type);
    CheckPart(filter.has_url_rewrite(), "urlRewrite", "URLRewrite", type);
    CheckHeaders("requestHeaderModifier", filter.request_header_modifier());
    CheckHeaders("responseHeaderModifier", filter.response_header_modifier());
    if (filter.has_request_mirror()) CheckMirror(filter.request_mirror());
    if (filter.has_request_redirect()) CheckRedirect(filter.request_redirect());
    if (filter.has_url_rewrite()) CheckRewrite(filter.url_rewrite());
  }

  void CheckPart(bool there, absl::string_view field, absl::string_view type,
                 absl::string_view stated) {
    if (there && stated != type) {
      check_.Error(field, absl::StrCat("is for filters of the type ", type));
    } else if (!there && stated == type) {
      check_.Error(field, "is missing");
    }
  }

  void CheckHeaders(absl::string_view field, const kubernetes::HttpHeaderFilter& headers) {
    const Checker::In in(check_, field);
    std::set<std::string> names;
    const auto check_all = [&](absl::string_view list, const auto& values) {
      for (int i = 0; i < values.size(); ++i) {
        const Checker::In at(check_, list, i);
        check_.HeaderName("name", values.Get(i).name());
      }
    };
    check_all("set", headers.set());
    check_all("add", headers.add());
    for (int i = 0; i < headers.remove_size(); ++i) {
      check_.HeaderName(absl::StrCat("remove[", i, "]"), headers.remove(i));
    }
  }

  void CheckMirror(const kubernetes::HttpRequestMirror& mirror) {
    const Checker::In in(check_, "requestMirror");
    {
      const Checker::In at(check_, "backendRef");
      CheckBackend(mirror.backend_ref(), check_);
    }
    if (mirror.has_percent() && mirror.has_fraction()) {
      check_.Error("fraction", "cannot be used together with 'percent'");
    }
    if (mirror.has_percent()) check_.Range("percent", mirror.percent(), 0, 100);
    if (!mirror.has_fraction()) return;
    const int whole = mirror.fraction().has_denominator() ? mirror.fraction().denominator() : 100;
    if (whole < 1) return check_.Error("fraction.denominator", "must be above 0");
    check_.Range("fraction.numerator", mirror.fraction().numerator(), 0, whole);
  }

  void CheckPath(const kubernetes::HttpPathModifier& path) {
    const Checker::In in(check_, "path");
    if (path.type().empty()) check_.Error("type", "is missing");
    CheckOneOf("type", path.type(), {"ReplaceFullPath", "ReplacePrefixMatch"}, check_);
    const bool full = path.type() == "ReplaceFullPath";
    if (full != path.has_replace_full_path()) {
      check_.Error("replaceFullPath", full ? "is missing" : "is for ReplaceFullPath only");
    }
    if (full == path.has_replace_prefix_match()) {
      check_.Error("replacePrefixMatch", full ? "is for ReplacePrefixMatch only" : "is missing");
    }
    replaces_prefix_ |= !full;
  }

  void CheckRedirect(const kubernetes::HttpRequestRedirect& redirect) {
    const Checker::In in(check_, "requestRedirect");
    CheckOneOf("scheme", redirect.scheme(), {"http", "https"}, check_);
    if (!redirect.hostname().empty()) check_.Host("hostname", redirect.hostname(), false);
    if (redirect.has_port()) check_.RequiredPort("port", redirect.port());
    constexpr std::array kCodes = {0, 301, 302, 303, 307, 308};
    if (std::find(kCodes.begin(), kCodes.end(), redirect.status_code()) == kCodes.end()) {
      check_.Error("statusCode",
                   absl::StrCat(redirect.status_code(), " is none of 301, 302, 303, 307, 308"));
    }
    if (redirect.has_path()) CheckPath(redirect.path());
  }

  void CheckRewrite(const kubernetes::HttpUrlRewrite& rewrite) {
    const Checker::In in(check_, "urlRewrite");
    if (!rewrite.hostname().empty()) check_.Host("hostname", rewrite.hostname(), false);
    if (rewrite.has_path()) CheckPath(rewrite.path());
  }

  Checker& check_;
  const bool http_;
  std::set<std::string> types_;
  bool replaces_prefix_ = false;
};

template <typename Backends>
void CheckBackends(const Backends& backends, bool http, bool filters_known, Checker& check) {
  for (int i = 0; i < backends.size(); ++i) {
    const Checker::In at(check, "backendRefs", i);
    CheckBackend(backends.Get(i), check);
    if (backends.Get(i).has_weight()) {
      check.Range("weight", backends.Get(i).weight(), 0, kMaxWeight);
    }
    if (!filters_known && !backends.Get(i).filters().empty()) {
      check.Error("filters", "connections are not filtered");
      continue;
    }
    Filters filters(check, http);
    filters.Check(backends.Get(i).filters());
    for (int k = 0; k < backends.Get(i).filters_size(); ++k) {
      const std::string& type = backends.Get(i).filters(k).type();
      if (type == "RequestHeaderModifier" || type == "ResponseHeaderModifier") continue;
      check.Error(absl::StrCat("filters[", k, "].type"),
                  absl::StrCat("of a single backend, only RequestHeaderModifier and "
                               "ResponseHeaderModifier are acted on, not ",
                               type));
    }
  }
}

// ---- Matches.

void CheckValueMatch(const kubernetes::HttpValueMatch& match, bool header, Checker& check) {
  CheckOneOf("type", match.type(), {"Exact", "RegularExpression"}, check);
  if (header) {
    check.HeaderName("name", match.name());
  } else if (match.name().empty()) {
    check.Error("name", "is missing");
  }
  if (match.value().empty()) check.Error("value", "is missing");
  if (match.type() == "RegularExpression") check.Regex("value", match.value());
}

template <typename Matches>
void CheckValueMatches(absl::string_view list, const Matches& matches, bool header,
                       Checker& check) {
  for (int i = 0; i < matches.size(); ++i) {
    const Checker::In at(check, list, i);
    CheckValueMatch(matches.Get(i), header, check);
  }
}

void CheckPathMatch(const kubernetes::HttpPathMatch& path, Checker& check) {
  const Checker::In in(check, "path");
  CheckOneOf("type", path.type(), {"PathPrefix", "Exact", "RegularExpression"}, check);
  if (!path.has_value()) return;
  if (path.type() == "RegularExpression") return check.Regex("value", path.value());
  if (!absl::StartsWith(path.value(), "/")) {
    return check.Error("value", absl::StrCat("'", path.value(), "' does not start with '/'"));
  }
  for (absl::string_view part : {"//", "/./", "/../", "%2f", "%2F", "#"}) {
    if (!absl::StrContains(path.value(), part)) continue;
    check.Error("value", absl::StrCat("'", part, "' is in no path that is matched"));
  }
  if (absl::EndsWith(path.value(), "/.") || absl::EndsWith(path.value(), "/..")) {
    check.Error("value", "ends in '/.' or '/..', as no path does that is matched");
  }
}

void CheckHttpMatch(const kubernetes::HttpRouteMatch& match, Checker& check) {
  CheckPathMatch(match.path(), check);
  CheckValueMatches("headers", match.headers(), /*header=*/true, check);
  CheckValueMatches("queryParams", match.query_params(), /*header=*/false, check);
  CheckOneOf("method", match.method(),
             {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"},
             check);
}

void CheckTimeouts(const kubernetes::HttpRouteTimeouts& timeouts, Checker& check) {
  const Checker::In in(check, "timeouts");
  check.Duration("request", timeouts.request());
  check.Duration("backendRequest", timeouts.backend_request());
  absl::Duration request;
  absl::Duration backend;
  if (!absl::ParseDuration(timeouts.request(), &request) ||
      !absl::ParseDuration(timeouts.backend_request(), &backend)) {
    return;
  }
  if (request > absl::ZeroDuration() && backend > request) {
    check.Error("backendRequest", "is longer than 'request'");
  }
}

void CheckRetry(const kubernetes::HttpRouteRetry& retry, Checker& check) {
  const Checker::In in(check, "retry");
  for (int i = 0; i < retry.codes_size(); ++i) {
    check.Range(absl::StrCat("codes[", i, "]"), retry.codes(i), 400, 599);
  }
  check.NotNegative("attempts", retry.attempts());
  check.Duration("backoff", retry.backoff());
}

bool OnlyMatchIsPrefix(const kubernetes::HttpRouteRule& rule) {
  if (rule.matches().empty()) return true;
  return std::all_of(rule.matches().begin(), rule.matches().end(), [](const auto& match) {
    return match.path().type().empty() || match.path().type() == "PathPrefix";
  });
}

void CheckHttpRule(const kubernetes::HttpRouteRule& rule, Checker& check) {
  for (int i = 0; i < rule.matches_size(); ++i) {
    const Checker::In at(check, "matches", i);
    CheckHttpMatch(rule.matches(i), check);
  }
  Filters filters(check, /*http=*/true);
  filters.Check(rule.filters());
  if (filters.redirects() && !rule.backend_refs().empty()) {
    check.Error("backendRefs", "has no effect beside RequestRedirect");
  }
  if (filters.replaces_prefix() && !OnlyMatchIsPrefix(rule)) {
    check.Error("filters", "ReplacePrefixMatch needs matches of the type PathPrefix");
  }
  CheckBackends(rule.backend_refs(), /*http=*/true, /*filters_known=*/true, check);
  if (rule.has_timeouts()) CheckTimeouts(rule.timeouts(), check);
  if (rule.has_retry()) CheckRetry(rule.retry(), check);
}

void CheckGrpcRule(const kubernetes::GrpcRouteRule& rule, Checker& check) {
  for (int i = 0; i < rule.matches_size(); ++i) {
    const Checker::In at(check, "matches", i);
    const kubernetes::GrpcRouteMatch& match = rule.matches(i);
    CheckOneOf("method.type", match.method().type(), {"Exact", "RegularExpression"}, check);
    const bool regex = match.method().type() == "RegularExpression";
    const auto check_name = [&](const char* field, const std::string& name) {
      if (regex) check.Regex(field, name);
      if (!regex && absl::StrContains(name, "/")) check.Error(field, "must not have a '/'");
    };
    check_name("method.service", match.method().service());
    check_name("method.method", match.method().method());
    if (match.has_method() && match.method().service().empty() && match.method().method().empty()) {
      check.Error("method", "needs 'service' or 'method'");
    }
    CheckValueMatches("headers", match.headers(), /*header=*/true, check);
  }
  Filters(check, /*http=*/false).Check(rule.filters());
  CheckBackends(rule.backend_refs(), /*http=*/false, /*filters_known=*/true, check);
}

template <typename Spec>
void CheckL4Rules(const Spec& spec, Checker& check) {
  if (spec.rules().empty()) check.Error("rules", "is missing");
  for (int i = 0; i < spec.rules_size(); ++i) {
    const Checker::In at(check, "rules", i);
    if (spec.rules(i).backend_refs().empty()) check.Error("backendRefs", "is missing");
    CheckBackends(spec.rules(i).backend_refs(), false, /*filters_known=*/false, check);
  }
}

}  // namespace

void CheckGatewayClass(const kubernetes::GatewayClassSpec& spec, Checker& check) {
  if (spec.controller_name().empty()) check.Error("controllerName", "is missing");
}

void CheckKubernetesGateway(const kubernetes::GatewaySpec& spec, Checker& check) {
  if (spec.gateway_class_name().empty()) check.Error("gatewayClassName", "is missing");
  if (spec.listeners().empty()) check.Error("listeners", "is missing");
  std::set<std::string> names;
  for (int i = 0; i < spec.listeners_size(); ++i) {
    const Checker::In at(check, "listeners", i);
    CheckListener(spec.listeners(i), check);
    if (!names.insert(spec.listeners(i).name()).second) {
      check.Error("name", absl::StrCat("'", spec.listeners(i).name(), "' is there twice"));
    }
  }
  for (int i = 0; i < spec.addresses_size(); ++i) {
    const Checker::In at(check, "addresses", i);
    CheckOneOf("type", spec.addresses(i).type(), {"IPAddress", "Hostname"}, check);
    if (spec.addresses(i).value().empty()) check.Error("value", "is missing");
  }
}

void CheckHttpRoute(const kubernetes::HttpRouteSpec& spec, Checker& check) {
  CheckParents(spec, check);
  CheckHostnames(spec, check);
  for (int i = 0; i < spec.rules_size(); ++i) {
    const Checker::In at(check, "rules", i);
    CheckHttpRule(spec.rules(i), check);
  }
}

void CheckGrpcRoute(const kubernetes::GrpcRouteSpec& spec, Checker& check) {
  CheckParents(spec, check);
  CheckHostnames(spec, check);
  for (int i = 0; i < spec.rules_size(); ++i) {
    const Checker::In at(check, "rules", i);
    CheckGrpcRule(spec.rules(i), check);
  }
}

void CheckTlsRoute(const kubernetes::TlsRouteSpec& spec, Checker& check) {
  CheckParents(spec, check);
  CheckHostnames(spec, check);
  CheckL4Rules(spec, check);
}

void CheckTcpRoute(const kubernetes::TcpRouteSpec& spec, Checker& check) {
  CheckParents(spec, check);
  CheckL4Rules(spec, check);
}

void CheckReferenceGrant(const kubernetes::ReferenceGrantSpec& spec, Checker& check) {
  if (spec.from().empty()) check.Error("from", "is missing");
  if (spec.to().empty()) check.Error("to", "is missing");
  for (int i = 0; i < spec.from_size(); ++i) {
    const Checker::In at(check, "from", i);
    if (spec.from(i).kind().empty()) check.Error("kind", "is missing");
    if (spec.from(i).namespace_().empty()) check.Error("namespace", "is missing");
  }
  for (int i = 0; i < spec.to_size(); ++i) {
    const Checker::In at(check, "to", i);
    if (spec.to(i).kind().empty()) check.Error("kind", "is missing");
  }
}

}  // namespace weft
