#include "controlplane/model/service_entry.h"

#include <algorithm>
#include <set>
#include <tuple>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"
#include "api/istio/networking.pb.h"
#include "api/kubernetes/core.pb.h"
#include "controlplane/model/ip_families.h"
#include "controlplane/model/kubernetes.h"

namespace weft {
namespace {

namespace networking = istio::networking::v1alpha3;
using networking::ServiceEntry;
using networking::WorkloadEntry;

constexpr char kTlsModeLabel[] = "security.istio.io/tlsMode";
constexpr char kNetworkLabel[] = "topology.istio.io/network";
constexpr char kMeshTls[] = "istio";
constexpr char kDefaultAccount[] = "default";

template <typename Map>
bool HasAll(const Labels& labels, const Map& selector) {
  return std::all_of(selector.begin(), selector.end(), [&](const auto& wanted) {
    const auto found = labels.find(wanted.first);
    return found != labels.end() && found->second == wanted.second;
  });
}

Resolution ResolutionOf(const ServiceEntry& spec) {
  switch (spec.resolution()) {
    case ServiceEntry::STATIC:
      return Resolution::kEndpoints;
    case ServiceEntry::DNS:
      return Resolution::kDns;
    case ServiceEntry::DNS_ROUND_ROBIN:
      return Resolution::kDnsRoundRobin;
    default:
      return Resolution::kOriginalDestination;
  }
}

bool IsDns(Resolution resolution) {
  return resolution == Resolution::kDns || resolution == Resolution::kDnsRoundRobin;
}

bool IsBlock(absl::string_view address) { return absl::StrContains(address, "/"); }

Locality LocalityFrom(absl::string_view text) {
  const std::vector<std::string> parts = absl::StrSplit(text, '/');
  return {parts[0], parts.size() > 1 ? parts[1] : "", parts.size() > 2 ? parts[2] : ""};
}

// A sidecar answers there: by the label, else whoever states an account is expected to prove it.
bool AnswersMtls(const WorkloadEntry& spec, const Labels& labels) {
  const auto mode = labels.find(kTlsModeLabel);
  if (mode != labels.end()) return mode->second == kMeshTls;
  return !spec.service_account().empty();
}

std::string AccountOf(const WorkloadEntry& spec, bool mtls) {
  if (!spec.service_account().empty()) return spec.service_account();
  return mtls ? kDefaultAccount : "";
}

// All but the ports.
Endpoint MachineAt(const ClusterIdentity& self, const std::string& namespace_,
                   const WorkloadEntry& spec, Labels labels) {
  Endpoint endpoint;
  endpoint.cluster = self.cluster;
  endpoint.network = spec.network();
  if (const auto label = labels.find(kNetworkLabel);
      endpoint.network.empty() && label != labels.end()) {
    endpoint.network = label->second;
  }
  endpoint.locality = LocalityFrom(spec.locality());
  endpoint.namespace_ = namespace_;
  endpoint.trust_domain = self.trust_domain;
  endpoint.mtls = AnswersMtls(spec, labels);
  endpoint.service_account = AccountOf(spec, endpoint.mtls);
  endpoint.labels = std::move(labels);
  endpoint.address = spec.address();
  endpoint.weight = std::max<uint32_t>(spec.weight(), 1);
  return endpoint;
}

using PortNumbers = google::protobuf::Map<std::string, uint32_t>;

std::map<uint16_t, uint16_t> TargetPorts(const ServiceEntry& spec, const PortNumbers& machine) {
  std::map<uint16_t, uint16_t> targets;
  for (const networking::ServicePort& port : spec.ports()) {
    uint32_t target = port.target_port() != 0 ? port.target_port() : port.number();
    if (const auto own = machine.find(port.name()); own != machine.end()) target = own->second;
    targets[static_cast<uint16_t>(port.number())] = static_cast<uint16_t>(target);
  }
  return targets;
}

// 0: the machine does not have it.
uint16_t TargetPort(const kubernetes::ServicePort& port, const PortNumbers& machine) {
  if (const auto own = machine.find(port.name()); own != machine.end()) return own->second;
  const google::protobuf::Value& target = port.target_port();
  if (target.kind_case() == google::protobuf::Value::kStringValue) {
    const auto named = machine.find(target.string_value());
    return named == machine.end() ? 0 : named->second;
  }
  if (target.kind_case() == google::protobuf::Value::kNumberValue && target.number_value() > 0) {
    return static_cast<uint16_t>(target.number_value());
  }
  return static_cast<uint16_t>(port.port());
}

}  // namespace

std::optional<Protocol> NamedProtocol(absl::string_view name) {
  const std::string upper = absl::AsciiStrToUpper(name);
  if (upper == "HTTP" || upper == "HTTP_PROXY") return Protocol::kHttp;
  if (upper == "HTTP2") return Protocol::kHttp2;
  if (upper == "GRPC" || upper == "GRPC-WEB") return Protocol::kGrpc;
  if (upper == "HTTPS" || upper == "TLS") return Protocol::kTls;
  if (upper == "UDP") return Protocol::kUdp;
  if (upper.empty() || upper == "TCP" || upper == "MONGO" || upper == "MYSQL" || upper == "REDIS") {
    return Protocol::kTcp;
  }
  return std::nullopt;
}

std::optional<Protocol> ProtocolOf(const networking::ServicePort& port) {
  return NamedProtocol(port.protocol());
}

Service ServiceFrom(const std::string& host,
                    const std::vector<const ServiceEntryConfig*>& entries) {
  const ServiceEntryConfig& first = *entries.front();
  Service service;
  service.namespace_ = first.key.namespace_;
  service.name = host;
  service.host = host;
  service.export_to.assign(first.spec->export_to().begin(), first.spec->export_to().end());
  service.prefers_close = PrefersClose("", first.annotations);
  EntryTraits traits;
  traits.resolution = ResolutionOf(*first.spec);
  traits.external = first.spec->location() == ServiceEntry::MESH_EXTERNAL;
  std::set<uint32_t> numbers;
  for (const ServiceEntryConfig* entry : entries) {
    for (const networking::ServicePort& port : entry->spec->ports()) {
      if (!numbers.insert(port.number()).second) continue;
      service.ports.push_back({port.name(), static_cast<uint16_t>(port.number()),
                               ProtocolOf(port).value_or(Protocol::kTcp)});
    }
    const auto& spec = *entry->spec;
    traits.addresses.insert(traits.addresses.end(), spec.addresses().begin(),
                            spec.addresses().end());
    traits.subject_alt_names.insert(traits.subject_alt_names.end(),
                                    spec.subject_alt_names().begin(),
                                    spec.subject_alt_names().end());
  }
  const auto ip = std::find_if_not(traits.addresses.begin(), traits.addresses.end(), IsBlock);
  if (ip != traits.addresses.end()) service.address = *ip;
  const auto other = std::find_if(ip, traits.addresses.end(), [&](const std::string& address) {
    return !IsBlock(address) && IsIpv6(address) != IsIpv6(service.address);
  });
  if (other != traits.addresses.end()) service.other_address = *other;
  service.entry = std::move(traits);
  return service;
}

bool WantsVirtualAddress(const Service& service) {
  return service.entry.has_value() && service.entry->addresses.empty() &&
         service.entry->resolution != Resolution::kOriginalDestination &&
         !absl::StartsWith(service.host, "*");
}

Endpoints ListedEndpoints(const ClusterIdentity& self, const std::string& host,
                          const ServiceEntryConfig& entry) {
  const ServiceEntry& spec = *entry.spec;
  Endpoints endpoints;
  for (const WorkloadEntry& listed : spec.endpoints()) {
    Endpoint endpoint = MachineAt(self, entry.key.namespace_, listed,
                                  Labels(listed.labels().begin(), listed.labels().end()));
    endpoint.target_ports = TargetPorts(spec, listed.ports());
    endpoints.push_back(std::move(endpoint));
  }
  if (endpoints.empty() && IsDns(ResolutionOf(spec)) && !spec.has_workload_selector()) {
    WorkloadEntry itself;
    itself.set_address(host);
    endpoints.push_back(MachineAt(self, entry.key.namespace_, itself, {}));
    endpoints.back().target_ports = TargetPorts(spec, {});
  }
  return endpoints;
}

bool SelectsWorkload(const ServiceEntryConfig& entry, const Labels& labels) {
  return entry.spec->has_workload_selector() &&
         HasAll(labels, entry.spec->workload_selector().labels());
}

bool SelectsWorkload(const kubernetes::Service& service, const Labels& labels) {
  const auto& selector = service.spec().selector();
  return !selector.empty() && HasAll(labels, selector);
}

Labels LabelsOf(const WorkloadEntryConfig& machine) {
  Labels labels = machine.labels;
  labels.insert(machine.spec->labels().begin(), machine.spec->labels().end());
  return labels;
}

Endpoint EndpointFrom(const ClusterIdentity& self, const ServiceEntryConfig& entry,
                      const WorkloadEntryConfig& machine) {
  Endpoint endpoint = MachineAt(self, machine.key.namespace_, *machine.spec, LabelsOf(machine));
  endpoint.workload = machine.key.name;
  endpoint.target_ports = TargetPorts(*entry.spec, machine.spec->ports());
  return endpoint;
}

Endpoint EndpointFrom(const ClusterIdentity& self, const kubernetes::Service& service,
                      const WorkloadEntryConfig& machine) {
  Endpoint endpoint = MachineAt(self, machine.key.namespace_, *machine.spec, LabelsOf(machine));
  endpoint.workload = machine.key.name;
  for (const kubernetes::ServicePort& port : service.spec().ports()) {
    const uint16_t target = TargetPort(port, machine.spec->ports());
    if (target != 0) endpoint.target_ports[static_cast<uint16_t>(port.port())] = target;
  }
  return endpoint;
}

Endpoint EndpointFrom(const ClusterIdentity& self, const ServiceEntryConfig& entry,
                      const kubernetes::Pod& pod, Locality locality) {
  Endpoint endpoint;
  endpoint.cluster = self.cluster;
  endpoint.network = self.network;
  endpoint.locality = std::move(locality);
  endpoint.labels = Labels(pod.metadata().labels().begin(), pod.metadata().labels().end());
  endpoint.namespace_ = entry.key.namespace_;
  endpoint.service_account = ServiceAccountOf(pod);
  endpoint.trust_domain = self.trust_domain;
  endpoint.pod = pod.metadata().name();
  endpoint.workload = WorkloadOf(pod);
  endpoint.mtls = IsInjected(pod);
  std::tie(endpoint.address, endpoint.other_address) = AddressesOf(pod);
  endpoint.target_ports = TargetPorts(*entry.spec, {});
  return endpoint;
}

Workload WorkloadFrom(const WorkloadEntryConfig& machine) {
  Labels labels = LabelsOf(machine);
  const bool mtls = AnswersMtls(*machine.spec, labels);
  return {machine.key.namespace_,
          machine.key.name,
          machine.spec->address(),
          /*other_address=*/"",
          AccountOf(*machine.spec, mtls),
          machine.key.name,
          std::move(labels),
          LocalityFrom(machine.spec->locality()),
          mtls};
}

}  // namespace weft
