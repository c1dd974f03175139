#include "controlplane/sources/kubernetes/exec_credential.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "api/kubernetes/kubeconfig.pb.h"
#include "api/yaml/yaml_to_message.h"

namespace weft {

using Wire = kubernetes::ExecCredential;

std::string ExecInfo(const Kubeconfig& config, absl::string_view ca_pem) {
  Wire info;
  info.set_api_version(config.exec->api_version);
  info.set_kind("ExecCredential");
  info.mutable_spec()->set_interactive(false);
  if (config.exec->provide_cluster_info) {
    Wire::Cluster* cluster = info.mutable_spec()->mutable_cluster();
    cluster->set_server(config.Url());
    cluster->set_tls_server_name(config.server_name);
    cluster->set_insecure_skip_tls_verify(config.insecure);
    cluster->set_certificate_authority_data(std::string(ca_pem));
  }
  return MessageToJson(info, /*pretty=*/false);
}

absl::StatusOr<ExecCredential> ParseExecCredential(std::string text, const ExecPlugin& plugin) {
  auto document = YamlDocument::ParseJson(std::move(text));
  if (!document.ok()) return document.status();
  Wire wire;
  absl::Status status = YamlToMessage((*document)->root(), UnknownFields::kSkip, &wire);
  if (!status.ok()) return status;
  if (wire.kind() != "ExecCredential" || wire.api_version() != plugin.api_version) {
    return absl::InvalidArgumentError(absl::StrCat("expected an ExecCredential of ",
                                                   plugin.api_version, ", found a '", wire.kind(),
                                                   "' of '", wire.api_version(), "'"));
  }
  ExecCredential credential;
  credential.token = wire.status().token();
  credential.certificate_pem = wire.status().client_certificate_data();
  credential.key_pem = wire.status().client_key_data();
  if (credential.certificate_pem.empty() != credential.key_pem.empty()) {
    return absl::InvalidArgumentError(
        "status: clientCertificateData and clientKeyData go together");
  }
  if (credential.token.empty() && credential.key_pem.empty()) {
    return absl::InvalidArgumentError("status: neither a token nor a client certificate");
  }
  const std::string& expires = wire.status().expiration_timestamp();
  std::string error;
  if (!expires.empty() &&
      !absl::ParseTime(absl::RFC3339_full, expires, &credential.expires, &error)) {
    return absl::InvalidArgumentError(
        absl::StrCat("status.expirationTimestamp: not a time: \"", expires, "\""));
  }
  return credential;
}

}  // namespace weft
