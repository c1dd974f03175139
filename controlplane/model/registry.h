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
#include "controlplane/model/world.h"

namespace weft {

namespace kubernetes {
class EndpointSlice;
class Node;
class Pod;
class Service;
}  // namespace kubernetes

enum class ExportPolicy { kNone, kAll };

class Registry {
 public:
  Registry(std::shared_ptr<const ClusterIdentity> self, ExportPolicy exports);

  // Problems of severity kInfo tell what is skipped.
  std::vector<Problem> Apply(const std::vector<ObjectDelta>& deltas);

  // The World without peers.
  const World& BuildLocal();

 private:
  using Name = std::pair<std::string, std::string>;  // namespace, name
  template <typename T>
  using ByName = std::map<Name, std::shared_ptr<const T>>;

  void Put(Object object);
  void Remove(const ObjectKey& key);
  void PutSlice(const Name& name, std::shared_ptr<const kubernetes::EndpointSlice> slice);
  void PutPod(const Name& name, std::shared_ptr<const kubernetes::Pod> pod);
  void PutNode(const std::string& name, std::shared_ptr<const kubernetes::Node> node);
  template <typename Spec>
  void PutConfig(Configs<Spec>& configs, Object object);

  void BuildService(const Name& name);
  void BuildWorkload(const std::string& address);
  Endpoints EndpointsOf(const Name& name, const kubernetes::Service& object,
                        const Service& service);
  const kubernetes::Pod* PodBehind(const Name& service, const std::string& pod_name,
                                   const std::string& address);
  Locality LocalityAt(const std::string& node, const std::string& zone) const;

  const std::shared_ptr<const ClusterIdentity> self_;
  const ExportPolicy exports_;
  World local_;

  std::map<ObjectKey, Object> objects_;  // last good
  ByName<kubernetes::Service> services_;
  ByName<kubernetes::EndpointSlice> slices_;
  std::map<Name, std::set<Name>> slices_of_;  // by service
  ByName<kubernetes::Pod> pods_;
  std::map<std::string, std::set<Name>> pods_at_;  // by address
  std::map<std::string, std::shared_ptr<const kubernetes::Node>> nodes_;

  std::set<Name> changed_services_;
  std::set<std::string> changed_workloads_;  // addresses
  // Services whose endpoints came out as they did because of a pod (there or not), by
  // "namespace/pod" or address. Entries are a superset: stale ones cost a needless look.
  std::map<std::string, std::set<Name>> services_by_pod_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_REGISTRY_H_
