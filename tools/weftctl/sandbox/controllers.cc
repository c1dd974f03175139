#include "tools/weftctl/sandbox/controllers.h"

#include <google/protobuf/io/coded_stream.h>
#include <google/protobuf/io/zero_copy_stream_impl_lite.h>
#include <xxhash.h>

#include <algorithm>
#include <tuple>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weft::sandbox {
namespace {

using kubernetes::Deployment;
using kubernetes::EndpointSlice;
using kubernetes::Pod;
using kubernetes::Service;

// Kubernetes' alphabet for generated names: no vowels, hence no words.
std::string SafeName(uint64_t bits, int length) {
  constexpr char kAlphabet[] = "bcdfghjklmnpqrstvwxz2456789";
  std::string name;
  for (int i = 0; i < length; ++i) {
    name.push_back(kAlphabet[bits % (sizeof(kAlphabet) - 1)]);
    bits /= sizeof(kAlphabet) - 1;
  }
  return name;
}

std::string Deterministic(const google::protobuf::Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream out(&stream);
  out.SetSerializationDeterministic(true);
  message.SerializeToCodedStream(&out);
  out.Trim();
  return bytes;
}

int Replicas(const Deployment& deployment) {
  if (!deployment.spec().has_replicas()) return 1;
  return std::clamp(deployment.spec().replicas(), 0, kMaxReplicas);
}

bool Selects(const Service& service, const Pod& pod) {
  if (service.spec().selector().empty()) return false;
  if (service.metadata().namespace_() != pod.metadata().namespace_()) return false;
  for (const auto& [key, value] : service.spec().selector()) {
    auto label = pod.metadata().labels().find(key);
    if (label == pod.metadata().labels().end() || label->second != value) return false;
  }
  return true;
}

// The pod's port behind a port of the service; 0 where the pod has no port of that name.
int TargetPort(const kubernetes::ServicePort& port, const Pod& pod) {
  const google::protobuf::Value& target = port.target_port();
  if (target.kind_case() == google::protobuf::Value::kNumberValue) {
    return static_cast<int>(target.number_value());
  }
  if (target.kind_case() != google::protobuf::Value::kStringValue) return port.port();
  int number = 0;
  if (absl::SimpleAtoi(target.string_value(), &number)) return number;
  for (const kubernetes::Container& container : pod.spec().containers()) {
    for (const kubernetes::ContainerPort& p : container.ports()) {
      if (p.name() == target.string_value()) return p.container_port();
    }
  }
  return 0;
}

constexpr char kIpv4[] = "IPv4";
constexpr char kIpv6[] = "IPv6";

std::string FamilyOf(const std::string& ip) { return absl::StrContains(ip, ':') ? kIpv6 : kIpv4; }

// What the pod or the service has of that family; empty if nothing.
std::string AddressOf(const Pod& pod, absl::string_view family) {
  const std::string& first = pod.status().pod_ip();
  if (!first.empty() && FamilyOf(first) == family) return first;
  for (const kubernetes::PodIP& one : pod.status().pod_ips()) {
    if (FamilyOf(one.ip()) == family) return one.ip();
  }
  return "";
}
std::string AddressOf(const Service& service, absl::string_view family) {
  const std::string& first = service.spec().cluster_ip();
  if (first.empty() || first == "None") return "";
  if (FamilyOf(first) == family) return first;
  for (const std::string& ip : service.spec().cluster_ips()) {
    if (FamilyOf(ip) == family) return ip;
  }
  return "";
}

void AppendEndpoint(const Pod& pod, const std::string& address, bool ready, EndpointSlice* slice) {
  EndpointSlice::Endpoint* endpoint = slice->add_endpoints();
  endpoint->add_addresses(address);
  endpoint->mutable_conditions()->set_ready(ready);
  endpoint->mutable_conditions()->set_serving(ready);
  endpoint->mutable_conditions()->set_terminating(false);
  endpoint->set_node_name(pod.spec().node_name());
  kubernetes::ObjectReference* target = endpoint->mutable_target_ref();
  target->set_kind("Pod");
  target->set_name(pod.metadata().name());
  target->set_namespace_(pod.metadata().namespace_());
}

std::string ProtocolOf(const std::string& protocol) { return protocol.empty() ? "TCP" : protocol; }

}  // namespace

std::string TemplateHash(const Deployment& deployment) {
  std::string bytes = Deterministic(deployment.spec().template_());
  return SafeName(XXH64(bytes.data(), bytes.size(), 0), 10);
}

ReplicaPlan PlanReplicas(const Deployment& deployment, const std::vector<ReplicaState>& existing) {
  std::string hash = TemplateHash(deployment);
  int wanted = Replicas(deployment);
  std::vector<ReplicaState> present;
  std::vector<std::string> old;
  int ready = 0;
  for (const ReplicaState& replica : existing) {
    if (replica.template_hash != hash) {
      old.push_back(replica.name);
      continue;
    }
    present.push_back(replica);
    if (replica.ready) ++ready;
  }
  ReplicaPlan plan;
  plan.create = std::max(0, wanted - static_cast<int>(present.size()));
  // Of too many, those that are not ready go first.
  std::sort(present.begin(), present.end(), [](const ReplicaState& a, const ReplicaState& b) {
    return std::tie(b.ready, a.name) < std::tie(a.ready, b.name);
  });
  while (static_cast<int>(present.size()) > wanted) {
    plan.remove.push_back(present.back().name);
    present.pop_back();
  }
  if (ready >= wanted) plan.remove.insert(plan.remove.end(), old.begin(), old.end());
  return plan;
}

Pod PodOfDeployment(const Deployment& deployment, uint64_t random) {
  std::string hash = TemplateHash(deployment);
  Pod pod;
  pod.set_api_version("v1");
  pod.set_kind("Pod");
  *pod.mutable_metadata() = deployment.spec().template_().metadata();
  *pod.mutable_spec() = deployment.spec().template_().spec();
  kubernetes::ObjectMeta* meta = pod.mutable_metadata();
  // A name has at most 63 characters; it is the host name too.
  std::string base = deployment.metadata().name().substr(0, 46);
  meta->set_name(absl::StrCat(base, "-", hash, "-", SafeName(random, 5)));
  meta->set_namespace_(deployment.metadata().namespace_());
  (*meta->mutable_labels())["pod-template-hash"] = hash;
  kubernetes::OwnerReference* owner = meta->add_owner_references();
  owner->set_api_version("apps/v1");
  owner->set_kind("ReplicaSet");
  owner->set_name(absl::StrCat(deployment.metadata().name(), "-", hash));
  owner->set_controller(true);
  return pod;
}

bool IsReady(const Pod& pod) {
  for (const kubernetes::Condition& condition : pod.status().conditions()) {
    if (condition.type() == "Ready") return condition.status() == "True";
  }
  return false;
}

std::vector<std::string> IpFamiliesOf(const Service& service, bool dual_stack) {
  if (!dual_stack) return {kIpv4};
  const auto& asked = service.spec().ip_families();
  std::vector<std::string> families(asked.begin(), asked.end());
  if (families.empty()) families.push_back(kIpv4);
  const std::string& policy = service.spec().ip_family_policy();
  if (families.size() == 1 && (policy == "PreferDualStack" || policy == "RequireDualStack")) {
    families.push_back(families.front() == kIpv4 ? kIpv6 : kIpv4);
  }
  return families;
}

EndpointSlice SliceOfService(const Service& service, const std::string& family,
                             const std::vector<const Pod*>& pods) {
  EndpointSlice slice;
  slice.set_api_version("discovery.k8s.io/v1");
  slice.set_kind("EndpointSlice");
  slice.set_address_type(family);
  slice.mutable_metadata()->set_name(
      absl::StrCat(service.metadata().name(), family == kIpv6 ? "-ipv6" : ""));
  slice.mutable_metadata()->set_namespace_(service.metadata().namespace_());
  (*slice.mutable_metadata()->mutable_labels())["kubernetes.io/service-name"] =
      service.metadata().name();
  const Pod* example = nullptr;
  for (const Pod* pod : pods) {
    const std::string address = AddressOf(*pod, family);
    if (!Selects(service, *pod) || address.empty()) continue;
    example = example == nullptr ? pod : example;
    AppendEndpoint(*pod, address, IsReady(*pod) || service.spec().publish_not_ready_addresses(),
                   &slice);
  }
  for (const kubernetes::ServicePort& port : service.spec().ports()) {
    // A named port is taken from the first pod: pods that disagree would need slices of their own.
    int number = example != nullptr ? TargetPort(port, *example) : 0;
    if (number == 0) continue;
    EndpointSlice::Port* out = slice.add_ports();
    out->set_name(port.name());
    out->set_protocol(ProtocolOf(port.protocol()));
    out->set_port(number);
    if (!port.app_protocol().empty()) out->set_app_protocol(port.app_protocol());
  }
  return slice;
}

std::vector<ServicePort> RoutesOfService(const Service& service, const EndpointSlice& slice) {
  std::vector<ServicePort> routes;
  const std::string ip = AddressOf(service, slice.address_type());
  if (ip.empty()) return routes;
  for (const kubernetes::ServicePort& port : service.spec().ports()) {
    std::string protocol = ProtocolOf(port.protocol());
    if (protocol != "TCP" && protocol != "UDP") continue;
    ServicePort route = {ip, absl::AsciiStrToLower(protocol), port.port(), {}};
    for (const EndpointSlice::Port& target : slice.ports()) {
      if (target.name() != port.name() || target.protocol() != protocol) continue;
      for (const EndpointSlice::Endpoint& endpoint : slice.endpoints()) {
        if (!endpoint.conditions().ready()) continue;
        route.backends.push_back({endpoint.addresses(0), target.port()});
      }
    }
    routes.push_back(std::move(route));
  }
  return routes;
}

}  // namespace weft::sandbox
