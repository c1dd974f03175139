#include "proxy/config/compile_route.h"

#include <re2/re2.h>
#include <stdlib.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/config/compile_http_filters.h"
#include "proxy/config/compile_matchers.h"

namespace weft {
namespace {

namespace route = envoy::config::route::v3;
namespace core = envoy::config::core::v3;

absl::Status CompilePath(const route::RouteMatch& from, RouteMatch& to) {
  switch (from.path_specifier_case()) {
    case route::RouteMatch::kPrefix:
      to.path_kind = RouteMatch::PathKind::kPrefix;
      to.path = from.prefix();
      return absl::OkStatus();
    case route::RouteMatch::kPath:
      to.path_kind = RouteMatch::PathKind::kExact;
      to.path = from.path();
      return absl::OkStatus();
    case route::RouteMatch::kPathSeparatedPrefix:
      to.path_kind = RouteMatch::PathKind::kSeparatedPrefix;
      to.path = from.path_separated_prefix();
      if (!absl::StartsWith(to.path, "/") || absl::EndsWith(to.path, "/")) {
        return Invalid("path_separated_prefix", "must start with '/' and not end with it");
      }
      return absl::OkStatus();
    case route::RouteMatch::kSafeRegex: {
      to.path_kind = RouteMatch::PathKind::kRegex;
      to.path = from.safe_regex().regex();
      absl::StatusOr<std::shared_ptr<const re2::RE2>> pattern = CompileRegex(to.path);
      if (!pattern.ok()) return Under("safe_regex", pattern.status());
      to.pattern = *std::move(pattern);
      return absl::OkStatus();
    }
    case route::RouteMatch::kConnectMatcher:
      to.path_kind = RouteMatch::PathKind::kConnect;
      return absl::OkStatus();
    case route::RouteMatch::kPathMatchPolicy:
      return Invalid("path_match_policy", "is not supported by this proxy");
    case route::RouteMatch::PATH_SPECIFIER_NOT_SET:
      return Invalid("", "needs one of prefix, path, path_separated_prefix, safe_regex");
  }
  return absl::OkStatus();
}

uint32_t RedirectStatus(route::RedirectAction::RedirectResponseCode code) {
  switch (code) {
    case route::RedirectAction::FOUND:
      return 302;
    case route::RedirectAction::SEE_OTHER:
      return 303;
    case route::RedirectAction::TEMPORARY_REDIRECT:
      return 307;
    case route::RedirectAction::PERMANENT_REDIRECT:
      return 308;
    default:
      return 301;
  }
}

absl::StatusOr<RedirectAction> CompileRedirect(const route::RedirectAction& from) {
  RedirectAction to;
  to.scheme = from.https_redirect() ? "https" : from.scheme_redirect();
  to.host = from.host_redirect();
  to.port = from.port_redirect();
  if (to.port > 65535) return Invalid("port_redirect", "must be at most 65535");
  to.path = from.path_redirect();
  to.prefix_rewrite = from.prefix_rewrite();
  if (from.has_regex_rewrite()) {
    absl::StatusOr<RegexRewrite> rewrite = CompileRegexRewrite(from.regex_rewrite());
    if (!rewrite.ok()) return Under("regex_rewrite", rewrite.status());
    to.regex_rewrite = *std::move(rewrite);
  }
  to.status = RedirectStatus(from.response_code());
  to.strip_query = from.strip_query();
  return to;
}

absl::StatusOr<DirectResponse> CompileDirectResponse(const route::DirectResponseAction& from,
                                                     const Secrets& secrets) {
  DirectResponse to;
  to.status = from.status();
  if (to.status < 200 || to.status > 599) return Invalid("status", "must be 200 to 599");
  if (from.body().specifier_case() == core::DataSource::SPECIFIER_NOT_SET) return to;
  absl::StatusOr<std::string> body = CompileDataSource(from.body(), secrets);
  if (!body.ok()) return Under("body", body.status());
  to.body = *std::move(body);
  return to;
}

template <typename To, typename StatusOrAction>
absl::Status SetAction(absl::string_view field, StatusOrAction action, To& to) {
  if (!action.ok()) return Under(field, action.status());
  to = *std::move(action);
  return absl::OkStatus();
}

absl::Status CompileAction(const route::Route& from, const Secrets& secrets, Route& to) {
  switch (from.action_case()) {
    case route::Route::kRoute:
      return SetAction("route", CompileForwardAction(from.route(), secrets), to.action);
    case route::Route::kRedirect:
      return SetAction("redirect", CompileRedirect(from.redirect()), to.action);
    case route::Route::kDirectResponse:
      return SetAction("direct_response", CompileDirectResponse(from.direct_response(), secrets),
                       to.action);
    case route::Route::kNonForwardingAction:
      return Invalid("non_forwarding_action", "is not supported by this proxy");
    case route::Route::ACTION_NOT_SET:
      return Invalid("", "needs one of route, redirect, direct_response");
  }
  return absl::OkStatus();
}

// A value with command operators is evaluated for each message, any other is taken as it stands.
absl::Status CompileValue(absl::string_view value, HeaderToAdd& to) {
  if (value.find_first_of(absl::string_view("\r\n\0", 3)) != absl::string_view::npos) {
    return Invalid("value", "must not hold CR, LF or NUL");
  }
  absl::StatusOr<FormatString> format = ParseFormat(value);
  if (!format.ok()) return Under("value", format.status());
  const bool fixed = format->empty() || format->literal() != nullptr;
  if (!fixed) {
    to.format = *std::move(format);
  } else if (!format->empty()) {
    to.value = *format->literal();
  }
  return absl::OkStatus();
}

bool IsToken(absl::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || absl::StrContains("!#$%&'*+-.^_`|~", static_cast<char>(c));
  });
}

}  // namespace

absl::StatusOr<HeaderToAdd> CompileHeaderToAdd(const core::HeaderValueOption& from) {
  HeaderToAdd to;
  to.name = absl::AsciiStrToLower(from.header().key());
  // A field of the message's own frame must not be forged; Host and path have rewrites of their
  // own.
  if (!IsToken(to.name) || to.name == "host" || to.name == "content-length" ||
      to.name == "transfer-encoding") {
    return Invalid("header.key", absl::StrCat("'", from.header().key(), "' cannot be added"));
  }
  const core::HeaderValue& header = from.header();
  absl::Status status =
      CompileValue(header.value().empty() ? header.raw_value() : header.value(), to);
  if (!status.ok()) return Under("header", status);
  to.keep_empty_value = from.keep_empty_value();
  switch (from.append_action()) {
    case core::HeaderValueOption::ADD_IF_ABSENT:
      to.action = HeaderToAdd::Action::kAddIfAbsent;
      break;
    case core::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD:
      to.action = HeaderToAdd::Action::kOverwriteOrAdd;
      break;
    case core::HeaderValueOption::OVERWRITE_IF_EXISTS:
      to.action = HeaderToAdd::Action::kOverwriteIfExists;
      break;
    default:
      to.action = from.has_append() && !from.append().value() ? HeaderToAdd::Action::kOverwriteOrAdd
                                                              : HeaderToAdd::Action::kAppend;
  }
  return to;
}

absl::StatusOr<std::string> CompileHeaderToRemove(const std::string& from) {
  std::string name = absl::AsciiStrToLower(from);
  if (!IsToken(name) || name == "host") {
    return Invalid("", absl::StrCat("'", from, "' cannot be removed"));
  }
  return name;
}

absl::StatusOr<RouteMatch> CompileRouteMatch(const route::RouteMatch& from,
                                             const RuntimeValues& runtime) {
  RouteMatch to;
  absl::Status status = CompilePath(from, to);
  if (!status.ok()) return status;
  if (from.has_case_sensitive()) to.case_sensitive = from.case_sensitive().value();
  status = CompileEach("headers", from.headers(), to.headers, CompileHeaderMatch);
  if (!status.ok()) return status;
  status = CompileEach("query_parameters", from.query_parameters(), to.query_parameters,
                       CompileQueryMatch);
  if (!status.ok()) return status;
  to.grpc_only = from.has_grpc();
  if (from.has_runtime_fraction()) to.share = CompileFraction(from.runtime_fraction(), runtime);
  if (from.has_tls_context()) return Invalid("tls_context", "is not supported by this proxy");
  if (!from.dynamic_metadata().empty()) {
    return Invalid("dynamic_metadata", "is not supported by this proxy");
  }
  return to;
}

absl::StatusOr<std::string> CompileDataSource(const core::DataSource& from,
                                              const Secrets& secrets) {
  switch (from.specifier_case()) {
    case core::DataSource::kInlineString:
      return from.inline_string();
    case core::DataSource::kInlineBytes:
      return from.inline_bytes();
    case core::DataSource::kFilename: {
      if (!secrets.read_file) return Invalid("filename", "files are not read here");
      absl::StatusOr<std::string> bytes = secrets.read_file(from.filename());
      if (!bytes.ok()) return Invalid("filename", bytes.status().message());
      return bytes;
    }
    case core::DataSource::kEnvironmentVariable: {
      const char* value = getenv(from.environment_variable().c_str());
      if (value == nullptr) return Invalid("environment_variable", "is not set");
      return std::string(value);
    }
    case core::DataSource::SPECIFIER_NOT_SET:
      break;
  }
  return Invalid("", "needs one of filename, inline_bytes, inline_string, environment_variable");
}

absl::StatusOr<Route> CompileRoute(const route::Route& from, const Secrets& secrets) {
  Route to;
  to.name = from.name();
  absl::StatusOr<RouteMatch> match = CompileRouteMatch(from.match(), secrets.runtime);
  if (!match.ok()) return Under("match", match.status());
  to.match = *std::move(match);
  absl::Status status = CompileAction(from, secrets, to);
  if (!status.ok()) return status;
  status = CompileHeaderMutations(from, to.request_headers, to.response_headers);
  if (!status.ok()) return status;
  absl::StatusOr<FilterOverrides> filters =
      CompileFilterOverrides(from.typed_per_filter_config(), secrets);
  if (!filters.ok()) return filters.status();
  to.filters = *std::move(filters);
  return to;
}

}  // namespace weft
