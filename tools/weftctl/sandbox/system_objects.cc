#include "tools/weftctl/sandbox/system_objects.h"

#include <cstdlib>
#include <vector>

#include "absl/strings/str_cat.h"
#include "tools/weftctl/sandbox/objects.h"
#include "tools/weftctl/sandbox/topology.h"

namespace weft::sandbox {
namespace {

constexpr char kGatewayYaml[] = R"yaml(
apiVersion: apps/v1
kind: Deployment
metadata:
  name: gateway
  namespace: weft-system
spec:
  replicas: 1
  template:
    metadata:
      labels:
        app: gateway
        istio: eastwestgateway
        sidecar.istio.io/inject: "true"
      annotations:
        inject.istio.io/templates: gateway
    spec:
      serviceAccountName: weft-gateway
      containers:
      - name: weft-proxy
        image: weft/proxy
        ports:
        - name: tls
          containerPort: 15443
        - name: tunnels
          containerPort: 15008
)yaml";

}  // namespace

kubernetes::Deployment GatewayDeployment() {
  std::vector<Problem> problems;
  Objects objects;
  for (auto& object : ParseObjects(kGatewayYaml, "gateway").objects) {
    objects[object->key] = object;
  }
  ClusterObjects typed = TypedObjects(objects, {}, &problems);
  if (typed.deployments.size() != 1) abort();  // the text above is part of this program
  return typed.deployments.begin()->second;
}

kubernetes::Node NodeOf(const ClusterConfig& cluster, const std::string& address) {
  kubernetes::Node node;
  node.set_api_version("v1");
  node.set_kind("Node");
  node.mutable_metadata()->set_name(absl::StrCat(cluster.name, "-node"));
  auto& labels = *node.mutable_metadata()->mutable_labels();
  labels["kubernetes.io/hostname"] = node.metadata().name();
  if (!cluster.region.empty()) labels["topology.kubernetes.io/region"] = cluster.region;
  if (!cluster.zone.empty()) labels["topology.kubernetes.io/zone"] = cluster.zone;
  kubernetes::Node::Address* internal = node.mutable_status()->add_addresses();
  internal->set_type("InternalIP");
  internal->set_address(address);
  return node;
}

kubernetes::Namespace NamespaceCalled(const std::string& name) {
  kubernetes::Namespace made;
  made.set_api_version("v1");
  made.set_kind("Namespace");
  made.mutable_metadata()->set_name(name);
  (*made.mutable_metadata()->mutable_labels())["kubernetes.io/metadata.name"] = name;
  return made;
}

kubernetes::Pod WeftdPod() {
  kubernetes::Pod pod;
  pod.set_api_version("v1");
  pod.set_kind("Pod");
  pod.mutable_metadata()->set_name(kWeftdName);
  pod.mutable_metadata()->set_namespace_(kSystemNamespace);
  (*pod.mutable_metadata()->mutable_labels())["app"] = kWeftdName;
  pod.mutable_spec()->set_service_account_name(kWeftdName);
  pod.mutable_spec()->add_containers()->set_name(kWeftdName);
  pod.mutable_status()->set_pod_ip(kWeftdIp);
  return pod;
}

}  // namespace weft::sandbox
