#include "test/bench/xds_mesh.h"

#include <time.h>

namespace weft {

int64_t NowNanoseconds() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000LL + now.tv_nsec;
}

std::string AddressOf(int service, int endpoint, const BenchMesh& mesh) {
  const int n = service * mesh.endpoints + endpoint;
  return absl::StrCat("10.", n >> 16 & 255, ".", n >> 8 & 255, ".", n & 255);
}

std::string SliceYaml(int service, uint32_t sequence, const BenchMesh& mesh) {
  std::string yaml = absl::StrCat(
      "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\nmetadata: {name: s", service,
      "-1, namespace: ", BenchNamespace(service, mesh), ", labels: {kubernetes.io/service-name: s",
      service, "}}\naddressType: IPv4\nports: [{name: http, port: 8080}]\nendpoints:\n");
  for (int i = 0; i < mesh.endpoints; ++i) {
    const bool changed = i == 0 && sequence > 0;
    absl::StrAppend(&yaml, "- {addresses: [",
                    changed ? SequenceAddress(sequence) : AddressOf(service, i, mesh),
                    "], conditions: {ready: true}}\n");
  }
  return yaml;
}

std::string VirtualServiceYaml(int service, uint32_t sequence, const BenchMesh& mesh) {
  return absl::StrCat(
      "apiVersion: networking.istio.io/v1\nkind: VirtualService\nmetadata: {name: s", service,
      ", namespace: ", BenchNamespace(service, mesh), "}\nspec: {hosts: [s", service,
      "], http: [{route: [{destination: {host: s", service,
      "}}], headers: {request: {set: {x-sequence: \"", SequenceAddress(sequence), "\"}}}}]}\n");
}

std::string ServiceYaml(int service, const BenchMesh& mesh) {
  return absl::StrCat("---\napiVersion: v1\nkind: Service\nmetadata: {name: s", service,
                      ", namespace: ", BenchNamespace(service, mesh), "}\nspec: {clusterIP: 10.96.",
                      service >> 8, ".", service & 255,
                      ", ports: [{name: http, port: 80}]}\n---\n");
}

std::string SidecarYaml(int number) {
  return absl::StrCat(
      "apiVersion: networking.istio.io/v1\nkind: Sidecar\nmetadata: {name: default, namespace: n",
      number, "}\nspec: {egress: [{hosts: [\"./*\"]}]}\n");
}

}  // namespace weft
