#include "test/simulation/objects.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/substitute.h"

namespace weft::simulation {
namespace {

constexpr uint16_t kPort = 80;

int IndexOf(const ServiceName& service) {
  const auto& all = AllServices();
  const auto found = std::find(all.begin(), all.end(), service);
  return found == all.end() ? 99 : static_cast<int>(found - all.begin());
}

// The same in every cluster: addresses never cross.
std::string AddressOf(const ServiceName& service, int pod) {
  return absl::StrCat("10.244.", 1 + IndexOf(service), ".", 1 + pod);
}

std::string ZoneOf(int pod) { return absl::StrCat("z", pod % kZones); }

std::string PodYaml(const ServiceName& service, int pod) {
  return absl::Substitute(R"(---
apiVersion: v1
kind: Pod
metadata:
  name: $1-$2
  namespace: $0
  labels: {app: $1}
  annotations: {sidecar.istio.io/status: "{}"}
spec: {serviceAccountName: $1, nodeName: node-$3, containers: [{name: app}]}
status: {podIP: $4, phase: Running}
)",
                          service.first, service.second, pod, ZoneOf(pod), AddressOf(service, pod));
}

std::string ServiceYaml(const ServiceName& service) {
  return absl::Substitute(R"(---
apiVersion: v1
kind: Service
metadata: {name: $1, namespace: $0}
spec:
  clusterIP: 10.96.0.$2
  selector: {app: $1}
  ports: [{name: http, port: $3, targetPort: 8080}]
)",
                          service.first, service.second, 1 + IndexOf(service), kPort);
}

std::string NodeYaml(int cluster, int zone) {
  return absl::Substitute(R"(---
apiVersion: v1
kind: Node
metadata:
  name: node-z$1
  labels: {topology.kubernetes.io/region: r$0, topology.kubernetes.io/zone: z$1}
)",
                          cluster, zone);
}

// It changes no traffic.
std::string PolicyYaml(const ObjectKey& key, int form) {
  return absl::Substitute(R"(---
apiVersion: security.istio.io/v1
kind: AuthorizationPolicy
metadata:
  name: $1
  namespace: $0
  annotations:
    weft.io/distribute-to: "*"
    weft.io/distribute-order: c0
    weft.io/distribute-pause: 2s
spec: {action: AUDIT, rules: [{from: [{source: {namespaces: [$2]}}]}]}
)",
                          key.namespace_, key.name, Objects::MarkOfForm(form));
}

}  // namespace

const std::vector<ServiceName>& AllServices() {
  static const auto* const kServices = new std::vector<ServiceName>{
      {"default", "web"}, {"default", "cart"}, {"shop", "web"}, {"shop", "pay"}, {"shop", "mail"}};
  return *kServices;
}

const ServiceName& SystemService() {
  static const auto* const kVault = new ServiceName("kube-system", "vault");
  return *kVault;
}

std::string HostOf(const ServiceName& service) {
  return absl::StrCat(service.second, ".", service.first, ".svc.cluster.local");
}

Objects::Objects(int cluster) : cluster_(cluster) {
  for (int zone = 0; zone < kZones; ++zone) Put(NodeYaml(cluster_, zone));
}

const Objects::Service& Objects::Truth(const ServiceName& service) const {
  static const auto* const kNone = new Service;
  const auto found = services_.find(service);
  return found == services_.end() ? *kNone : found->second;
}

bool Objects::IsPodOf(const ServiceName& service, const std::string& address) const {
  for (int pod = 0; pod < kPodsOfService; ++pod) {
    if (AddressOf(service, pod) == address) return true;
  }
  return false;
}

bool Objects::WasReadySince(const ServiceName& service, const std::string& address,
                            absl::Duration when) const {
  for (const auto& [pod, ready] : Truth(service).pods) {
    if (AddressOf(service, pod) == address) return ready.WasTrueSince(when);
  }
  return false;
}

PeerExports Objects::Exports() const {
  PeerExports exports;
  for (const auto& [name, service] : services_) {
    if (!service.exported.value()) continue;
    ExportedService exported{name.first, name.second, {{"http", kPort, Protocol::kHttp}}, {}};
    std::map<std::string, uint32_t> ready;
    for (const auto& [pod, is_ready] : service.pods) {
      if (is_ready.value()) ++ready[ZoneOf(pod)];
    }
    for (const auto& [zone, count] : ready) {
      ExportedGroup group;
      group.locality = {absl::StrCat("r", cluster_), zone};
      group.labels = {{"app", name.second}};
      group.service_account = name.second;
      group.ready = count;
      exported.groups.push_back(std::move(group));
    }
    exports.emplace(name, std::move(exported));
  }
  return exports;
}

std::set<std::string> Objects::ReadyAddresses(const ServiceName& service) const {
  std::set<std::string> addresses;
  if (!there_.contains(service)) return addresses;
  for (const auto& [pod, ready] : Truth(service).pods) {
    if (ready.value()) addresses.insert(AddressOf(service, pod));
  }
  return addresses;
}

std::vector<ObjectDelta> Objects::All() const {
  std::vector<ObjectDelta> all;
  for (const auto& [key, object] : objects_) all.push_back(object);
  return all;
}

std::vector<ObjectDelta> Objects::Put(const std::string& yaml) {
  std::vector<ObjectDelta> deltas;
  for (const auto& object : ParseObjects(yaml, "simulated").objects) {
    deltas.push_back({object->key, object});
    objects_[object->key] = deltas.back();
  }
  return deltas;
}

std::string Objects::SliceYaml(const ServiceName& service) const {
  std::string endpoints;
  for (const auto& [pod, ready] : Truth(service).pods) {
    absl::StrAppend(&endpoints, endpoints.empty() ? "" : ", ", "{addresses: [",
                    AddressOf(service, pod), "], targetRef: {kind: Pod, name: ", service.second,
                    "-", pod, "}, conditions: {ready: ", ready.value() ? "true" : "false", "}}");
  }
  return absl::Substitute(R"(---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata: {name: $1-1, namespace: $0, labels: {kubernetes.io/service-name: $1}}
addressType: IPv4
ports: [{name: http, port: 8080}]
endpoints: [$2]
)",
                          service.first, service.second, endpoints);
}

void Objects::UpdateFacts(const ServiceName& service, absl::Duration now) {
  Service& truth = services_[service];
  const bool there = there_.contains(service) && service != SystemService();
  bool ready = false;
  for (const auto& [pod, is_ready] : truth.pods) ready |= is_ready.value();
  truth.exported.Set(there, now);
  truth.ready.Set(there && ready, now);
}

std::vector<ObjectDelta> Objects::SetService(const ServiceName& service, bool there,
                                             absl::Duration now) {
  std::vector<ObjectDelta> deltas;
  if (there) {
    there_.insert(service);
    deltas = Put(ServiceYaml(service));
  } else {
    there_.erase(service);
    const ObjectKey key{"Service", service.first, service.second};
    objects_.erase(key);
    deltas.push_back({key, nullptr});
  }
  UpdateFacts(service, now);
  return deltas;
}

std::vector<ObjectDelta> Objects::SetPod(const ServiceName& service, int pod, bool ready,
                                         absl::Duration now) {
  const bool is_new = !services_[service].pods.contains(pod);
  services_[service].pods[pod].Set(ready, now);
  UpdateFacts(service, now);
  return Put(is_new ? PodYaml(service, pod) + SliceYaml(service) : SliceYaml(service));
}

ObjectKey Objects::PolicyOf(int cluster) {
  return {"AuthorizationPolicy", "shop", absl::StrCat("audit-c", cluster)};
}

std::string Objects::MarkOfForm(int form) { return absl::StrCat("form-", form, "-"); }

std::vector<ObjectDelta> Objects::SetPolicy(bool there, absl::Duration now) {
  policy_.there.Set(there, now);
  const ObjectKey key = PolicyOf(cluster_);
  if (there) return Put(PolicyYaml(key, ++policy_.form));
  objects_.erase(key);
  return {{key, nullptr}};
}

}  // namespace weft::simulation
