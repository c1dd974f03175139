// The Registry's part that is not of Kubernetes: ServiceEntries, and the machines and pods behind
// them.
#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/match.h"
#include "api/istio/networking.pb.h"
#include "api/kubernetes/core.pb.h"
#include "controlplane/model/checker.h"
#include "controlplane/model/kubernetes.h"
#include "controlplane/model/registry.h"
#include "controlplane/model/service_entry.h"

namespace weft {
namespace {

// A pod without conditions is one that a file tells of: it is taken as ready.
bool IsReady(const kubernetes::Pod& pod) {
  return std::none_of(pod.status().conditions().begin(), pod.status().conditions().end(),
                      [](const auto& condition) {
                        return condition.type() == "Ready" && condition.status() != "True";
                      });
}

Labels LabelsOf(const kubernetes::Pod& pod) {
  return Labels(pod.metadata().labels().begin(), pod.metadata().labels().end());
}

// The part of a map whose keys are of one namespace.
template <typename Map>
std::pair<typename Map::const_iterator, typename Map::const_iterator> InNamespace(
    const Map& map, const std::string& namespace_) {
  auto first = map.lower_bound({namespace_, ""});
  auto last = first;
  while (last != map.end() && last->first.first == namespace_) ++last;
  return {first, last};
}

}  // namespace

void Registry::UnlinkEntry(const Name& name) {
  const auto known = local_.service_entries.find(name);
  if (known == local_.service_entries.end()) return;
  for (const std::string& host : known->second.spec->hosts()) {
    const Name declared(name.first, host);
    entries_of_[declared].erase(name);
    changed_hosts_.insert(declared);
  }
}

void Registry::LinkEntry(const Name& name) {
  for (const std::string& host : local_.service_entries.at(name).spec->hosts()) {
    const Name declared(name.first, host);
    entries_of_[declared].insert(name);
    changed_hosts_.insert(declared);
  }
}

void Registry::TouchSelecting(const std::string& namespace_, const Labels& labels) {
  const auto [first, last] = InNamespace(local_.service_entries, namespace_);
  for (auto it = first; it != last; ++it) {
    if (!SelectsWorkload(it->second, labels)) continue;
    for (const std::string& host : it->second.spec->hosts()) {
      changed_hosts_.insert({namespace_, host});
    }
  }
}

void Registry::UnlinkMachine(const Name& name) {
  const auto known = local_.workload_entries.find(name);
  if (known == local_.workload_entries.end()) return;
  TouchMachine(name, known->second);
  const auto at = machines_at_.find(known->second.spec->address());
  if (at == machines_at_.end()) return;
  at->second.erase(name);
  if (at->second.empty()) machines_at_.erase(at);
}

void Registry::LinkMachine(const Name& name) {
  const WorkloadEntryConfig& machine = local_.workload_entries.at(name);
  TouchMachine(name, machine);
  const std::string& address = machine.spec->address();
  if (IsIp(address)) machines_at_[address].insert(name);
}

void Registry::TouchMachine(const Name& name, const WorkloadEntryConfig& at) {
  const Labels labels = LabelsOf(at);
  TouchSelecting(name.first, labels);
  const auto [first, last] = InNamespace(services_, name.first);
  for (auto it = first; it != last; ++it) {
    if (SelectsWorkload(*it->second, labels)) changed_services_.insert(it->first);
  }
  changed_workloads_.insert(at.spec->address());
}

void Registry::TouchPod(const Name& name) {
  const auto known = pods_.find(name);
  if (known != pods_.end()) TouchSelecting(name.first, LabelsOf(*known->second));
}

// Nodes' localities are those of the pods on them.
void Registry::TouchAllSelecting() {
  for (const auto& [name, entry] : local_.service_entries) {
    if (!entry.spec->has_workload_selector()) continue;
    for (const std::string& host : entry.spec->hosts()) changed_hosts_.insert({name.first, host});
  }
}

void Registry::BuildHost(const Name& declared) {
  const auto& [namespace_, host] = declared;
  std::vector<const ServiceEntryConfig*> entries;
  for (const Name& name : entries_of_[declared]) {
    entries.push_back(&local_.service_entries.at(name));
  }
  const std::string key = namespace_ + "/" + host;
  if (entries.empty()) {
    entries_of_.erase(declared);
    local_.services.erase(key);
    local_.endpoints.erase(key);
    return;
  }
  std::sort(entries.begin(), entries.end(), [](const auto* a, const auto* b) {
    return std::tie(a->creation_timestamp, a->key.name) <
           std::tie(b->creation_timestamp, b->key.name);
  });
  Endpoints endpoints;
  for (const ServiceEntryConfig* entry : entries) {
    for (Endpoint& endpoint : EndpointsOf(host, *entry)) endpoints.push_back(std::move(endpoint));
  }
  Assign(local_.endpoints, key, std::move(endpoints));
  Assign(local_.services, key, ServiceFrom(host, entries));
}

Endpoints Registry::EndpointsOf(const std::string& host, const ServiceEntryConfig& entry) const {
  Endpoints endpoints = ListedEndpoints(*self_, host, entry);
  if (!entry.spec->has_workload_selector()) return endpoints;
  const std::string& namespace_ = entry.key.namespace_;
  const auto machines = InNamespace(local_.workload_entries, namespace_);
  for (auto it = machines.first; it != machines.second; ++it) {
    if (!SelectsWorkload(entry, LabelsOf(it->second))) continue;
    endpoints.push_back(EndpointFrom(*self_, entry, it->second));
  }
  const auto pods = InNamespace(pods_, namespace_);
  for (auto it = pods.first; it != pods.second; ++it) {
    const kubernetes::Pod& pod = *it->second;
    if (!HasAddress(pod) || !IsReady(pod) || !SelectsWorkload(entry, LabelsOf(pod))) continue;
    endpoints.push_back(EndpointFrom(*self_, entry, pod, LocalityAt(pod.spec().node_name(), "")));
  }
  return endpoints;
}

void Registry::AddMachines(const std::string& namespace_, const kubernetes::Service& service,
                           std::map<std::string, Endpoint>& by_address) const {
  const auto [first, last] = InNamespace(local_.workload_entries, namespace_);
  for (auto it = first; it != last; ++it) {
    const WorkloadEntryConfig& machine = it->second;
    // Endpoints of a Service are dialed as they are: a name is none.
    if (!IsIp(machine.spec->address()) || !SelectsWorkload(service, LabelsOf(machine))) continue;
    by_address.try_emplace(machine.spec->address(), EndpointFrom(*self_, service, machine));
  }
}

void Registry::BuildMachine(const std::string& address) {
  const auto at = machines_at_.find(address);
  if (at == machines_at_.end()) {
    local_.workloads.erase(address);
    return;
  }
  // Of several that claim an address, the first by name.
  Assign(local_.workloads, address, WorkloadFrom(local_.workload_entries.at(*at->second.begin())));
}

}  // namespace weft
