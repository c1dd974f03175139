// How ServiceEntries and WorkloadEntries read as values of the World. Pure functions of the objects
// given.
//
// The entries of one namespace that name the same host make one service; where they differ, the
// oldest one counts. A machine that a WorkloadEntry tells of is an endpoint like a pod is.
#ifndef WEFT_CONTROLPLANE_MODEL_SERVICE_ENTRY_H_
#define WEFT_CONTROLPLANE_MODEL_SERVICE_ENTRY_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "controlplane/model/world.h"

namespace istio::networking::v1alpha3 {
class ServicePort;
}  // namespace istio::networking::v1alpha3
namespace weft::kubernetes {
class Pod;
class Service;
}  // namespace weft::kubernetes

namespace weft {

using ServiceEntryConfig = Config<istio::networking::v1alpha3::ServiceEntry>;
using WorkloadEntryConfig = Config<istio::networking::v1alpha3::WorkloadEntry>;

// "HTTP", "grpc-web", …, as Istio's kinds spell protocols. Empty is TCP; nothing if unknown.
std::optional<Protocol> NamedProtocol(absl::string_view name);
std::optional<Protocol> ProtocolOf(const istio::networking::v1alpha3::ServicePort& port);

// `entries` all have the host, in order of precedence, and are not none. The addresses are
// the first IPs of either family that are stated, if any.
Service ServiceFrom(const std::string& host, const std::vector<const ServiceEntryConfig*>& entries);

// Whether its name should resolve to an address of our own. Not where the client's address is what
// is dialed.
bool WantsVirtualAddress(const Service& service);

// Those that the entry lists; with resolution DNS and none listed, the host itself.
Endpoints ListedEndpoints(const ClusterIdentity& self, const std::string& host,
                          const ServiceEntryConfig& entry);

// Whether the entry's workloadSelector, or the Service's selector, selects these labels. What has
// none selects nothing.
bool SelectsWorkload(const ServiceEntryConfig& entry, const Labels& labels);
bool SelectsWorkload(const kubernetes::Service& service, const Labels& labels);

// The spec's labels and those of the object; the latter count where they differ.
Labels LabelsOf(const WorkloadEntryConfig& machine);

// A machine, or a pod, as an endpoint of a service. A service's port leads to the machine's port of
// its name, else of its targetPort's name, else to its targetPort, else to the same number; a name
// that the machine does not have leads nowhere.
Endpoint EndpointFrom(const ClusterIdentity& self, const ServiceEntryConfig& entry,
                      const WorkloadEntryConfig& machine);
Endpoint EndpointFrom(const ClusterIdentity& self, const kubernetes::Service& service,
                      const WorkloadEntryConfig& machine);
Endpoint EndpointFrom(const ClusterIdentity& self, const ServiceEntryConfig& entry,
                      const kubernetes::Pod& pod, Locality locality);

Workload WorkloadFrom(const WorkloadEntryConfig& machine);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_SERVICE_ENTRY_H_
