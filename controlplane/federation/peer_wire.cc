#include "controlplane/federation/peer_wire.h"

#include <algorithm>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "api/weft/peer.pb.h"
#include "proxy/net/address.h"

namespace weft {
namespace {

struct ProtocolName {
  Protocol protocol;
  absl::string_view name;
};
constexpr ProtocolName kProtocols[] = {
    {Protocol::kTcp, "TCP"},     {Protocol::kTls, "TLS"},   {Protocol::kHttp, "HTTP"},
    {Protocol::kHttp2, "HTTP2"}, {Protocol::kGrpc, "GRPC"}, {Protocol::kUdp, "UDP"},
};

// A protocol of a newer peer is still a stream of bytes.
Protocol ProtocolOf(absl::string_view name) {
  for (const ProtocolName& known : kProtocols) {
    if (known.name == name) return known.protocol;
  }
  return Protocol::kTcp;
}

absl::string_view NameOf(Protocol protocol) {
  for (const ProtocolName& known : kProtocols) {
    if (known.protocol == protocol) return known.name;
  }
  return "TCP";
}

std::string Quoted(absl::string_view foreign) {
  return absl::StrCat("\"", absl::CHexEscape(foreign.substr(0, 64)), "\"");
}

// Label values, service accounts and localities: printable and short, or they have no business
// here.
bool IsPlainText(absl::string_view text) {
  return text.size() <= 253 && std::all_of(text.begin(), text.end(),
                                           [](unsigned char c) { return absl::ascii_isgraph(c); });
}

absl::StatusOr<ServicePort> ReadPort(const peer::v1::Port& wire) {
  if (wire.port() < 1 || wire.port() > 65535) {
    return absl::InvalidArgumentError(absl::StrCat("port: ", wire.port(), " is out of range"));
  }
  if (!IsPlainText(wire.name())) return absl::InvalidArgumentError("name: not plain text");
  ServicePort port;
  port.name = wire.name();
  port.port = static_cast<uint16_t>(wire.port());
  port.protocol = ProtocolOf(wire.protocol());
  return port;
}

}  // namespace

absl::StatusOr<ExportedGroup> GroupFromWire(const peer::v1::Group& wire) {
  if (wire.labels_size() > kMaxLabelsOfGroup) return absl::InvalidArgumentError("labels: too many");
  if (!IsPlainText(wire.service_account()) || wire.service_account().empty()) {
    return absl::InvalidArgumentError(
        absl::StrCat("service_account: not a name: ", Quoted(wire.service_account())));
  }
  ExportedGroup group;
  for (const auto& [name, value] : wire.labels()) {
    if (!IsPlainText(name) || !IsPlainText(value)) {
      return absl::InvalidArgumentError(absl::StrCat("labels: not plain text: ", Quoted(name)));
    }
    group.labels[name] = value;
  }
  if (!IsPlainText(wire.locality().region()) || !IsPlainText(wire.locality().zone())) {
    return absl::InvalidArgumentError("locality: not plain text");
  }
  group.locality.region = wire.locality().region();
  group.locality.zone = wire.locality().zone();
  group.service_account = wire.service_account();
  group.ready = wire.ready();
  return group;
}

bool IsDnsLabel(absl::string_view name) {
  if (name.empty() || name.size() > 63 || name.front() == '-' || name.back() == '-') return false;
  return std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return absl::ascii_islower(c) || absl::ascii_isdigit(c) || c == '-';
  });
}

void ToWire(const ExportedService& service, peer::v1::ServiceSummary& wire) {
  wire.set_namespace_(service.namespace_);
  wire.set_name(service.name);
  wire.set_exported_at(service.exported_at);
  wire.set_cluster_set_only(service.cluster_set_only);
  wire.set_headless(service.headless);
  wire.set_session_affinity(service.session_affinity);
  for (const ServicePort& port : service.ports) {
    peer::v1::Port* to = wire.add_ports();
    to->set_name(port.name);
    to->set_port(port.port);
    to->set_protocol(std::string(NameOf(port.protocol)));
  }
  for (const ExportedGroup& group : service.groups) {
    peer::v1::Group* to = wire.add_groups();
    to->mutable_locality()->set_region(group.locality.region);
    to->mutable_locality()->set_zone(group.locality.zone);
    for (const auto& [name, value] : group.labels) (*to->mutable_labels())[name] = value;
    to->set_service_account(group.service_account);
    to->set_ready(group.ready);
  }
}

absl::StatusOr<ExportedService> FromWire(const peer::v1::ServiceSummary& wire) {
  if (!IsDnsLabel(wire.namespace_()) || !IsDnsLabel(wire.name())) {
    return absl::InvalidArgumentError(absl::StrCat(
        "not a service's name: ", Quoted(wire.namespace_()), " ", Quoted(wire.name())));
  }
  const auto invalid = [&](absl::string_view what) {
    return absl::InvalidArgumentError(
        absl::StrCat("service ", wire.namespace_(), "/", wire.name(), ": ", what));
  };
  if (wire.ports_size() > kMaxPortsOfService) return invalid("ports: too many");
  if (wire.groups_size() > kMaxGroupsOfService) return invalid("groups: too many");
  ExportedService service;
  service.namespace_ = wire.namespace_();
  service.name = wire.name();
  service.exported_at = wire.exported_at();
  service.cluster_set_only = wire.cluster_set_only();
  service.headless = wire.headless();
  service.session_affinity = wire.session_affinity();
  for (const peer::v1::Port& from : wire.ports()) {
    auto port = ReadPort(from);
    if (!port.ok()) return invalid(absl::StrCat("ports: ", port.status().message()));
    service.ports.push_back(*std::move(port));
  }
  for (const peer::v1::Group& from : wire.groups()) {
    auto group = GroupFromWire(from);
    if (!group.ok()) return invalid(absl::StrCat("groups: ", group.status().message()));
    service.groups.push_back(*std::move(group));
  }
  std::sort(service.groups.begin(), service.groups.end());
  return service;
}

void ToWire(const ClusterIdentity& self, const std::vector<GatewayAddress>& gateways,
            peer::v1::Gateways& wire) {
  for (const GatewayAddress& from : gateways) {
    peer::v1::Gateway* gateway = wire.add_gateways();
    gateway->set_address(from.address);
    gateway->set_port(from.port);
    gateway->set_tunnel_port(from.tunnel_port);
  }
  wire.set_outbound_only(self.outbound_only);
  wire.set_draining(self.draining);
}

absl::StatusOr<std::vector<GatewayAddress>> FromWire(const peer::v1::Gateways& wire) {
  if (wire.gateways_size() > kMaxGateways) return absl::InvalidArgumentError("gateways: too many");
  std::vector<GatewayAddress> gateways;
  for (const peer::v1::Gateway& from : wire.gateways()) {
    if (from.port() < 1 || from.port() > 65535 || !Address::Ip(from.address(), 0).ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("gateways: not an IP address and port: ", Quoted(from.address())));
    }
    if (from.tunnel_port() > 65535) {
      return absl::InvalidArgumentError(
          absl::StrCat("gateways: tunnel_port: ", from.tunnel_port(), " is out of range"));
    }
    gateways.push_back({from.address(), static_cast<uint16_t>(from.port()),
                        static_cast<uint16_t>(from.tunnel_port())});
  }
  return gateways;
}

}  // namespace weft
