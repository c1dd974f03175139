// Rules of Namespace, Service, ServiceExport, EndpointSlice and Pod: those whose breach would break
// a World.
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/kubernetes/core.pb.h"
#include "controlplane/model/sharing.h"
#include "controlplane/model/tls_secret.h"
#include "controlplane/model/validate_rules.h"

namespace weft {
namespace {

void CheckServicePort(const kubernetes::Service& service, int index, Checker& check) {
  const kubernetes::ServicePort& port = service.spec().ports(index);
  check.RequiredPort("port", port.port());
  if (port.name().empty()) {
    if (service.spec().ports_size() > 1) {
      check.Error("name", "is missing, but needed where there is more than one port");
    }
  } else {
    check.Label("name", port.name());
  }
  const std::string& protocol = port.protocol();
  if (!protocol.empty() && protocol != "TCP" && protocol != "UDP" && protocol != "SCTP") {
    check.Error("protocol", absl::StrCat("'", protocol, "' is neither TCP, UDP nor SCTP"));
  }
  if (protocol == "SCTP") check.Warning("protocol", "the mesh does not carry SCTP");
  if (port.target_port().kind_case() == google::protobuf::Value::kNumberValue) {
    check.RequiredPort("targetPort", static_cast<int64_t>(port.target_port().number_value()));
  }
}

// What says neither of the two says nothing: a word that was misspelt shares nothing by mistake.
template <typename Map>
void CheckWord(absl::string_view field, const Map& map, const char* key, absl::string_view yes,
               absl::string_view no, Checker& check) {
  const auto found = map.find(key);
  if (found == map.end() || absl::EqualsIgnoreCase(found->second, yes) ||
      absl::EqualsIgnoreCase(found->second, no)) {
    return;
  }
  check.Warning(
      absl::StrCat(field, "[", key, "]"),
      absl::StrCat("'", found->second, "' is neither ", yes, " nor ", no, ", and has no effect"));
}

}  // namespace

void CheckNamespace(const kubernetes::Namespace& name_space, Checker& check) {
  const auto& labels = name_space.metadata().labels();
  CheckWord("metadata.labels", labels, kExportLabel, "all", "none", check);
  CheckWord("metadata.labels", labels, kMergeLocal, "true", "false", check);
}

std::vector<Problem> CheckServiceExport(const Object& object) {
  Checker check(object, "");
  check.Label("metadata.name", object.key.name);
  CheckWord("metadata.annotations", object.annotations, kClusterSetOnlyAnnotation, "true", "false",
            check);
  if (IsSystemNamespace(object.key.namespace_)) {
    check.Warning("metadata.namespace", "what is of the system is never exported");
  }
  return check.Take();
}

void CheckService(const kubernetes::Service& service, Checker& check) {
  for (const char* key : {kMergeLocal, kGlobalAnnotation, kSharedAnnotation}) {
    CheckWord("metadata.annotations", service.metadata().annotations(), key, "true", "false",
              check);
  }
  const Checker::In in(check, "spec");
  const std::string& type = service.spec().type();
  if (!type.empty() && type != "ClusterIP" && type != "NodePort" && type != "LoadBalancer" &&
      type != "ExternalName") {
    check.Error("type", absl::StrCat("'", type, "' is not a type of Service"));
  }
  if (type == "ExternalName") {
    check.Host("externalName", service.spec().external_name(), /*wildcard=*/false);
    return;
  }
  const std::string& address = service.spec().cluster_ip();
  if (address != "None") check.Ip("clusterIP", address);
  for (int i = 0; i < service.spec().cluster_ips_size(); ++i) {
    const std::string& one = service.spec().cluster_ips(i);
    if (one != "None") check.Ip(absl::StrCat("clusterIPs[", i, "]"), one);
  }
  if (service.spec().ports().empty() && address != "None") check.Error("ports", "is missing");
  std::set<std::pair<int, bool>> numbers;
  std::set<std::string> names;
  for (int i = 0; i < service.spec().ports_size(); ++i) {
    const kubernetes::ServicePort& port = service.spec().ports(i);
    const Checker::In at(check, "ports", i);
    CheckServicePort(service, i, check);
    if (!numbers.emplace(port.port(), port.protocol() == "UDP").second) {
      check.Error("port", absl::StrCat(port.port(), " is there twice"));
    }
    if (!port.name().empty() && !names.insert(port.name()).second) {
      check.Error("name", absl::StrCat("'", port.name(), "' is there twice"));
    }
  }
}

void CheckEndpointSlice(const kubernetes::EndpointSlice& slice, Checker& check) {
  const std::string& type = slice.address_type();
  if (type != "IPv4" && type != "IPv6" && type != "FQDN") {
    check.Error("addressType", absl::StrCat("'", type, "' is neither IPv4, IPv6 nor FQDN"));
  }
  if (!slice.metadata().labels().contains("kubernetes.io/service-name")) {
    check.Warning("metadata.labels",
                  "belongs to no service: the label kubernetes.io/service-name is missing");
  }
  for (int i = 0; i < slice.endpoints_size(); ++i) {
    const Checker::In at(check, "endpoints", i);
    if (slice.endpoints(i).addresses().empty()) check.Error("addresses", "is missing");
    if (type == "FQDN") continue;
    for (const std::string& address : slice.endpoints(i).addresses()) {
      if (!IsIp(address)) {
        check.Error("addresses", absl::StrCat("'", address, "' is not an IP address"));
      }
    }
  }
  for (int i = 0; i < slice.ports_size(); ++i) {
    const Checker::In at(check, "ports", i);
    if (slice.ports(i).has_port()) check.RequiredPort("port", slice.ports(i).port());
  }
}

void CheckPod(const kubernetes::Pod& pod, Checker& check) {
  check.Ip("status.podIP", pod.status().pod_ip());
  for (int i = 0; i < pod.status().pod_ips_size(); ++i) {
    check.Ip(absl::StrCat("status.podIPs[", i, "].ip"), pod.status().pod_ips(i).ip());
  }
}

void CheckSecret(const kubernetes::Secret& secret, Checker& check) {
  const absl::StatusOr<TlsSecret> tls = TlsSecretFrom(secret);
  if (!tls.ok() && !absl::IsNotFound(tls.status())) {
    check.Error("", std::string(tls.status().message()));
  }
}

}  // namespace weft
