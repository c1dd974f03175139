#include "controlplane/model/kubernetes.h"

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "api/kubernetes/core.pb.h"
#include "controlplane/model/gateway_api_name.h"
#include "controlplane/model/ip_families.h"

namespace weft {
namespace {

constexpr char kRegionLabel[] = "topology.kubernetes.io/region";
constexpr char kZoneLabel[] = "topology.kubernetes.io/zone";
constexpr char kTemplateHashLabel[] = "pod-template-hash";
constexpr char kStatusAnnotation[] = "sidecar.istio.io/status";
constexpr char kExportToAnnotation[] = "networking.istio.io/exportTo";

constexpr char kAffinityAnnotation[] = "service.cilium.io/affinity";
constexpr char kTrafficDistributionAnnotation[] = "networking.istio.io/traffic-distribution";

std::string LabelOf(const kubernetes::ObjectMeta& metadata, const char* label) {
  const auto it = metadata.labels().find(label);
  return it == metadata.labels().end() ? "" : it->second;
}

std::optional<Protocol> ProtocolNamed(absl::string_view name) {
  const std::string lower = absl::AsciiStrToLower(name);
  if (lower == "http" || lower == "kubernetes.io/ws") return Protocol::kHttp;
  if (lower == "http2" || lower == "kubernetes.io/h2c") return Protocol::kHttp2;
  if (lower == "grpc" || lower == "grpc-web") return Protocol::kGrpc;
  if (lower == "https" || lower == "tls" || lower == "kubernetes.io/wss") return Protocol::kTls;
  if (lower == "udp") return Protocol::kUdp;
  if (lower == "tcp" || lower == "mongo" || lower == "mysql" || lower == "redis") {
    return Protocol::kTcp;
  }
  return std::nullopt;
}

std::vector<std::string> OutsideOf(const kubernetes::Service& service) {
  std::vector<std::string> addresses;
  for (const auto& ingress : service.status().load_balancer().ingress()) {
    addresses.push_back(ingress.ip().empty() ? ingress.hostname() : ingress.ip());
  }
  const auto& more = service.spec().external_ips();
  addresses.insert(addresses.end(), more.begin(), more.end());
  return addresses;
}

// The first of the other family than `address`; empty if there is none.
template <typename Addresses>
std::string OfOtherFamily(const std::string& address, const Addresses& all) {
  for (const std::string& other : all) {
    if (IsIpv6(other) != IsIpv6(address)) return other;
  }
  return "";
}

ServiceAffinity AffinityOf(absl::string_view text) {
  if (absl::EqualsIgnoreCase(text, "local")) return ServiceAffinity::kLocal;
  if (absl::EqualsIgnoreCase(text, "remote")) return ServiceAffinity::kRemote;
  if (absl::EqualsIgnoreCase(text, "none")) return ServiceAffinity::kNone;
  return ServiceAffinity::kUnstated;
}

bool IsProxy(const kubernetes::Container& container) {
  return container.name() == "weft-proxy" || container.name() == "istio-proxy";
}

}  // namespace

std::string HostOf(absl::string_view name, absl::string_view namespace_) {
  return absl::StrCat(name, ".", namespace_, ".svc.cluster.local");
}

std::string ClusterSetHostOf(absl::string_view name, absl::string_view namespace_) {
  return absl::StrCat(name, ".", namespace_, ".svc.clusterset.local");
}

std::string HostAtHome(const Service& service) {
  return service.cluster_set ? HostOf(service.name, service.namespace_) : service.host;
}

std::optional<Protocol> ProtocolOf(const kubernetes::ServicePort& port) {
  if (port.protocol() == "UDP") return Protocol::kUdp;
  if (!port.protocol().empty() && port.protocol() != "TCP") return std::nullopt;
  if (!port.app_protocol().empty()) {
    // What is said and not understood is not guessed at: bytes are carried as they are.
    return ProtocolNamed(port.app_protocol()).value_or(Protocol::kTcp);
  }
  const absl::string_view name = port.name();
  if (absl::StartsWith(name, "grpc-web")) return Protocol::kGrpc;
  return ProtocolNamed(name.substr(0, name.find('-'))).value_or(Protocol::kTcp);
}

bool PrefersClose(const std::string& field, const Labels& annotations) {
  std::string wanted = field;
  if (wanted.empty()) {
    const auto annotation = annotations.find(kTrafficDistributionAnnotation);
    if (annotation == annotations.end()) return false;
    wanted = annotation->second;
  }
  // Nodes are not told apart here: what is close to them is in their zone.
  for (absl::string_view close : {"PreferClose", "PreferSameZone", "PreferSameNode"}) {
    if (absl::EqualsIgnoreCase(wanted, close)) return true;
  }
  return false;
}

Service ServiceFrom(const ObjectKey& key, const kubernetes::Service& object) {
  Service service;
  service.namespace_ = key.namespace_;
  service.name = key.name;
  service.host = HostOf(key.name, key.namespace_);
  if (object.spec().cluster_ip() != "None") {
    service.address = object.spec().cluster_ip();
    service.other_address = OfOtherFamily(service.address, object.spec().cluster_ips());
  }
  service.local = true;
  for (const kubernetes::ServicePort& port : object.spec().ports()) {
    const std::optional<Protocol> protocol = ProtocolOf(port);
    if (!protocol.has_value()) continue;
    service.ports.push_back({port.name(), static_cast<uint16_t>(port.port()), *protocol});
  }
  const auto& annotations = object.metadata().annotations();
  if (const auto it = annotations.find(kExportToAnnotation); it != annotations.end()) {
    for (absl::string_view to : absl::StrSplit(it->second, ',', absl::SkipWhitespace())) {
      service.export_to.emplace_back(absl::StripAsciiWhitespace(to));
    }
  }
  service.prefers_close = PrefersClose(object.spec().traffic_distribution(),
                                       Labels(annotations.begin(), annotations.end()));
  if (const auto it = annotations.find(kAffinityAnnotation); it != annotations.end()) {
    service.affinity = AffinityOf(it->second);
  }
  const auto& selector = object.spec().selector();
  if (const auto it = selector.find(kGatewayNameLabel); it != selector.end()) {
    service.gateway = it->second;
  }
  service.session_affinity = object.spec().session_affinity() == "ClientIP";
  service.outside = OutsideOf(object);
  return service;
}

Locality LocalityOf(const kubernetes::Node& node) {
  return {LabelOf(node.metadata(), kRegionLabel), LabelOf(node.metadata(), kZoneLabel)};
}

bool IsInjected(const kubernetes::Pod& pod) {
  const auto& containers = pod.spec().containers();
  const auto& init = pod.spec().init_containers();
  return pod.metadata().annotations().contains(kStatusAnnotation) ||
         std::any_of(containers.begin(), containers.end(), IsProxy) ||
         std::any_of(init.begin(), init.end(), IsProxy);
}

std::string ServiceAccountOf(const kubernetes::Pod& pod) {
  const std::string& account = pod.spec().service_account_name();
  return account.empty() ? "default" : account;
}

std::string WorkloadOf(const kubernetes::Pod& pod) {
  for (const kubernetes::OwnerReference& owner : pod.metadata().owner_references()) {
    if (!owner.controller()) continue;
    const std::string hash = LabelOf(pod.metadata(), kTemplateHashLabel);
    if (owner.kind() != "ReplicaSet" || hash.empty()) return owner.name();
    return std::string(absl::StripSuffix(owner.name(), absl::StrCat("-", hash)));
  }
  return pod.metadata().name();
}

bool HasAddress(const kubernetes::Pod& pod) {
  return !pod.status().pod_ip().empty() && !pod.spec().host_network() &&
         pod.status().phase() != "Succeeded" && pod.status().phase() != "Failed";
}

std::pair<std::string, std::string> AddressesOf(const kubernetes::Pod& pod) {
  std::vector<std::string> all;
  for (const kubernetes::PodIP& one : pod.status().pod_ips()) all.push_back(one.ip());
  const std::string& first = pod.status().pod_ip();
  return {first, OfOtherFamily(first, all)};
}

}  // namespace weft
