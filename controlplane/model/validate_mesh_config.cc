// Rules of the mesh-wide settings.
#include <algorithm>
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "absl/time/time.h"
#include "api/istio/mesh.pb.h"
#include "controlplane/model/log_format.h"
#include "controlplane/model/validate_rules.h"

namespace weft {
namespace {

using google::protobuf::Struct;
using google::protobuf::Value;
using istio::mesh::v1alpha1::ExtensionProvider;
using istio::mesh::v1alpha1::MeshConfig;
using Strings = google::protobuf::RepeatedPtrField<std::string>;

// An authorizer is asked before each request: more than this of a body is not for it to read.
constexpr uint32_t kMaxBodyToCheck = 1 << 20;

std::string At(absl::string_view field, int index) { return absl::StrCat(field, "[", index, "]"); }

// ---- Access logs.

void CheckFormat(absl::string_view field, const std::string& format, Checker& check) {
  const absl::Status status = CheckLogFormat(format);
  if (!status.ok()) check.Error(field, std::string(status.message()));
}

void CheckLabels(absl::string_view field, const Struct& labels, Checker& check);

void CheckLabel(const std::string& field, const Value& value, Checker& check) {
  if (value.has_string_value()) return CheckFormat(field, value.string_value(), check);
  if (value.has_struct_value()) return CheckLabels(field, value.struct_value(), check);
  for (int i = 0; i < value.list_value().values_size(); ++i) {
    CheckLabel(At(field, i), value.list_value().values(i), check);
  }
}

void CheckLabels(absl::string_view field, const Struct& labels, Checker& check) {
  // The reader bounds how deep YAML goes at 100; what proxies take is less.
  if (std::count(field.begin(), field.end(), '.') + std::count(field.begin(), field.end(), '[') >
      10) {
    return check.Error(field, "is nested too deeply");
  }
  for (const auto& [name, value] : labels.fields()) {
    CheckLabel(absl::StrCat(field, ".", name), value, check);
  }
}

void CheckLogPath(absl::string_view field, const std::string& path, Checker& check) {
  if (!path.empty() && path[0] != '/') {
    check.Error(field, absl::StrCat("'", path, "' is not a path from the root, as /dev/stdout"));
  }
}

void CheckFileLog(const ExtensionProvider::FileAccessLog& log, Checker& check) {
  CheckLogPath("path", log.path(), check);
  if (log.log_format().has_labels()) {
    CheckLabels("logFormat.labels", log.log_format().labels(), check);
  } else {
    CheckFormat("logFormat.text", log.log_format().text(), check);
  }
}

// With JSON, the format is the text of an object.
void CheckMeshLog(const MeshConfig& config, Checker& check) {
  CheckLogPath("accessLogFile", config.access_log_file(), check);
  if (config.access_log_encoding() == MeshConfig::TEXT) {
    return CheckFormat("accessLogFormat", config.access_log_format(), check);
  }
  if (config.access_log_format().empty()) return;
  const auto labels = ParseJsonLogFormat(config.access_log_format());
  if (!labels.ok()) {
    return check.Error("accessLogFormat", std::string(labels.status().message()));
  }
  CheckLabels("accessLogFormat", *labels, check);
}

// ---- External authorizers.

void CheckHeaderPatterns(absl::string_view field, const Strings& names, Checker& check) {
  for (int i = 0; i < names.size(); ++i) {
    absl::string_view name = names[i];
    if (name == "*") continue;
    if (!absl::ConsumePrefix(&name, "*")) absl::ConsumeSuffix(&name, "*");
    check.HeaderName(At(field, i), name);
  }
}

void CheckBody(const ExtensionProvider::RequestBody& body, Checker& check) {
  if (body.max_request_bytes() < 1 || body.max_request_bytes() > kMaxBodyToCheck) {
    check.Error("includeRequestBodyInCheck.maxRequestBytes",
                absl::StrCat(body.max_request_bytes(), " is out of range 1..", kMaxBodyToCheck));
  }
}

// What the two kinds have under the same names.
template <typename Authorizer>
void CheckAuthorizer(const Authorizer& authorizer, Checker& check) {
  absl::string_view host = authorizer.service();
  if (const size_t slash = host.find('/'); slash != absl::string_view::npos) {
    check.Label("service", host.substr(0, slash));
    host.remove_prefix(slash + 1);
  }
  check.Host("service", host, /*wildcard=*/false);
  check.RequiredPort("port", authorizer.port());
  check.Duration("timeout", authorizer.timeout());
  absl::Duration timeout;
  if (absl::ParseDuration(authorizer.timeout(), &timeout) && timeout == absl::ZeroDuration()) {
    check.Error("timeout", "must be above 0");
  }
  if (authorizer.has_include_request_body_in_check()) {
    CheckBody(authorizer.include_request_body_in_check(), check);
  }
  int status = 0;
  if (!authorizer.status_on_error().empty() &&
      (!absl::SimpleAtoi(authorizer.status_on_error(), &status) || status < 200 || status > 599)) {
    check.Error("statusOnError", absl::StrCat("'", authorizer.status_on_error(),
                                              "' is not a status from 200 to 599"));
  }
}

// A message's own, which a proxy sets itself.
bool IsOfFrame(absl::string_view name) {
  return absl::EqualsIgnoreCase(name, "host") || absl::EqualsIgnoreCase(name, "content-length") ||
         absl::EqualsIgnoreCase(name, "transfer-encoding");
}

void CheckHttpAuthorizer(const ExtensionProvider::ExternalAuthorizationHttp& authorizer,
                         Checker& check) {
  CheckAuthorizer(authorizer, check);
  if (!authorizer.path_prefix().empty() && authorizer.path_prefix()[0] != '/') {
    check.Error("pathPrefix",
                absl::StrCat("'", authorizer.path_prefix(), "' does not begin with '/'"));
  }
  CheckHeaderPatterns("includeHeadersInCheck", authorizer.include_headers_in_check(), check);
  CheckHeaderPatterns("includeRequestHeadersInCheck", authorizer.include_request_headers_in_check(),
                      check);
  for (const auto& [name, value] : authorizer.include_additional_headers_in_check()) {
    const std::string field = absl::StrCat("includeAdditionalHeadersInCheck[", name, "]");
    check.HeaderName(field, name);
    if (IsOfFrame(name)) check.Error(field, absl::StrCat("'", name, "' cannot be set"));
    CheckFormat(field, value, check);
  }
  CheckHeaderPatterns("headersToUpstreamOnAllow", authorizer.headers_to_upstream_on_allow(), check);
  CheckHeaderPatterns("headersToDownstreamOnDeny", authorizer.headers_to_downstream_on_deny(),
                      check);
  CheckHeaderPatterns("headersToDownstreamOnAllow", authorizer.headers_to_downstream_on_allow(),
                      check);
}

// ---- Providers.

void CheckProvider(const ExtensionProvider& provider, Checker& check) {
  switch (provider.provider_case()) {
    case ExtensionProvider::kEnvoyExtAuthzHttp: {
      const Checker::In in(check, "envoyExtAuthzHttp");
      return CheckHttpAuthorizer(provider.envoy_ext_authz_http(), check);
    }
    case ExtensionProvider::kEnvoyExtAuthzGrpc: {
      const Checker::In in(check, "envoyExtAuthzGrpc");
      return CheckAuthorizer(provider.envoy_ext_authz_grpc(), check);
    }
    case ExtensionProvider::kEnvoyFileAccessLog: {
      const Checker::In in(check, "envoyFileAccessLog");
      return CheckFileLog(provider.envoy_file_access_log(), check);
    }
    case ExtensionProvider::PROVIDER_NOT_SET:
      return check.Error("", "says nothing of what it is, as 'envoyExtAuthzHttp' would");
    default:
      check.Warning("", absl::StrCat("'", provider.name(),
                                     "': weft-proxy has no use for a provider of this kind"));
  }
}

// Fields that Istio has and that change nothing here are all of one type.
void CheckIgnored(const MeshConfig& config, Checker& check) {
  const auto* type = config.GetDescriptor();
  for (int i = 0; i < type->field_count(); ++i) {
    const auto* field = type->field(i);
    if (field->message_type() != Value::descriptor()) continue;
    if (config.GetReflection()->HasField(config, field)) {
      check.Warning(field->json_name(), "is Istio's and has no effect here");
    }
  }
}

}  // namespace

void CheckMeshConfig(const MeshConfig& config, Checker& check) {
  CheckMeshLog(config, check);
  std::set<std::string> names;
  for (int i = 0; i < config.extension_providers_size(); ++i) {
    const Checker::In in(check, "extensionProviders", i);
    const ExtensionProvider& provider = config.extension_providers(i);
    if (provider.name().empty()) check.Error("name", "is missing");
    if (!names.insert(provider.name()).second) {
      check.Error("name", absl::StrCat("'", provider.name(), "' is there twice"));
    }
    CheckProvider(provider, check);
  }
  const auto& defaults = config.default_providers();
  if (!defaults.tracing().empty()) {
    check.Warning("defaultProviders.tracing", "has no effect: weft-proxy reports no spans");
  }
  if (!defaults.metrics().empty()) {
    check.Warning("defaultProviders.metrics",
                  "has no effect: weft-proxy's metrics are there for whoever asks");
  }
  CheckIgnored(config, check);
}

}  // namespace weft
