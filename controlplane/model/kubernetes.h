// How Kubernetes objects read as values of the World. Pure functions of the objects given.
#ifndef WEFT_CONTROLPLANE_MODEL_KUBERNETES_H_
#define WEFT_CONTROLPLANE_MODEL_KUBERNETES_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"
#include "controlplane/model/world.h"

namespace weft::kubernetes {
class Node;
class Pod;
class Service;
class ServicePort;
}  // namespace weft::kubernetes

namespace weft {

// "reviews", "default" → "reviews.default.svc.cluster.local".
std::string HostOf(absl::string_view name, absl::string_view namespace_);

// "reviews", "default" → "reviews.default.svc.clusterset.local", its name in all linked clusters.
std::string ClusterSetHostOf(absl::string_view name, absl::string_view namespace_);
// What a service is known by in the clusters that have it, and so at their gateways.
std::string HostAtHome(const Service& service);

// From appProtocol, else from the port's name up to the first '-', else TCP. Nothing for protocols
// that the mesh does not carry (SCTP).
std::optional<Protocol> ProtocolOf(const kubernetes::ServicePort& port);

// Whether clients prefer what is close: by the field, or, where that is not set, by the annotation.
bool PrefersClose(const std::string& field, const Labels& annotations);
// The service without what model/sharing.h says of it; ExternalName services are not for here.
Service ServiceFrom(const ObjectKey& key, const kubernetes::Service& object);

Locality LocalityOf(const kubernetes::Node& node);

// A sidecar runs beside it.
bool IsInjected(const kubernetes::Pod& pod);

std::string ServiceAccountOf(const kubernetes::Pod& pod);

// What owns the pod, by name: the Deployment rather than its ReplicaSet; the pod itself if nothing.
std::string WorkloadOf(const kubernetes::Pod& pod);

// Has an address of its own and is not over.
bool HasAddress(const kubernetes::Pod& pod);

// The pod's first address, and that of the other IP family; empty where it has none.
std::pair<std::string, std::string> AddressesOf(const kubernetes::Pod& pod);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_KUBERNETES_H_
