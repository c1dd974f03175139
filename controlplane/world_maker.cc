#include "controlplane/world_maker.h"

#include <utility>

#include "controlplane/model/references.h"

namespace weft {

WorldMaker::WorldMaker(std::shared_ptr<const ClusterIdentity> self, ExportPolicy exports)
    : registry_(std::move(self), exports) {}

std::vector<Problem> WorldMaker::Apply(const std::vector<ObjectDelta>& deltas) {
  return registry_.Apply(deltas);
}

void WorldMaker::SetSelf(std::shared_ptr<const ClusterIdentity> self) {
  registry_.SetSelf(std::move(self));
}

void WorldMaker::SetPeers(std::map<std::string, PeerState> peers) {
  peers_ = std::move(peers);
  peers_changed_ = true;
}

void WorldMaker::SetKeySets(std::map<std::string, std::shared_ptr<const std::string>> key_sets) {
  key_sets_ = std::move(key_sets);
}

World WorldMaker::Preview() {
  const World& local = registry_.BuildLocal();
  World world = MergeWorld(local, peers_, nullptr).world;
  configs_.Apply(local, peers_, world);
  gateway_api_.Apply(world);
  return HoldDangling(std::move(world), nullptr).world;
}

MergedWorld WorldMaker::Merge(const World& local) const {
  if (world_ != nullptr) {
    std::optional<World> followed = MergeEndpoints(from_, local, peers_);
    if (followed.has_value()) return {*std::move(followed), found_};
  }
  return MergeWorld(local, peers_, world_.get());
}

std::optional<WorldMaker::Made> WorldMaker::Make() {
  const World& local = registry_.BuildLocal();
  // Nearly always: a status was written, a node's heartbeat noted.
  const bool peers_changed = std::exchange(peers_changed_, false);
  if (world_ != nullptr && !peers_changed && key_sets_ == from_.world.key_sets &&
      ChangeBetween(from_.local, local).nothing()) {
    return std::nullopt;
  }
  MergedWorld merged = Merge(local);
  configs_.Apply(local, peers_, merged.world);
  merged.world.key_sets = key_sets_;
  Made made;
  if (world_ != nullptr) made.change = ChangeBetween(from_.world, merged.world);
  from_ = {local, peers_, merged.world};
  found_ = std::move(merged.problems);
  if (made.change.nothing()) return std::nullopt;
  made.merged = found_;
  if (made.change.endpoints_only()) {
    // No reference leads elsewhere than before, and no finding is another one.
    World next = *world_;
    next.endpoints = from_.world.endpoints;
    next.workloads = from_.world.workloads;
    next.remote_workloads = from_.world.remote_workloads;
    next.workload_entries = from_.world.workload_entries;
    next.workload_groups = from_.world.workload_groups;
    world_ = std::make_shared<const World>(std::move(next));
  } else {
    gateway_api_.Apply(merged.world);
    HeldWorld held = HoldDangling(std::move(merged.world), world_.get());
    made.references = std::move(held.problems);
    world_ = std::make_shared<const World>(std::move(held.world));
  }
  made.world = world_;
  return made;
}

}  // namespace weft
