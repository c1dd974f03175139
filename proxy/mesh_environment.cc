#include "proxy/mesh_environment.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "api/envoy/core.pb.h"

namespace weft {
namespace {

using Json = nlohmann::json;

absl::Status ReadLabels(absl::string_view text, std::map<std::string, std::string>* labels) {
  const Json json = Json::parse(text.begin(), text.end(), nullptr, /*allow_exceptions=*/false);
  if (!json.is_object()) {
    return absl::InvalidArgumentError("WEFT_LABELS: expected a JSON object of strings");
  }
  for (const auto& [name, value] : json.items()) {
    if (!value.is_string()) {
      return absl::InvalidArgumentError(absl::StrCat("WEFT_LABELS: '", name, "' is not a string"));
    }
    (*labels)[name] = value.get<std::string>();
  }
  return absl::OkStatus();
}

absl::Status ReadDelta(absl::string_view text, bool* delta) {
  if (text != "true" && text != "false") {
    return absl::InvalidArgumentError(
        absl::StrCat("WEFT_DELTA_XDS: expected true or false, found '", text, "'"));
  }
  *delta = text == "true";
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<MeshEnvironment> ReadMeshEnvironment(MeshRole role,
                                                    const EnvironmentLookup& lookup) {
  MeshEnvironment e;
  e.role = role;
  std::string discovery;
  const struct {
    const char* name;
    std::string* value;
  } required[] = {
      {"POD_NAME", &e.pod_name},
      {"POD_NAMESPACE", &e.pod_namespace},
      {"INSTANCE_IP", &e.instance_ip},
      {"SERVICE_ACCOUNT", &e.service_account},
      {"WEFT_CLUSTER_ID", &e.cluster_id},
      {"WEFT_NETWORK", &e.network},
      {"WEFT_MESH_ID", &e.mesh_id},
      {"WEFT_TRUST_DOMAIN", &e.trust_domain},
      {"WEFT_DISCOVERY_ADDRESS", &discovery},
  };
  for (const auto& variable : required) {
    const char* value = lookup(variable.name);
    if (value == nullptr || *value == '\0') {
      return absl::InvalidArgumentError(
          absl::StrCat("environment variable ", variable.name,
                       " is not set; injection sets it, or start weft-proxy with -c FILE"));
    }
    *variable.value = value;
  }
  absl::StatusOr<Address> address = Address::Parse(discovery);
  if (!address.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("WEFT_DISCOVERY_ADDRESS: ", address.status().message()));
  }
  e.discovery = *address;
  if (const char* workload = lookup("WEFT_WORKLOAD")) e.workload = workload;
  if (const char* path = lookup("WEFT_TOKEN_PATH")) e.token_path = path;
  if (const char* path = lookup("WEFT_ROOT_CERT_PATH")) e.root_cert_path = path;
  if (const char* labels = lookup("WEFT_LABELS")) {
    absl::Status status = ReadLabels(labels, &e.labels);
    if (!status.ok()) return status;
  }
  if (const char* delta = lookup("WEFT_DELTA_XDS")) {
    absl::Status status = ReadDelta(delta, &e.delta_xds);
    if (!status.ok()) return status;
  }
  return e;
}

std::string EncodeNode(const MeshEnvironment& e) {
  envoy::config::core::v3::Node node;
  node.set_id(absl::StrCat(e.role == MeshRole::kSidecar ? "sidecar" : "router", "~", e.instance_ip,
                           "~", e.pod_name, ".", e.pod_namespace, "~", e.pod_namespace,
                           ".svc.cluster.local"));
  node.set_cluster(
      absl::StrCat(e.workload.empty() ? e.pod_name : e.workload, ".", e.pod_namespace));
  auto& fields = *node.mutable_metadata()->mutable_fields();
  fields["CLUSTER_ID"].set_string_value(e.cluster_id);
  fields["NETWORK"].set_string_value(e.network);
  fields["MESH_ID"].set_string_value(e.mesh_id);
  fields["NAMESPACE"].set_string_value(e.pod_namespace);
  fields["SERVICE_ACCOUNT"].set_string_value(e.service_account);
  fields["INTERCEPTION_MODE"].set_string_value("REDIRECT");
  fields["WORKLOAD_NAME"].set_string_value(e.workload);
  auto& labels = *fields["LABELS"].mutable_struct_value()->mutable_fields();
  for (const auto& [name, value] : e.labels) labels[name].set_string_value(value);
  node.set_user_agent_name("weft-proxy");
  node.add_client_features("weft.tunnels");
  return node.SerializeAsString();
}

}  // namespace weft
