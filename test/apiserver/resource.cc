#include "test/apiserver/resource.h"

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"

namespace weft::apiserver {
namespace {

enum Trait : unsigned { kCluster = 1, kStatus = 2, kAll = 4, kUnstored = 8 };

struct BuiltIn {
  const char* group;
  const char* versions;
  const char* plural;
  const char* kind;
  const char* short_names;
  unsigned traits;
};

constexpr BuiltIn kBuiltIns[] = {
    {"", "v1", "configmaps", "ConfigMap", "cm", 0},
    {"", "v1", "endpoints", "Endpoints", "ep", 0},
    {"", "v1", "events", "Event", "ev", 0},
    {"", "v1", "namespaces", "Namespace", "ns", kCluster | kStatus},
    {"", "v1", "nodes", "Node", "no", kCluster | kStatus},
    {"", "v1", "pods", "Pod", "po", kStatus | kAll},
    {"", "v1", "secrets", "Secret", "", 0},
    {"", "v1", "serviceaccounts", "ServiceAccount", "sa", 0},
    {"", "v1", "services", "Service", "svc", kStatus | kAll},
    {"admissionregistration.k8s.io", "v1", "mutatingwebhookconfigurations",
     "MutatingWebhookConfiguration", "", kCluster},
    {"admissionregistration.k8s.io", "v1", "validatingwebhookconfigurations",
     "ValidatingWebhookConfiguration", "", kCluster},
    {"apiextensions.k8s.io", "v1", "customresourcedefinitions", "CustomResourceDefinition",
     "crd,crds", kCluster | kStatus},
    {"apps", "v1", "daemonsets", "DaemonSet", "ds", kStatus | kAll},
    {"apps", "v1", "deployments", "Deployment", "deploy", kStatus | kAll},
    {"apps", "v1", "replicasets", "ReplicaSet", "rs", kStatus | kAll},
    {"apps", "v1", "statefulsets", "StatefulSet", "sts", kStatus | kAll},
    {"authentication.k8s.io", "v1", "tokenreviews", "TokenReview", "", kCluster | kUnstored},
    {"authorization.k8s.io", "v1", "selfsubjectaccessreviews", "SelfSubjectAccessReview", "",
     kCluster | kUnstored},
    {"authorization.k8s.io", "v1", "subjectaccessreviews", "SubjectAccessReview", "",
     kCluster | kUnstored},
    {"coordination.k8s.io", "v1", "leases", "Lease", "", 0},
    {"discovery.k8s.io", "v1", "endpointslices", "EndpointSlice", "", 0},
    {"rbac.authorization.k8s.io", "v1", "clusterrolebindings", "ClusterRoleBinding", "", kCluster},
    {"rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", "", kCluster},
    {"rbac.authorization.k8s.io", "v1", "rolebindings", "RoleBinding", "", 0},
    {"rbac.authorization.k8s.io", "v1", "roles", "Role", "", 0},
};

struct MeshCrd {
  const char* group;
  const char* versions;
  const char* plural;
  const char* kind;
  const char* short_names;
  unsigned traits;
  const char* columns;  // "NAME=PATH,…"
};

constexpr MeshCrd kMeshCrds[] = {
    {"networking.istio.io", "v1,v1beta1,v1alpha3", "virtualservices", "VirtualService", "vs",
     kStatus, "Gateways=.spec.gateways,Hosts=.spec.hosts"},
    {"networking.istio.io", "v1,v1beta1,v1alpha3", "destinationrules", "DestinationRule", "dr",
     kStatus, "Host=.spec.host"},
    {"networking.istio.io", "v1,v1beta1,v1alpha3", "gateways", "Gateway", "gw", kStatus, ""},
    {"networking.istio.io", "v1,v1beta1,v1alpha3", "serviceentries", "ServiceEntry", "se", kStatus,
     "Hosts=.spec.hosts,Location=.spec.location,Resolution=.spec.resolution"},
    {"networking.istio.io", "v1,v1beta1,v1alpha3", "sidecars", "Sidecar", "", kStatus, ""},
    {"networking.istio.io", "v1,v1beta1,v1alpha3", "workloadentries", "WorkloadEntry", "we",
     kStatus, "Address=.spec.address"},
    {"networking.istio.io", "v1,v1beta1,v1alpha3", "workloadgroups", "WorkloadGroup", "wg", kStatus,
     ""},
    {"networking.istio.io", "v1alpha3", "envoyfilters", "EnvoyFilter", "", kStatus, ""},
    {"networking.istio.io", "v1beta1", "proxyconfigs", "ProxyConfig", "", kStatus, ""},
    {"security.istio.io", "v1,v1beta1", "authorizationpolicies", "AuthorizationPolicy", "ap",
     kStatus, "Action=.spec.action"},
    {"security.istio.io", "v1,v1beta1", "peerauthentications", "PeerAuthentication", "pa", kStatus,
     "Mode=.spec.mtls.mode"},
    {"security.istio.io", "v1,v1beta1", "requestauthentications", "RequestAuthentication", "ra",
     kStatus, ""},
    {"telemetry.istio.io", "v1,v1alpha1", "telemetries", "Telemetry", "telemetry", kStatus, ""},
    {"gateway.networking.k8s.io", "v1,v1beta1", "gatewayclasses", "GatewayClass", "gc",
     kStatus | kCluster,
     "Controller=.spec.controllerName,"
     "Accepted=.status.conditions[?(@.type==\"Accepted\")].status"},
    {"gateway.networking.k8s.io", "v1,v1beta1", "gateways", "Gateway", "gtw", kStatus,
     "Class=.spec.gatewayClassName,Address=.status.addresses[*].value,"
     "Programmed=.status.conditions[?(@.type==\"Programmed\")].status"},
    {"gateway.networking.k8s.io", "v1,v1beta1", "httproutes", "HTTPRoute", "", kStatus,
     "Hostnames=.spec.hostnames"},
    {"gateway.networking.k8s.io", "v1", "grpcroutes", "GRPCRoute", "", kStatus,
     "Hostnames=.spec.hostnames"},
    {"gateway.networking.k8s.io", "v1alpha2", "tlsroutes", "TLSRoute", "", kStatus, ""},
    {"gateway.networking.k8s.io", "v1alpha2", "tcproutes", "TCPRoute", "", kStatus, ""},
    {"gateway.networking.k8s.io", "v1beta1", "referencegrants", "ReferenceGrant", "refgrant", 0,
     ""},
    {"multicluster.x-k8s.io", "v1alpha1", "serviceexports", "ServiceExport", "svcex", kStatus, ""},
    {"multicluster.x-k8s.io", "v1alpha1", "serviceimports", "ServiceImport", "svcim", kStatus,
     "Type=.spec.type,IP=.spec.ips"},
};

std::vector<std::string> Split(absl::string_view list) {
  return absl::StrSplit(list, ',', absl::SkipEmpty());
}

Resource FromBuiltIn(const BuiltIn& row) {
  Resource resource;
  resource.group = row.group;
  resource.versions = Split(row.versions);
  resource.plural = row.plural;
  resource.kind = row.kind;
  resource.singular = absl::AsciiStrToLower(row.kind);
  resource.short_names = Split(row.short_names);
  if (row.traits & kAll) resource.categories = {"all"};
  resource.namespaced = (row.traits & kCluster) == 0;
  resource.status = (row.traits & kStatus) != 0;
  resource.stored = (row.traits & kUnstored) == 0;
  return resource;
}

Json ColumnsOf(absl::string_view columns) {
  Json list = Json::array();
  for (absl::string_view column : absl::StrSplit(columns, ',', absl::SkipEmpty())) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(column, absl::MaxSplits('=', 1));
    list.push_back({{"name", std::string(parts.first)},
                    {"type", "string"},
                    {"jsonPath", std::string(parts.second)}});
  }
  list.push_back({{"name", "Age"}, {"type", "date"}, {"jsonPath", ".metadata.creationTimestamp"}});
  return list;
}

Json CrdOf(const MeshCrd& row) {
  const std::string group = row.group;
  const std::string plural = row.plural;
  const std::string kind = row.kind;
  Json versions = Json::array();
  for (const std::string& name : Split(row.versions)) {
    Json version = {{"name", name},
                    {"served", true},
                    {"storage", versions.empty()},
                    {"schema",
                     {{"openAPIV3Schema",
                       {{"type", "object"}, {"x-kubernetes-preserve-unknown-fields", true}}}}},
                    {"additionalPrinterColumns", ColumnsOf(row.columns)}};
    if (row.traits & kStatus) version["subresources"] = {{"status", Json::object()}};
    versions.push_back(std::move(version));
  }
  Json names = {{"plural", plural},
                {"singular", absl::AsciiStrToLower(kind)},
                {"kind", kind},
                {"listKind", kind + "List"}};
  if (*row.short_names != '\0') names["shortNames"] = Split(row.short_names);
  return {{"apiVersion", "apiextensions.k8s.io/v1"},
          {"kind", "CustomResourceDefinition"},
          {"metadata", {{"name", plural + "." + group}}},
          {"spec",
           {{"group", group},
            {"scope", (row.traits & kCluster) ? "Cluster" : "Namespaced"},
            {"names", std::move(names)},
            {"versions", std::move(versions)}}}};
}

std::string Text(const Json& object, const char* pointer) {
  const Json::json_pointer at(pointer);
  if (!object.contains(at) || !object.at(at).is_string()) return "";
  return object.at(at).get<std::string>();
}

std::vector<std::string> Texts(const Json& object, const char* pointer) {
  std::vector<std::string> texts;
  const Json::json_pointer at(pointer);
  if (!object.contains(at) || !object.at(at).is_array()) return texts;
  for (const Json& text : object.at(at)) {
    if (text.is_string()) texts.push_back(text.get<std::string>());
  }
  return texts;
}

std::vector<Column> ColumnsOfVersion(const Json& version) {
  std::vector<Column> columns;
  const auto listed = version.find("additionalPrinterColumns");
  if (listed != version.end()) {
    for (const Json& one : *listed) {
      Column column;
      column.name = one.value("name", "");
      column.type = one.value("type", "string");
      column.path = one.value("jsonPath", "");
      column.priority = one.value("priority", 0);
      columns.push_back(std::move(column));
    }
  }
  if (columns.empty()) columns.push_back({"Age", "date", ".metadata.creationTimestamp", 0});
  return columns;
}

// Stable versions before betas before alphas, later ones first, as discovery prefers them.
std::pair<int, std::string> Rank(const std::string& version) {
  const int stage = version.find("alpha") != std::string::npos  ? 2
                    : version.find("beta") != std::string::npos ? 1
                                                                : 0;
  return {stage, version};
}

bool Before(const std::string& a, const std::string& b) {
  const auto left = Rank(a), right = Rank(b);
  return left.first != right.first ? left.first < right.first : left.second > right.second;
}

}  // namespace

std::string Resource::ApiVersion(absl::string_view version) const {
  return group.empty() ? std::string(version) : absl::StrCat(group, "/", version);
}

bool Resource::Serves(absl::string_view version) const {
  return std::find(versions.begin(), versions.end(), version) != versions.end();
}

Subject Resource::Named(absl::string_view name) const {
  return {group, plural, kind, std::string(name)};
}

Catalog::Catalog() {
  for (const BuiltIn& row : kBuiltIns) Set(FromBuiltIn(row));
}

std::shared_ptr<const Resource> Catalog::FindById(absl::string_view id) const {
  const auto found = resources_.find(std::string(id));
  return found == resources_.end() ? nullptr : found->second;
}

std::shared_ptr<const Resource> Catalog::Find(absl::string_view group, absl::string_view version,
                                              absl::string_view plural) const {
  const std::string id = group.empty() ? std::string(plural) : absl::StrCat(plural, ".", group);
  const auto found = resources_.find(id);
  if (found == resources_.end() || hidden_.count(id) > 0) return nullptr;
  // A group with a dot could be read as another resource's.
  if (found->second->group != group || !found->second->Serves(version)) return nullptr;
  return found->second;
}

std::shared_ptr<const Resource> Catalog::FindKind(absl::string_view api_version,
                                                  absl::string_view kind) const {
  for (const auto& resource : All()) {
    if (resource->kind != kind) continue;
    for (const std::string& version : resource->versions) {
      if (resource->ApiVersion(version) == api_version) return resource;
    }
  }
  return nullptr;
}

void Catalog::Set(Resource resource) {
  std::string id = resource.Id();
  resources_[std::move(id)] = std::make_shared<const Resource>(std::move(resource));
}

void Catalog::Remove(const std::string& id) { resources_.erase(id); }

std::vector<std::shared_ptr<const Resource>> Catalog::All() const {
  std::vector<std::shared_ptr<const Resource>> all;
  for (const auto& [id, resource] : resources_) {
    if (hidden_.count(id) == 0) all.push_back(resource);
  }
  std::sort(all.begin(), all.end(), [](const auto& a, const auto& b) {
    return std::tie(a->group, a->plural) < std::tie(b->group, b->plural);
  });
  return all;
}

Result<Resource> ResourceOfCrd(const Json& crd) {
  Resource resource;
  resource.custom = true;
  resource.group = Text(crd, "/spec/group");
  resource.plural = Text(crd, "/spec/names/plural");
  resource.kind = Text(crd, "/spec/names/kind");
  resource.singular = Text(crd, "/spec/names/singular");
  if (resource.singular.empty()) resource.singular = absl::AsciiStrToLower(resource.kind);
  resource.short_names = Texts(crd, "/spec/names/shortNames");
  resource.categories = Texts(crd, "/spec/names/categories");
  resource.namespaced = Text(crd, "/spec/scope") != "Cluster";
  const Subject subject = {"apiextensions.k8s.io", "customresourcedefinitions",
                           "CustomResourceDefinition", Text(crd, "/metadata/name")};
  if (resource.group.empty()) return Invalid(subject, "spec.group", "Required value");
  if (resource.plural.empty()) return Invalid(subject, "spec.names.plural", "Required value");
  if (resource.kind.empty()) return Invalid(subject, "spec.names.kind", "Required value");
  if (subject.name != resource.Id()) {
    return Invalid(subject, "metadata.name", "must be spec.names.plural+\".\"+spec.group");
  }
  const Json::json_pointer at("/spec/versions");
  if (!crd.contains(at) || !crd.at(at).is_array() || crd.at(at).empty()) {
    return Invalid(subject, "spec.versions", "Required value: at least one version");
  }
  for (const Json& version : crd.at(at)) {
    if (!version.is_object() || !version.value("served", false)) continue;
    const std::string name = version.value("name", "");
    resource.versions.push_back(name);
    resource.columns[name] = ColumnsOfVersion(version);
    if (version.contains(Json::json_pointer("/subresources/status"))) resource.status = true;
  }
  std::sort(resource.versions.begin(), resource.versions.end(), Before);
  return resource;
}

std::vector<Json> MeshCrds() {
  std::vector<Json> crds;
  for (const MeshCrd& row : kMeshCrds) crds.push_back(CrdOf(row));
  return crds;
}

}  // namespace weft::apiserver
