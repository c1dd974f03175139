// Rules of ServiceEntry.
#include <set>
#include <string>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/service_entry.h"
#include "controlplane/model/validate_rules.h"

namespace weft {
namespace {

namespace networking = istio::networking::v1alpha3;
using networking::ServiceEntry;
using networking::WorkloadEntry;

bool IsDns(const ServiceEntry& spec) {
  return spec.resolution() == ServiceEntry::DNS ||
         spec.resolution() == ServiceEntry::DNS_ROUND_ROBIN;
}

bool IsWildcard(const std::string& host) { return absl::StartsWith(host, "*"); }

void CheckHosts(const ServiceEntry& spec, Checker& check) {
  if (spec.hosts().empty()) check.Error("hosts", "is missing");
  std::set<std::string> seen;
  for (int i = 0; i < spec.hosts_size(); ++i) {
    const std::string& host = spec.hosts(i);
    const std::string field = absl::StrCat("hosts[", i, "]");
    if (host == "*") {
      check.Error(field, "'*' would be every host there is; write a domain, as in '*.example.com'");
      continue;
    }
    check.Host(field, host, /*wildcard=*/true);
    if (!seen.insert(host).second) check.Error(field, absl::StrCat("'", host, "' is there twice"));
    if (IsWildcard(host) && IsDns(spec) && spec.endpoints().empty() &&
        !spec.has_workload_selector()) {
      check.Error(field,
                  absl::StrCat("'", host, "' cannot be resolved: with a wildcard, resolution ",
                               "DNS needs endpoints; NONE needs none"));
    }
  }
}

// "10.0.0.0/8", "fd00::/8".
bool IsCidr(absl::string_view text) {
  const size_t slash = text.find('/');
  uint32_t length = 0;
  if (slash == absl::string_view::npos || !absl::SimpleAtoi(text.substr(slash + 1), &length)) {
    return false;
  }
  const std::string ip(text.substr(0, slash));
  return IsIp(ip) && length <= (absl::StrContains(ip, ":") ? 128u : 32u);
}

void CheckAddresses(const ServiceEntry& spec, Checker& check) {
  for (int i = 0; i < spec.addresses_size(); ++i) {
    const std::string& address = spec.addresses(i);
    const std::string field = absl::StrCat("addresses[", i, "]");
    if (!IsIp(address) && !IsCidr(address)) {
      check.Error(field, absl::StrCat("'", address, "' is neither an IP address nor a CIDR block"));
    } else if (absl::StrContains(address, "/") && IsDns(spec)) {
      check.Error(field, absl::StrCat("'", address, "': a block of addresses goes with resolution ",
                                      "NONE or STATIC only"));
    }
  }
}

void CheckPort(const ServiceEntry& spec, const networking::ServicePort& port, Checker& check) {
  check.RequiredPort("number", port.number());
  check.Port("targetPort", port.target_port());
  if (port.name().empty()) {
    check.Error("name", "is missing");
  } else {
    check.Label("name", port.name());
  }
  const std::optional<Protocol> protocol = ProtocolOf(port);
  if (!protocol.has_value()) {
    check.Error("protocol", absl::StrCat("'", port.protocol(),
                                         "' is not a protocol; HTTP, HTTPS, "
                                         "HTTP2, GRPC, TCP and TLS are"));
    return;
  }
  if (spec.resolution() != ServiceEntry::NONE) return;
  if (port.target_port() != 0) {
    check.Warning("targetPort", "has no effect with resolution NONE: the client's port is dialed");
  }
  if (protocol == Protocol::kTcp && spec.addresses().empty()) {
    check.Warning("",
                  "without 'addresses', every connection to this port is taken for this "
                  "service's");
  }
}

void CheckPorts(const ServiceEntry& spec, Checker& check) {
  if (spec.ports().empty()) check.Warning("ports", "is missing: nothing is routed to it");
  std::set<std::string> names;
  std::set<uint32_t> numbers;
  for (int i = 0; i < spec.ports_size(); ++i) {
    const networking::ServicePort& port = spec.ports(i);
    const Checker::In in(check, "ports", i);
    CheckPort(spec, port, check);
    if (!numbers.insert(port.number()).second) {
      check.Error("number", absl::StrCat(port.number(), " is there twice"));
    }
    if (!port.name().empty() && !names.insert(port.name()).second) {
      check.Error("name", absl::StrCat("'", port.name(), "' is there twice"));
    }
  }
}

void CheckEndpoint(const ServiceEntry& spec, const WorkloadEntry& endpoint, Checker& check) {
  CheckMachine(endpoint, check);
  const std::string& address = endpoint.address();
  const bool is_unix = absl::StartsWith(address, "unix://");
  if (spec.resolution() == ServiceEntry::STATIC && !address.empty() && !is_unix && !IsIp(address)) {
    check.Error("address", absl::StrCat("'", address,
                                        "' is not an IP address; resolution DNS takes ", "names"));
  }
  if (is_unix && spec.resolution() != ServiceEntry::STATIC) {
    check.Error("address", "a Unix socket goes with resolution STATIC only");
  }
  if (is_unix && spec.ports_size() != 1) {
    check.Error("address", "a Unix socket can serve one port only, and the entry has others");
  }
  for (const auto& [name, port] : endpoint.ports()) {
    bool known = false;
    for (const networking::ServicePort& of_service : spec.ports())
      known |= of_service.name() == name;
    if (!known) {
      check.Error(absl::StrCat("ports[", name, "]"),
                  absl::StrCat("the entry has no port of the name '", name, "'"));
    }
  }
}

void CheckEndpoints(const ServiceEntry& spec, Checker& check) {
  if (spec.has_workload_selector() && !spec.endpoints().empty()) {
    check.Error("workloadSelector", "cannot stand together with 'endpoints'");
  }
  check.SelectorLabels("workloadSelector.labels", spec.workload_selector().labels());
  if (spec.resolution() == ServiceEntry::NONE && !spec.endpoints().empty()) {
    check.Error("endpoints", "cannot be used with resolution NONE: the client's address is dialed");
  }
  if (spec.resolution() == ServiceEntry::NONE && spec.has_workload_selector()) {
    check.Warning("workloadSelector", "has no effect with resolution NONE");
  }
  if (spec.resolution() == ServiceEntry::DNS_ROUND_ROBIN && spec.endpoints_size() > 1) {
    check.Error("endpoints", "resolution DNS_ROUND_ROBIN takes one; DNS takes several");
  }
  for (int i = 0; i < spec.endpoints_size(); ++i) {
    const Checker::In in(check, "endpoints", i);
    CheckEndpoint(spec, spec.endpoints(i), check);
  }
}

}  // namespace

void CheckServiceEntry(const ServiceEntry& spec, Checker& check) {
  if (spec.resolution() == ServiceEntry::DYNAMIC_DNS) {
    check.Error("resolution", "DYNAMIC_DNS is not supported; NONE serves wildcard hosts");
  }
  CheckHosts(spec, check);
  CheckAddresses(spec, check);
  CheckPorts(spec, check);
  CheckEndpoints(spec, check);
  for (int i = 0; i < spec.subject_alt_names_size(); ++i) {
    if (spec.subject_alt_names(i).empty()) {
      check.Error(absl::StrCat("subjectAltNames[", i, "]"), "is empty");
    }
  }
  check.ExportTo(spec.export_to());
}

}  // namespace weft
