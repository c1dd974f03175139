// The Kubernetes objects that the sandbox runs, typed, and its own judgement on them.
//
// weftd reads the same folders (controlplane/sources) and judges the kinds of the mesh; what is
// said here is about the workloads, which are no business of weftd's. Pure.
#ifndef TOOLS_WEFTCTL_SANDBOX_OBJECTS_H_
#define TOOLS_WEFTCTL_SANDBOX_OBJECTS_H_

#include <map>
#include <string>
#include <vector>

#include "api/kubernetes/core.pb.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/raw_object.h"
#include "controlplane/sources/overlay.h"

namespace weft::sandbox {

using Objects = Overlay::Objects;

// The kinds that the sandbox runs; keys are "NAMESPACE/NAME".
struct ClusterObjects {
  std::map<std::string, kubernetes::Namespace> namespaces;  // by name
  std::map<std::string, kubernetes::Deployment> deployments;
  std::map<std::string, kubernetes::Pod> pods;
  std::map<std::string, kubernetes::Service> services;
  std::map<std::string, kubernetes::ConfigMap> config_maps;
  std::map<std::string, kubernetes::Secret> secrets;
};

// An object with a field of a wrong type stays as it was; problems are added for those kinds only
// that weftd does not judge.
ClusterObjects TypedObjects(const Objects& objects, const ClusterObjects& last_good,
                            std::vector<Problem>* problems);

// Workloads that would not run as they are meant: errors, and warnings about what is left out.
std::vector<Problem> CheckWorkloads(const Objects& objects, const ClusterObjects& typed);

// A file name that no other object has: "Service_default_reviews.yaml".
std::string FileName(const ObjectKey& key);

// One object as the JSON that Kubernetes would print.
std::string ToJson(const google::protobuf::Message& object);
// The same of an object of any kind, with its namespace filled in.
std::string ToJson(const RawObject& object);
// The same object with a deletionTimestamp: what stands for its deletion in a later folder.
std::string Tombstone(const RawObject& object);

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_OBJECTS_H_
