// How long a cold start from an API server takes: 10,000 Services and their EndpointSlices with ten
// endpoints each, over loopback, from the first request to the World of the registry. Server and
// client share one thread, so the figure is of one core, the server's share included.
#include <cstdio>
#include <ctime>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "controlplane/model/registry.h"
#include "controlplane/sources/kubernetes/scripted_server_for_test.h"
#include "controlplane/sources/kubernetes/source.h"

namespace weft {
namespace {

constexpr int kServices = 10'000;
constexpr int kEndpoints = 10;

// What an API server says of each object beside what matters.
std::string Metadata(const std::string& name, int version, const std::string& labels) {
  return absl::StrCat(
      R"("metadata":{"name":")", name, R"(","namespace":"default","uid":"0b6d2f7e-6a1f-4f0e-9)",
      R"(d0e-8f3f0a5d9c11","resourceVersion":")", version,
      R"(","creationTimestamp":"2026-01-01T00:00:00Z","labels":{)", labels,
      R"(},"annotations":{"endpoints.kubernetes.io/last-change-trigger-time":"2026-01-01T00:00:)",
      R"(00Z"},"managedFields":[{"manager":"kube-controller-manager","operation":"Update",)",
      R"("apiVersion":"v1","time":"2026-01-01T00:00:00Z","fieldsType":"FieldsV1","fieldsV1":)",
      R"({"f:metadata":{"f:labels":{".":{},"f:app":{}}},"f:spec":{"f:ports":{}}}}]})");
}

std::string Service(int i) {
  const std::string name = absl::StrCat("service-", i);
  return absl::StrCat("{", Metadata(name, i + 1, absl::StrCat(R"("app":")", name, "\"")),
                      R"(,"spec":{"ports":[{"name":"http","protocol":"TCP","port":80,)",
                      R"("targetPort":8080}],"selector":{"app":")", name,
                      R"("},"clusterIP":"10.96.)", i / 250, ".", i % 250,
                      R"(","type":"ClusterIP","sessionAffinity":"None","ipFamilies":["IPv4"]},)",
                      R"("status":{"loadBalancer":{}}})");
}

std::string Slice(int i) {
  const std::string name = absl::StrCat("service-", i);
  std::string endpoints;
  for (int k = 0; k < kEndpoints; ++k) {
    absl::StrAppend(&endpoints, k == 0 ? "" : ",", R"({"addresses":["10.)", k + 1, ".", i / 250,
                    ".", i % 250,
                    R"("],"conditions":{"ready":true,"serving":true,"terminating":false},)",
                    R"("targetRef":{"kind":"Pod","namespace":"default","name":")", name, "-", k,
                    R"(","uid":"7f1c3b9a-0d51-4f7e-b0b7-1f2d3c4b5a69"},"nodeName":"node-)", k,
                    R"(","zone":"zone-a"})");
  }
  return absl::StrCat("{",
                      Metadata(name + "-abcde", i + 1,
                               absl::StrCat(R"("kubernetes.io/service-name":")", name, "\"")),
                      R"(,"addressType":"IPv4","endpoints":[)", endpoints,
                      R"(],"ports":[{"name":"http","protocol":"TCP","port":8080}]})");
}

std::string ListOf(std::string (*item)(int)) {
  std::string list = R"({"kind":"List","metadata":{"resourceVersion":"99999"},"items":[)";
  for (int i = 0; i < kServices; ++i) absl::StrAppend(&list, i == 0 ? "" : ",", item(i));
  return list + "]}";
}

double CpuSeconds() { return static_cast<double>(clock()) / CLOCKS_PER_SEC; }

void Run() {
  const std::string services = ListOf(Service);
  const std::string slices = ListOf(Slice);
  EventLoop loop;
  ScriptedServer server(loop, [&](const ScriptedRequest& request) {
    ScriptedAnswer answer;
    answer.watch = absl::StrContains(request.target, "watch=1");
    if (request.target == "/apis/discovery.k8s.io") {
      answer.body = R"({"versions":[{"version":"v1"}]})";
    } else if (!answer.watch) {
      answer.body = absl::StrContains(request.target, "services") ? services : slices;
    }
    return answer;
  });
  Kubeconfig config;
  config.tls = false;
  config.host = "127.0.0.1";
  config.port = server.port();
  KubernetesSource::Options options;
  options.resources = {{"", {"v1"}, "services", "Service", true},
                       {"discovery.k8s.io", {"v1"}, "endpointslices", "EndpointSlice", true}};
  Registry registry(std::make_shared<ClusterIdentity>(), ExportPolicy::kAll);
  const absl::Time began = absl::Now();
  const double cpu = CpuSeconds();
  bool first = false;
  KubernetesSource source(loop, config, options, [&](SourceUpdate update) {
    registry.Apply(update.deltas);
    first |= update.first;
  });
  while (!first) loop.RunOnce(absl::Milliseconds(100));
  const double read = CpuSeconds();
  const World& world = registry.BuildLocal();
  printf("%zu services, %zu bytes: read %.2f s, World %.2f s of CPU; %.2f s in all\n",
         world.services.size(), services.size() + slices.size(), read - cpu, CpuSeconds() - read,
         absl::ToDoubleSeconds(absl::Now() - began));
}

}  // namespace
}  // namespace weft

int main() { weft::Run(); }
