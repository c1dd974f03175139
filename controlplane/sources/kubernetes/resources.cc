#include "controlplane/sources/kubernetes/resources.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "controlplane/model/decode.h"
#include "controlplane/model/raw_object.h"

namespace weft {
namespace {

// Of ConfigMaps these and no others: what else is in them is none of the mesh's business.
WatchedResource MeshConfig(absl::string_view name) {
  return {"",
          {"v1"},
          "configmaps",
          "ConfigMap",
          false,
          std::string(kMeshConfigNamespace),
          std::string(name)};
}

std::vector<WatchedResource> AllResources() {
  const std::vector<std::string> networking = {"v1", "v1beta1", "v1alpha3"};
  const std::vector<std::string> security = {"v1", "v1beta1"};
  const std::vector<std::string> telemetry = {"v1", "v1alpha1"};
  return {
      {"", {"v1"}, "namespaces", "Namespace", true},
      {"", {"v1"}, "nodes", "Node"},
      {"", {"v1"}, "services", "Service", true},
      {"discovery.k8s.io", {"v1"}, "endpointslices", "EndpointSlice", true},
      {"", {"v1"}, "pods", "Pod", true},
      {"", {"v1"}, "serviceaccounts", "ServiceAccount"},
      {"networking.istio.io", networking, "virtualservices", "VirtualService"},
      {"networking.istio.io", networking, "destinationrules", "DestinationRule"},
      {"networking.istio.io", networking, "gateways", "Gateway"},
      {"networking.istio.io", networking, "serviceentries", "ServiceEntry"},
      {"networking.istio.io", networking, "workloadentries", "WorkloadEntry"},
      {"networking.istio.io", networking, "workloadgroups", "WorkloadGroup"},
      {"networking.istio.io", networking, "sidecars", "Sidecar"},
      {"networking.istio.io", {"v1beta1"}, "proxyconfigs", "ProxyConfig"},
      {"networking.istio.io", {"v1alpha3"}, "envoyfilters", "EnvoyFilter"},
      {"security.istio.io", security, "peerauthentications", "PeerAuthentication", true},
      {"security.istio.io", security, "authorizationpolicies", "AuthorizationPolicy", true},
      {"security.istio.io", security, "requestauthentications", "RequestAuthentication", true},
      {"weft.io", {"v1alpha1"}, "links", "Link"},
      {"telemetry.istio.io", telemetry, "telemetries", "Telemetry"},
      MeshConfig(kMeshConfigNames[0]),
      MeshConfig(kMeshConfigNames[1]),
      {"gateway.networking.k8s.io",
       {"v1", "v1beta1", "v1alpha2"},
       "gatewayclasses",
       "GatewayClass"},
      {"gateway.networking.k8s.io", {"v1", "v1beta1", "v1alpha2"}, "gateways", "Gateway"},
      {"gateway.networking.k8s.io", {"v1", "v1beta1", "v1alpha2"}, "httproutes", "HTTPRoute"},
      {"gateway.networking.k8s.io", {"v1", "v1alpha2"}, "grpcroutes", "GRPCRoute"},
      {"gateway.networking.k8s.io", {"v1", "v1alpha3", "v1alpha2"}, "tlsroutes", "TLSRoute"},
      {"gateway.networking.k8s.io", {"v1", "v1alpha2"}, "tcproutes", "TCPRoute"},
      {"gateway.networking.k8s.io",
       {"v1", "v1beta1", "v1alpha2"},
       "referencegrants",
       "ReferenceGrant"},
      {"multicluster.x-k8s.io", {"v1beta1", "v1alpha1"}, "serviceexports", "ServiceExport"},
      {"multicluster.x-k8s.io", {"v1beta1", "v1alpha1"}, "serviceimports", "ServiceImport"},
  };
}

bool IsOfUse(const WatchedResource& resource) {
  return IsUsed(
      KindOf({KindName(resource.group, resource.kind), resource.namespace_, resource.name}));
}

}  // namespace

std::string WatchedResource::Name() const {
  const std::string all = group.empty() ? plural : absl::StrCat(plural, ".", group);
  if (!label_selector.empty()) return absl::StrCat(all, " ", namespace_, " (", label_selector, ")");
  return name.empty() ? all : absl::StrCat(all, " ", namespace_, "/", name);
}

WatchedResource WatchedSecret(const std::string& namespace_, const std::string& name) {
  return {"", {"v1"}, "secrets", "Secret", /*needed=*/false, namespace_, name};
}

std::vector<WatchedResource> RemoteClusterResources() {
  static constexpr absl::string_view kKinds[] = {"Namespace",     "Node", "Service",
                                                 "EndpointSlice", "Pod",  "ServiceExport"};
  std::vector<WatchedResource> resources = AllResources();
  std::erase_if(resources, [](const WatchedResource& resource) {
    return std::find(std::begin(kKinds), std::end(kKinds), resource.kind) == std::end(kKinds);
  });
  return resources;
}

WatchedResource RemoteClusterSecrets() {
  WatchedResource secrets = {"", {"v1"}, "secrets", "Secret"};
  secrets.namespace_ = std::string(kMeshConfigNamespace);
  secrets.label_selector = "istio/multiCluster=true";
  return secrets;
}

std::vector<WatchedResource> WatchedResources() {
  std::vector<WatchedResource> resources = AllResources();
  resources.erase(std::remove_if(resources.begin(), resources.end(),
                                 [](const WatchedResource& r) { return !IsOfUse(r); }),
                  resources.end());
  return resources;
}

}  // namespace weft
