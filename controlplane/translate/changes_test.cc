// Objects come, change and go at random, the way they really do: what Translations make step by
// step of ServiceEntries, WorkloadEntries and Sidecars is what a translation from scratch makes.
#include <cstdio>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "controlplane/translate/simulated_mesh.h"
#include "controlplane/translate/translate.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

// An object in its possible forms.
struct Changing {
  const char* head;  // up to its metadata's end
  std::vector<const char*> forms;
};

const std::vector<Changing>& Objects() {
  static const auto& objects = *new std::vector<Changing>{
      {"apiVersion: v1, kind: Service, metadata: {name: web",
       {"spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{name: http, port: 80}]}",
        "spec: {clusterIP: 10.96.0.1, selector: {app: web}, ports: [{name: http, port: 80}, {name: "
        "tcp, port: 9000}]}"}},
      {"apiVersion: discovery.k8s.io/v1, kind: EndpointSlice, metadata: {name: web-1, labels: "
       "{kubernetes.io/service-name: web}",
       {"addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: [{addresses: "
        "[10.244.1.1], conditions: {ready: true}}]",
        "addressType: IPv4, ports: [{name: http, port: 8080}], endpoints: [{addresses: "
        "[10.244.1.1, 10.244.1.2], conditions: {ready: true}}]"}},
      {"apiVersion: v1, kind: Pod, metadata: {name: a, labels: {app: web}",
       {"status: {phase: Running, podIP: 10.244.1.1}",
        "spec: {serviceAccountName: web}, status: {phase: Running, podIP: 10.244.1.1}"}},
      {"apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: vms",
       {"spec: {hosts: [vms.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: "
        "STATIC, location: MESH_INTERNAL, workloadSelector: {labels: {app: web}}}",
        "spec: {hosts: [vms.test], addresses: [10.9.9.9], ports: [{number: 80, name: http, "
        "protocol: HTTP}, {number: 5432, name: db, protocol: TCP}], resolution: STATIC, "
        "workloadSelector: {labels: {app: web}}}"}},
      {"apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: away",
       {"spec: {hosts: [away.test], ports: [{number: 443, name: tls, protocol: TLS}], resolution: "
        "DNS}",
        "spec: {hosts: [away.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: "
        "STATIC, endpoints: [{address: 10.7.0.1}]}"}},
      {"apiVersion: networking.istio.io/v1, kind: ServiceEntry, metadata: {name: theirs, "
       "namespace: "
       "other",
       {"spec: {hosts: [away.test], ports: [{number: 80, name: http, protocol: HTTP}], resolution: "
        "STATIC, endpoints: [{address: 10.7.0.2}]}",
        "spec: {hosts: [away.test], exportTo: ['.'], ports: [{number: 80, name: http, protocol: "
        "HTTP}], resolution: STATIC, endpoints: [{address: 10.7.0.3, weight: 2}]}"}},
      {"apiVersion: networking.istio.io/v1, kind: WorkloadEntry, metadata: {name: machine",
       {"spec: {address: 10.8.0.1, labels: {app: web}}",
        "spec: {address: 10.8.0.1, serviceAccount: vm, labels: {app: web}, locality: eu/eu-1}",
        "spec: {address: 10.244.1.1, labels: {app: web}}"}},
      {"apiVersion: networking.istio.io/v1, kind: Sidecar, metadata: {name: usual",
       {"spec: {egress: [{hosts: ['./*']}]}", "spec: {egress: [{hosts: ['*/away.test']}]}",
        "spec: {outboundTrafficPolicy: {mode: REGISTRY_ONLY}}"}},
      {"apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: web",
       {"spec: {hosts: [web], http: [{timeout: 1s, route: [{destination: {host: web}}]}]}",
        "spec: {hosts: [web], http: [{route: [{destination: {host: web}}], headers: {request: "
        "{set: {a: b}}}}]}"}},
      {"apiVersion: networking.istio.io/v1, kind: VirtualService, metadata: {name: in-set",
       {"spec: {hosts: [web.default.svc.clusterset.local], http: [{timeout: 2s, route: "
        "[{destination: {host: web}}]}]}"}},
      {"apiVersion: v1, kind: Namespace, metadata: {name: default, labels: "
       "{weft.io/merge-local: 'false'}",
       {"spec: {}"}},
      {"apiVersion: networking.istio.io/v1, kind: DestinationRule, metadata: {name: vms",
       {"spec: {host: vms.test, trafficPolicy: {loadBalancer: {simple: RANDOM}}}",
        "spec: {host: vms.test, trafficPolicy: {connectionPool: {http: {http1MaxPendingRequests: "
        "7}}}}"}},
  };
  return objects;
}

std::vector<ProxyView> Views() {
  std::vector<ProxyView> views = {ClientIn("default"), ClientIn("other")};
  for (const char* address : {"10.244.1.1", "10.8.0.1"}) {
    views.push_back(ClientIn("default", {{"app", "web"}}));
    views.back().address = address;
  }
  views.push_back(ClientIn("default"));
  views.back().role = ProxyRole::kProxyless;
  return views;
}

std::string Differing(const Resources& a, const Resources& b) {
  std::string names;
  for (auto type : kAllResources) {
    EncodedResources::Diff(a.*type, b.*type,
                           [&](const std::string& name, const auto* one, const auto* other) {
                             if (one != nullptr && other != nullptr && **one == **other) return;
                             absl::StrAppend(&names, " ", name);
                           });
  }
  return names;
}

// What west has of web: nothing, or so many pods of two versions, in the cluster set alone or not.
std::vector<ExportedService> WestHas(std::mt19937& random) {
  if (random() % 4 == 0) return {};
  ExportedService web{"default", "web", {{"http", 80, Protocol::kHttp}}, {}};
  web.groups = {{{}, {{"v", "1"}}, "web", static_cast<uint32_t>(random() % 3)},
                {{}, {{"v", "2"}}, "web", static_cast<uint32_t>(random() % 3)}};
  web.cluster_set_only = random() % 4 == 0;
  return {web};
}

TEST(Changes, StepByStepEqualFromScratch) {
  const unsigned seed = std::random_device{}();
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  printf("seed %u\n", seed);
  for (unsigned round = 0; round < 4; ++round) {
    std::mt19937 random(seed + round);
    SimulatedMesh mesh;
    std::string history;
    for (int step = 0; step < 80; ++step) {
      const Changing& object = Objects()[random() % Objects().size()];
      const size_t form = random() % (object.forms.size() + 1);
      const bool gone = form == object.forms.size();
      const std::string yaml =
          absl::StrCat("{", object.head, gone ? ", deletionTimestamp: now" : "", "}, ",
                       object.forms[gone ? 0 : form], "}");
      absl::StrAppend(&history, "\n", yaml);
      mesh.Apply(yaml);
      if (random() % 3 == 0) mesh.WestExports(WestHas(random));
      for (const ProxyView& view : Views()) {
        if (random() % 4 == 0) continue;  // some are away for a while
        ASSERT_EQ(Differing(*mesh.ResourcesFor(view), Translate(*mesh.world(), view)), "")
            << "for " << view.namespace_ << " " << view.address << " after" << history;
      }
    }
  }
}

}  // namespace
}  // namespace weft
