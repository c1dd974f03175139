#include "test/kubernetes/two_clusters.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "api/envoy/discovery.grpc.pb.h"
#include "api/envoy/endpoint.pb.h"

namespace weft::test {
namespace {

using apiserver::Fault;
using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::service::discovery::v3::AggregatedDiscoveryService;
using envoy::service::discovery::v3::DiscoveryRequest;
using envoy::service::discovery::v3::DiscoveryResponse;

constexpr char kWeb[] = "outbound|80||web.default.svc.cluster.local";

std::string Indented(const std::string& text) {
  return "      " + absl::StrReplaceAll(text, {{"\n", "\n      "}});
}

void AddAddresses(const ClusterLoadAssignment& assignment, Addresses& addresses) {
  for (const auto& group : assignment.endpoints()) {
    for (const auto& endpoint : group.lb_endpoints()) {
      const auto& at = endpoint.endpoint().address().socket_address();
      addresses.push_back(absl::StrCat(at.address(), ":", at.port_value()));
    }
  }
}

}  // namespace

const char kWest[] = R"(
apiVersion: v1
kind: Service
metadata: {name: web, namespace: default}
spec: {selector: {app: web}, ports: [{name: http, port: 80}]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: web-x, namespace: default, labels: {kubernetes.io/service-name: web}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [{addresses: [10.2.0.1], conditions: {ready: true}, targetRef: {kind: Pod, name: web-1}}]
---
apiVersion: v1
kind: Pod
metadata:
  name: web-1
  namespace: default
  labels: {app: web}
  annotations: {sidecar.istio.io/status: "{}"}
spec: {serviceAccountName: web, containers: [{name: weft-proxy, image: i}]}
status: {phase: Running, podIP: 10.2.0.1}
---
apiVersion: v1
kind: Service
metadata: {name: eastwest, namespace: weft-system, labels: {topology.istio.io/network: west-net}}
spec: {externalIPs: [192.0.2.1], ports: [{name: tls, port: 15443}]}
)";

std::string NamespaceYaml(const std::string& network) {
  return absl::StrCat("apiVersion: v1\nkind: Namespace\nmetadata: {name: weft-system, labels: {",
                      network.empty() ? "" : "topology.istio.io/network: " + network, "}}\n");
}

TwoClusters::TwoClusters() {
  east_.Out({"apply", "-f", "-"}, NamespaceYaml(""));
  west_.Out({"apply", "-f", "-"}, NamespaceYaml("west-net"));
  west_.Out({"create", "-f", "-"}, kWest);
}

void TwoClusters::PutSecret(const std::string& kubeconfig, const std::string& cluster) {
  east_.Out(
      {"apply", "-f", "-"},
      absl::StrCat("apiVersion: v1\nkind: Secret\nmetadata:\n  name: istio-remote-secret-", cluster,
                   "\n  namespace: weft-system\n  labels: {istio/multiCluster: \"true\"}\n",
                   "stringData:\n    ", cluster, ": |\n", Indented(kubeconfig), "\n"));
}

Addresses TwoClusters::Dialed(const std::string& address, const std::string& cluster) {
  grpc::ClientContext context;
  context.set_deadline(std::chrono::system_clock::now() + std::chrono::seconds(2));
  const auto channel = grpc::CreateChannel(absl::StrCat("127.0.0.1:", weftd_->port()),
                                           grpc::InsecureChannelCredentials());
  auto stream = AggregatedDiscoveryService::NewStub(channel)->StreamAggregatedResources(&context);
  DiscoveryRequest request;
  request.set_type_url("type.googleapis.com/envoy.config.endpoint.v3.ClusterLoadAssignment");
  request.mutable_node()->set_id(
      absl::StrCat("sidecar~", address, "~p.default~default.svc.cluster.local"));
  auto& metadata = *request.mutable_node()->mutable_metadata()->mutable_fields();
  metadata["CLUSTER_ID"].set_string_value(cluster);
  request.add_resource_names(kWeb);
  DiscoveryResponse response;
  Addresses addresses;
  if (!stream->Write(request) || !stream->Read(&response)) return addresses;
  context.TryCancel();
  for (const auto& resource : response.resources()) {
    ClusterLoadAssignment assignment;
    if (resource.UnpackTo(&assignment)) AddAddresses(assignment, addresses);
  }
  std::sort(addresses.begin(), addresses.end());
  return addresses;
}

void TwoClusters::TakeDownWest() {
  Fault away;
  away.kind = Fault::Kind::kStatus;
  away.code = 503;
  away.times = -1;
  west_.server().AddFault(away);
  west_.server().DropConnections();
}

}  // namespace weft::test
