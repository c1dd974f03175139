#include "controlplane/translate/external_authorization.h"

#include <map>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "api/envoy/ext_authz.pb.h"
#include "api/istio/mesh.pb.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/parts.h"

namespace weft {
namespace {

using envoy::extensions::filters::http::ext_authz::v3::AuthorizationResponse;
using envoy::extensions::filters::http::ext_authz::v3::ExtAuthz;
using envoy::extensions::filters::http::ext_authz::v3::HttpService;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;
using envoy::type::matcher::v3::ListStringMatcher;
using istio::mesh::v1alpha1::ExtensionProvider;
using Strings = google::protobuf::RepeatedPtrField<std::string>;

// Istio's: as good as none.
constexpr absl::Duration kTimeout = absl::Seconds(600);

// "*", "x-*", "*-id" and whole names.
void AddNames(const Strings& names, ListStringMatcher& to) {
  for (const std::string& stated : names) {
    auto& pattern = *to.add_patterns();
    pattern.set_ignore_case(true);
    absl::string_view name = stated;
    if (name == "*") {
      pattern.mutable_safe_regex()->set_regex(".*");
    } else if (absl::ConsumePrefix(&name, "*")) {
      pattern.set_suffix(std::string(name));
    } else if (absl::ConsumeSuffix(&name, "*")) {
      pattern.set_prefix(std::string(name));
    } else {
      pattern.set_exact(stated);
    }
  }
}

absl::Duration TimeoutOf(const std::string& text) {
  absl::Duration timeout = kTimeout;
  if (!text.empty()) absl::ParseDuration(text, &timeout);  // validated
  return timeout;
}

void SetAnswer(const ExtensionProvider::ExternalAuthorizationHttp& from, HttpService& to) {
  AuthorizationResponse answer;
  if (!from.headers_to_upstream_on_allow().empty()) {
    AddNames(from.headers_to_upstream_on_allow(), *answer.mutable_allowed_upstream_headers());
  }
  if (!from.headers_to_downstream_on_deny().empty()) {
    AddNames(from.headers_to_downstream_on_deny(), *answer.mutable_allowed_client_headers());
  }
  if (!from.headers_to_downstream_on_allow().empty()) {
    AddNames(from.headers_to_downstream_on_allow(),
             *answer.mutable_allowed_client_headers_on_success());
  }
  if (answer.ByteSizeLong() > 0) *to.mutable_authorization_response() = std::move(answer);
}

void SetHttp(const ExtensionProvider::ExternalAuthorizationHttp& from, const std::string& host,
             const std::string& cluster, ExtAuthz& to) {
  HttpService& service = *to.mutable_http_service();
  service.mutable_server_uri()->set_uri(absl::StrCat("http://", host));
  service.mutable_server_uri()->set_cluster(cluster);
  SetDuration(TimeoutOf(from.timeout()), service.mutable_server_uri()->mutable_timeout());
  service.set_path_prefix(from.path_prefix());
  AddNames(from.include_headers_in_check(), *to.mutable_allowed_headers());
  AddNames(from.include_request_headers_in_check(), *to.mutable_allowed_headers());
  if (to.allowed_headers().patterns().empty()) to.clear_allowed_headers();
  const std::map<std::string, std::string> more(from.include_additional_headers_in_check().begin(),
                                                from.include_additional_headers_in_check().end());
  for (const auto& [name, value] : more) {
    auto& header = *service.mutable_authorization_request()->add_headers_to_add();
    header.set_key(name);
    header.set_value(value);
  }
  SetAnswer(from, service);
}

void SetGrpc(const ExtensionProvider::ExternalAuthorizationGrpc& from, const std::string& host,
             const std::string& cluster, ExtAuthz& to) {
  auto& service = *to.mutable_grpc_service();
  service.mutable_envoy_grpc()->set_cluster_name(cluster);
  service.mutable_envoy_grpc()->set_authority(host);
  SetDuration(TimeoutOf(from.timeout()), service.mutable_timeout());
}

// What both kinds have under the same names.
template <typename From>
void SetCommon(const From& from, ExtAuthz& to) {
  to.set_transport_api_version(envoy::config::core::v3::V3);
  to.set_failure_mode_allow(from.fail_open());
  to.set_clear_route_cache(from.clear_route_cache());
  int status = 0;
  if (absl::SimpleAtoi(from.status_on_error(), &status)) {
    to.mutable_status_on_error()->set_code(
        static_cast<envoy::type::v3::HttpStatus::StatusCode>(status));
  }
  if (!from.has_include_request_body_in_check()) return;
  const ExtensionProvider::RequestBody& body = from.include_request_body_in_check();
  to.mutable_with_request_body()->set_max_request_bytes(body.max_request_bytes());
  to.mutable_with_request_body()->set_allow_partial_message(body.allow_partial_message());
  to.mutable_with_request_body()->set_pack_as_bytes(body.pack_as_bytes());
}

void SetWhen(ExtAuthz& to) {
  auto& when = *to.mutable_filter_enabled_metadata();
  when.set_filter("envoy.filters.http.rbac");
  when.add_path()->set_key(absl::StrCat(kAuthzShadowPrefix, "shadow_effective_policy_id"));
  when.mutable_value()->mutable_string_match()->set_prefix(kAuthzPolicyPrefix);
}

}  // namespace

HttpFilter ExtAuthzFilterFor(const Authorizer& authorizer) {
  const std::string& host = authorizer.service->host;
  const std::string cluster = OutboundClusterName(authorizer.port, "", host);
  ExtAuthz config;
  if (authorizer.provider->has_envoy_ext_authz_http()) {
    const auto& http = authorizer.provider->envoy_ext_authz_http();
    SetHttp(http, host, cluster, config);
    SetCommon(http, config);
  } else {
    const auto& grpc = authorizer.provider->envoy_ext_authz_grpc();
    SetGrpc(grpc, host, cluster, config);
    SetCommon(grpc, config);
  }
  SetWhen(config);
  HttpFilter filter;
  filter.set_name("envoy.filters.http.ext_authz");
  *filter.mutable_typed_config() = PackAny(config);
  return filter;
}

}  // namespace weft
