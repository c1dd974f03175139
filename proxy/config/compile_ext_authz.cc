#include "proxy/config/compile_ext_authz.h"

#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/envoy/ext_authz.pb.h"
#include "proxy/config/compile_matchers.h"
#include "proxy/config/compile_metadata.h"
#include "proxy/config/compile_route.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace authz = envoy::extensions::filters::http::ext_authz::v3;
namespace core = envoy::config::core::v3;
namespace matcher = envoy::type::matcher::v3;

constexpr absl::string_view kRbacFilter = "envoy.filters.http.rbac";
// What of a body is told at most: a worker holds that much for each request it asks about.
constexpr uint32_t kMostBody = 1024 * 1024;

absl::Status CompileNames(const matcher::ListStringMatcher& from, HeaderNames& to) {
  absl::Status status = CompileEach("patterns", from.patterns(), to.matches, CompileStringMatch);
  for (StringMatch& match : to.matches) match.ignore_case = true;
  return status;
}

absl::Status CompileNames(const matcher::ListStringMatcher& from, std::optional<HeaderNames>& to) {
  return CompileNames(from, to.emplace());
}

absl::StatusOr<HeaderToAdd> CompileCheckHeader(const core::HeaderValue& from) {
  core::HeaderValueOption option;
  *option.mutable_header() = from;
  option.set_append_action(core::HeaderValueOption::OVERWRITE_IF_EXISTS_OR_ADD);
  option.set_keep_empty_value(true);
  return CompileHeaderToAdd(option);
}

absl::Status CompileTimeout(bool stated, const google::protobuf::Duration& from,
                            ExtAuthzConfig& to) {
  if (stated) to.timeout = ToDuration(from);
  if (to.timeout <= absl::ZeroDuration()) return Invalid("timeout", "must be above 0");
  return absl::OkStatus();
}

// ---- The service.

absl::Status CompileServerUri(const core::HttpUri& from, ExtAuthzConfig& to) {
  if (from.cluster().empty()) return Invalid("cluster", "must not be empty");
  to.cluster = from.cluster();
  // The question names the host that the client named; the cluster says where it goes.
  if (!absl::StartsWith(from.uri(), "http://") && !absl::StartsWith(from.uri(), "https://")) {
    return Invalid("uri", "must start with http:// or https://");
  }
  return CompileTimeout(from.has_timeout(), from.timeout(), to);
}

absl::Status CompileAnswer(const authz::AuthorizationResponse& from, ExtAuthzConfig::Http& to) {
  absl::Status status = CompileNames(from.allowed_upstream_headers(), to.upstream);
  if (!status.ok()) return Under("allowed_upstream_headers", status);
  status = CompileNames(from.allowed_upstream_headers_to_append(), to.upstream_append);
  if (!status.ok()) return Under("allowed_upstream_headers_to_append", status);
  status = CompileNames(from.allowed_client_headers_on_success(), to.client_on_ok);
  if (!status.ok()) return Under("allowed_client_headers_on_success", status);
  if (from.allowed_client_headers().patterns().empty()) return absl::OkStatus();
  return Under("allowed_client_headers", CompileNames(from.allowed_client_headers(), to.client));
}

absl::Status CompileHttp(const authz::HttpService& from, ExtAuthzConfig& to) {
  absl::Status status = CompileServerUri(from.server_uri(), to);
  if (!status.ok()) return Under("server_uri", status);
  auto& http = to.service.emplace<ExtAuthzConfig::Http>();
  http.path_prefix = from.path_prefix();
  if (!http.path_prefix.empty() && http.path_prefix[0] != '/') {
    return Invalid("path_prefix", "must start with '/'");
  }
  const authz::AuthorizationRequest& request = from.authorization_request();
  if (request.has_allowed_headers()) {
    status = CompileNames(request.allowed_headers(), to.told_headers);
    if (!status.ok()) return Under("authorization_request.allowed_headers", status);
  }
  status = CompileEach("authorization_request.headers_to_add", request.headers_to_add(),
                       to.check_headers.add, CompileCheckHeader);
  if (!status.ok()) return status;
  status = CompileAnswer(from.authorization_response(), http);
  return status.ok() ? status : Under("authorization_response", status);
}

absl::Status CompileGrpc(const core::GrpcService& from, ExtAuthzConfig& to) {
  to.cluster = from.envoy_grpc().cluster_name();
  if (to.cluster.empty()) return Invalid("envoy_grpc.cluster_name", "must not be empty");
  auto& grpc = to.service.emplace<ExtAuthzConfig::Grpc>();
  grpc.authority =
      from.envoy_grpc().authority().empty() ? to.cluster : from.envoy_grpc().authority();
  absl::Status status = CompileEach("initial_metadata", from.initial_metadata(),
                                    to.check_headers.add, CompileCheckHeader);
  return status.ok() ? CompileTimeout(from.has_timeout(), from.timeout(), to) : status;
}

absl::Status CompileService(const authz::ExtAuthz& from, ExtAuthzConfig& to) {
  switch (from.services_case()) {
    case authz::ExtAuthz::kHttpService: {
      absl::Status status = CompileHttp(from.http_service(), to);
      return status.ok() ? status : Under("http_service", status);
    }
    case authz::ExtAuthz::kGrpcService: {
      if (from.transport_api_version() == core::V2) {
        return Invalid("transport_api_version", "must be V3");
      }
      absl::Status status = CompileGrpc(from.grpc_service(), to);
      return status.ok() ? status : Under("grpc_service", status);
    }
    case authz::ExtAuthz::SERVICES_NOT_SET:
      break;
  }
  return Invalid("", "needs one of grpc_service, http_service");
}

// ---- What is told, and when.

absl::Status CompileBody(const authz::BufferSettings& from, ExtAuthzConfig& to) {
  if (from.max_request_bytes() == 0 || from.max_request_bytes() > kMostBody) {
    return Invalid("max_request_bytes", absl::StrCat("must be 1 to ", kMostBody));
  }
  to.most_body = from.max_request_bytes();
  to.partial_body = from.allow_partial_message();
  to.body_as_bytes = from.pack_as_bytes();
  return absl::OkStatus();
}

absl::Status CompileEnabledBy(const matcher::MetadataMatcher& from, ExtAuthzConfig& to) {
  if (from.filter() != kRbacFilter) {
    return Invalid("filter", absl::StrCat("must be ", kRbacFilter, ", not '", from.filter(), "'"));
  }
  if (from.path_size() != 1) return Invalid("path", "must be one key");
  auto& by = to.enabled_by.emplace();
  by.key = from.path(0).key();
  absl::StatusOr<ValueMatch> value = CompileValueMatch(from.value());
  if (!value.ok()) return Under("value", value.status());
  by.value = *std::move(value);
  by.invert = from.invert();
  return absl::OkStatus();
}

absl::Status CompileWhen(const authz::ExtAuthz& from, const Secrets& secrets, ExtAuthzConfig& to) {
  if (from.has_filter_enabled()) {
    to.enabled = CompileFraction(from.filter_enabled(), secrets.runtime);
  }
  if (from.has_filter_enabled_metadata()) {
    absl::Status status = CompileEnabledBy(from.filter_enabled_metadata(), to);
    if (!status.ok()) return Under("filter_enabled_metadata", status);
  }
  to.deny_at_disable = from.deny_at_disable().default_value().value();
  if (const auto stated = secrets.runtime.Number(from.deny_at_disable().runtime_key())) {
    to.deny_at_disable = *stated != 0;
  }
  return absl::OkStatus();
}

absl::Status CompileOnError(const authz::ExtAuthz& from, ExtAuthzConfig& to) {
  to.allow_on_error = from.failure_mode_allow();
  if (!from.has_status_on_error()) return absl::OkStatus();
  to.status_on_error = static_cast<int>(from.status_on_error().code());
  if (to.status_on_error < 200 || to.status_on_error > 599) {
    return Invalid("status_on_error.code", "must be 200 to 599");
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<std::shared_ptr<const ExtAuthzConfig>> CompileExtAuthz(const authz::ExtAuthz& from,
                                                                      const Secrets& secrets) {
  if (from.include_peer_certificate()) {
    return Invalid("include_peer_certificate", "is not supported");
  }
  auto to = std::make_shared<ExtAuthzConfig>();
  absl::Status status = CompileService(from, *to);
  if (!status.ok()) return status;
  // Counts before the one of http_service, which is the older.
  if (from.has_allowed_headers()) {
    status = CompileNames(from.allowed_headers(), to->told_headers);
    if (!status.ok()) return Under("allowed_headers", status);
  }
  if (from.has_with_request_body()) {
    status = CompileBody(from.with_request_body(), *to);
    if (!status.ok()) return Under("with_request_body", status);
  }
  status = CompileOnError(from, *to);
  if (!status.ok()) return status;
  status = CompileWhen(from, secrets, *to);
  if (!status.ok()) return status;
  to->clear_route_cache = from.clear_route_cache();
  to->tells_server_name = from.include_tls_session();
  to->metadata_namespaces.assign(from.metadata_context_namespaces().begin(),
                                 from.metadata_context_namespaces().end());
  to->stat_prefix = from.stat_prefix();
  return std::shared_ptr<const ExtAuthzConfig>(std::move(to));
}

absl::StatusOr<ExtAuthzRouteConfig> CompileExtAuthzPerRoute(const authz::ExtAuthzPerRoute& from) {
  ExtAuthzRouteConfig to;
  switch (from.override_case()) {
    case authz::ExtAuthzPerRoute::kDisabled:
      if (!from.disabled()) return Invalid("disabled", "must be true");
      to.disabled = true;
      return to;
    case authz::ExtAuthzPerRoute::kCheckSettings:
      to.context_extensions.insert(from.check_settings().context_extensions().begin(),
                                   from.check_settings().context_extensions().end());
      to.without_body = from.check_settings().disable_request_body_buffering();
      return to;
    case authz::ExtAuthzPerRoute::OVERRIDE_NOT_SET:
      break;
  }
  return Invalid("", "needs one of disabled, check_settings");
}

}  // namespace weft
