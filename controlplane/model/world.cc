#include "controlplane/model/world.h"

#include "absl/strings/str_cat.h"

namespace weft {

std::string ToString(const ObjectKey& key) {
  if (key.name.empty()) return key.kind;
  if (key.namespace_.empty()) return absl::StrCat(key.kind, " ", key.name);
  return absl::StrCat(key.kind, " ", key.namespace_, "/", key.name);
}

const Workloads* WorkloadsOf(const World& world, const std::string& cluster) {
  if (cluster.empty() || cluster == world.self->cluster) return &world.workloads;
  const auto found = world.remote_workloads.find(cluster);
  return found == world.remote_workloads.end() ? nullptr : &found->second;
}

std::shared_ptr<const Workload> FindWorkload(const World& world, const std::string& cluster,
                                             const std::string& address) {
  const Workloads* workloads = WorkloadsOf(world, cluster);
  if (workloads == nullptr) return nullptr;
  const auto found = workloads->find(address);
  return found == workloads->end() ? nullptr : found->second;
}

}  // namespace weft
