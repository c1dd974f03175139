#include "controlplane/translate/run_router.h"

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "api/envoy/type_urls.h"
#include "certs/issuer.h"
#include "certs/test_certificate.h"
#include "controlplane/translate/check.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

std::string ServiceYaml(const std::string& name_space, const std::string& name,
                        const std::string& ports, const std::string& target_ports,
                        const std::string& address, const std::string& labels) {
  return absl::StrReplaceAll(R"(---
apiVersion: v1
kind: Service
metadata: {name: NAME, namespace: SPACE}
spec: {clusterIP: 10.96.ADDR, ports: [PORTS]}
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: NAME-1, namespace: SPACE, labels: {kubernetes.io/service-name: NAME}}
addressType: IPv4
endpoints: [{addresses: [10.244.ADDR], targetRef: {kind: Pod, name: NAME-pod}}]
ports: [TARGETS]
---
apiVersion: v1
kind: Pod
metadata: {name: NAME-pod, namespace: SPACE, labels: {LABELS}, annotations: {sidecar.istio.io/status: x}}
spec: {serviceAccountName: NAME, containers: [{name: app, image: app}]}
status: {phase: Running, podIP: 10.244.ADDR}
)",
                             {{"NAME", name},
                              {"SPACE", name_space},
                              {"TARGETS", target_ports},
                              {"PORTS", ports},
                              {"ADDR", address},
                              {"LABELS", labels}});
}

std::string WorldYaml() {
  std::string yaml;
  const auto add = [&](const char* name, const char* ports, const char* address) {
    yaml += ServiceYaml("shop", name, ports, ports, address, absl::StrCat("app: ", name));
  };
  for (const char* name_space : {"shop", "edge", "other"}) {
    absl::StrAppend(&yaml, "---\napiVersion: v1\nkind: Namespace\nmetadata: {name: ", name_space,
                    ", labels: {team: ", name_space, "}}\n");
  }
  add("reviews", "{name: http, port: 9080}", "0.11");
  add("ratings", "{name: http, port: 9080}", "0.12");
  add("db", "{name: tcp, port: 3306}, {name: tls, port: 443}", "0.13");
  add("greeter", "{name: grpc, port: 50051}", "0.14");
  yaml +=
      ServiceYaml("edge", "ingress",
                  "{name: http, port: 80}, {name: https, port: 443}, {name: tcp, port: 3306}",
                  "{name: http, port: 8080}, {name: https, port: 8443}, {name: tcp, port: 13306}",
                  "0.9", "istio: ingress, gateway.networking.k8s.io/gateway-name: gw");
  return yaml;
}

// As a block of YAML.
std::string Indented(const std::string& pem) {
  std::string text = "|\n";
  for (absl::string_view line : absl::StrSplit(pem, '\n', absl::SkipEmpty())) {
    absl::StrAppend(&text, "    ", line, "\n");
  }
  return text;
}

std::string Meta(const std::string& name_space, const std::string& name) {
  return absl::StrCat("---\napiVersion: v1\nkind: Secret\nmetadata: {name: ", name,
                      ", namespace: ", name_space, "}\n");
}

}  // namespace

Edge::Edge() {
  EXPECT_EQ(Apply(WorldYaml()), "");
  view_.role = ProxyRole::kRouter;
  view_.namespace_ = "edge";
  view_.address = "10.244.0.9";
  view_.service_account = "ingress";
  view_.cluster = "east";
  view_.network = "net-east";
  view_.labels = mesh_.world()->workloads.at(view_.address)->labels;
  view_.identified = true;
}

std::unique_ptr<weft::Sidecar> Edge::RouterAt(const std::string& address) {
  const Workload& workload = *mesh_.world()->workloads.at(address);
  ProxyView view = view_;
  view.namespace_ = workload.namespace_;
  view.address = address;
  view.labels = workload.labels;
  return Run(view);
}

std::unique_ptr<weft::Sidecar> Edge::Run(const ProxyView& view) {
  const std::shared_ptr<const Resources> resources = mesh_.ResourcesFor(view);
  EXPECT_EQ(CheckResources(*resources), std::vector<std::string>());
  auto proxy = std::make_unique<weft::Sidecar>(mesh_.world()->self->trust_domain);
  proxy->Apply(kSecretType, resources->secrets);
  proxy->Apply(kClusterType, resources->clusters);
  proxy->Apply(kEndpointType, resources->endpoints);
  proxy->Apply(kListenerType, resources->listeners);
  proxy->Apply(kRouteType, resources->routes);
  EXPECT_EQ(proxy->Complaints(), std::vector<std::string>());
  return proxy;
}

std::string SecretYaml(const std::string& name_space, const std::string& name,
                       const std::string& roots) {
  const certs::Issuer issuer = *certs::Issuer::CreateRoot("example.com", absl::Now());
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  certs::TestCertificateOptions options;
  options.dns = {name + ".example.com"};
  options.not_before = absl::Now() - absl::Hours(1);
  options.not_after = absl::Now() + absl::Hours(1);
  const std::string chain = certs::MakeTestCertificate(issuer, key.public_key(), options).ToPem();
  std::string yaml =
      absl::StrCat(Meta(name_space, name), "type: kubernetes.io/tls\nstringData:\n",
                   "  tls.crt: ", Indented(chain), "  tls.key: ", Indented(key.ToPem()));
  if (!roots.empty()) absl::StrAppend(&yaml, "  ca.crt: ", Indented(issuer.root().ToPem()));
  return yaml;
}

std::string RootsYaml(const std::string& name_space, const std::string& name) {
  const certs::Issuer issuer = *certs::Issuer::CreateRoot("example.com", absl::Now());
  return absl::StrCat(Meta(name_space, name),
                      "stringData:\n  cacert: ", Indented(issuer.root().ToPem()));
}

}  // namespace weft
