#include "controlplane/sources/validate_directories.h"

#include <memory>
#include <utility>

#include "controlplane/model/gateway_api.h"
#include "controlplane/model/references.h"
#include "controlplane/model/registry.h"
#include "controlplane/sources/directory.h"

namespace weft {
namespace {

std::shared_ptr<const ClusterIdentity> AnyCluster() {
  auto self = std::make_shared<ClusterIdentity>();
  self->cluster = "local";
  self->trust_domain = "local.weft";
  return self;
}

std::vector<ObjectDelta> DeltasOf(const Overlay::Objects& objects) {
  std::vector<ObjectDelta> deltas;
  for (const auto& [key, object] : objects) deltas.push_back({key, object});
  return deltas;
}

// What is wrong there is told where it is.
World WorldOf(const std::vector<std::string>& folders) {
  Registry registry(AnyCluster(), ExportPolicy::kAll);
  registry.Apply(DeltasOf(ReadDirectories(folders).objects));
  return registry.BuildLocal();
}

}  // namespace

std::vector<Problem> ValidateObjects(const std::vector<std::shared_ptr<const RawObject>>& objects) {
  std::vector<ObjectDelta> deltas;
  for (const auto& object : objects) deltas.push_back({object->key, object});
  return Registry(AnyCluster(), ExportPolicy::kAll).Apply(deltas);
}

Validation Validate(const std::vector<std::string>& folders,
                    const std::vector<std::string>& linked) {
  DirectoryContents contents = ReadDirectories(folders);
  Validation validation;
  validation.problems = std::move(contents.problems);
  Registry registry(AnyCluster(), ExportPolicy::kAll);
  for (Problem& problem : registry.Apply(DeltasOf(contents.objects))) {
    validation.problems.push_back(std::move(problem));
  }
  validation.world = registry.BuildLocal();
  if (!linked.empty()) {
    for (const auto& [key, service] : WorldOf(linked).services) {
      validation.world.services.insert({key, service});
    }
  }
  GatewayApiMerge().Apply(validation.world);
  for (Problem& problem : CheckReferences(validation.world)) {
    validation.problems.push_back(std::move(problem));
  }
  return validation;
}

}  // namespace weft
