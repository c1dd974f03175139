// Registry: the objects of this cluster in their last good state, and the World they make.
//
// Deltas of the sources come in, decoded and validated here; what is not valid is a Problem, and
// the object stays as it was. BuildLocal() makes the cluster's own part of the World; what did not
// change since the last build is the same pointer, and only the services that a change concerns are
// looked at again. No I/O, log or clock; belongs to one thread (the engine's).
#ifndef WEFT_CONTROLPLANE_MODEL_REGISTRY_H_
#define WEFT_CONTROLPLANE_MODEL_REGISTRY_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/model/decode.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/raw_object.h"
#include "controlplane/model/sharing.h"
#include "controlplane/model/world.h"

namespace weft {

namespace kubernetes {
class EndpointSlice;
class Node;
class Pod;
class Secret;
class Service;
}  // namespace kubernetes
namespace v1alpha1 {
class LinkSpec;
}

class Registry {
 public:
  Registry(std::shared_ptr<const ClusterIdentity> self, ExportPolicy exports);

  // Problems of severity kInfo tell what is skipped.
  std::vector<Problem> Apply(const std::vector<ObjectDelta>& deltas);

  // Of the same cluster: its roots are others after a rotation.
  void SetSelf(std::shared_ptr<const ClusterIdentity> self);

  // The World without peers.
  const World& BuildLocal();
  // No part of it: whom they lead to joins the World as a peer.
  const Configs<v1alpha1::LinkSpec>& links() const { return links_; }

 private:
  using Name = std::pair<std::string, std::string>;  // namespace, name
  template <typename T>
  using ByName = std::map<Name, std::shared_ptr<const T>>;

  void Put(Object object);
  void Remove(const ObjectKey& key);
  void PutSlice(const Name& name, std::shared_ptr<const kubernetes::EndpointSlice> slice);
  void PutPod(const Name& name, std::shared_ptr<const kubernetes::Pod> pod);
  void PutNamespace(const std::string& name, Labels labels);
  void PutNode(const std::string& name, std::shared_ptr<const kubernetes::Node> node);
  void PutSecret(const Name& name, const kubernetes::Secret& object);
  template <typename Spec>
  void PutConfig(Configs<Spec>& configs, Object object);

  // Of ServiceEntries and WorkloadEntries (registry_entries.cc). Link and Unlink go round a change
  // of an entry or a machine; Touch comes before and after one of a machine or pod, and marks what
  // selects it.
  void UnlinkEntry(const Name& name);
  void LinkEntry(const Name& name);
  void UnlinkMachine(const Name& name);
  void LinkMachine(const Name& name);
  void TouchMachine(const Name& name, const Config<istio::networking::v1alpha3::WorkloadEntry>& at);
  void TouchPod(const Name& name);
  void TouchSelecting(const std::string& namespace_, const Labels& labels);
  void TouchAllSelecting();
  void BuildHost(const Name& declared);
  Endpoints EndpointsOf(const std::string& host,
                        const Config<istio::networking::v1alpha3::ServiceEntry>& entry) const;
  void AddMachines(const std::string& namespace_, const kubernetes::Service& service,
                   std::map<std::string, Endpoint>& by_address) const;
  // The workload at an address that no pod has.
  void BuildMachine(const std::string& address);

  // Keeps the old pointer where the value is the same.
  template <typename Map, typename Value>
  static void Assign(Map& map, const typename Map::key_type& key, Value value) {
    const auto known = map.find(key);
    if (known != map.end() && *known->second == value) return;
    map[key] = std::make_shared<const Value>(std::move(value));
  }

  void BuildService(const Name& name);
  void SetSharing(const Name& name, const kubernetes::Service& object, Service& service) const;
  void BuildWorkload(const std::string& address);
  Endpoints EndpointsOf(const Name& name, const kubernetes::Service& object,
                        const Service& service);
  // Into `endpoint`, which may have been read from another slice before.
  void ReadPlace(const Name& name, const Service& service, const kubernetes::EndpointSlice& slice,
                 int index, Endpoint& endpoint);
  const kubernetes::Pod* PodBehind(const Name& service, const std::string& pod_name,
                                   const std::string& address);
  Locality LocalityAt(const std::string& node, const std::string& zone) const;

  std::shared_ptr<const ClusterIdentity> self_;
  const ExportPolicy exports_;
  World local_;
  Configs<v1alpha1::LinkSpec> links_;

  std::map<ObjectKey, Object> objects_;  // last good
  ByName<kubernetes::Service> services_;
  ByName<kubernetes::EndpointSlice> slices_;
  std::map<Name, std::set<Name>> slices_of_;  // by service
  ByName<kubernetes::Pod> pods_;
  std::map<std::string, std::set<Name>> pods_at_;  // by address
  std::map<std::string, std::shared_ptr<const kubernetes::Node>> nodes_;

  std::map<Name, std::set<Name>> entries_of_;          // by namespace and host
  std::map<std::string, std::set<Name>> machines_at_;  // WorkloadEntries by IP

  std::set<Name> changed_services_;
  std::set<Name> changed_hosts_;             // of ServiceEntries: namespace, host
  std::set<std::string> changed_workloads_;  // addresses
  // Services whose endpoints came out as they did because of a pod (there or not), by
  // "namespace/pod" or address. Entries are a superset: stale ones cost a needless look.
  std::map<std::string, std::set<Name>> services_by_pod_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_REGISTRY_H_
