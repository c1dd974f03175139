#include "controlplane/federation/own_state.h"

#include <algorithm>

namespace weft {
namespace {

bool SameSelf(const OwnState& state, const std::shared_ptr<const ClusterIdentity>& self) {
  return state.self == self || *state.self == *self;
}

// Forgets the older half of the services that went, so that this is rarely to be done.
void Forget(OwnState& state) {
  if (state.changed.size() <= state.exports.size() + OwnHistory::kMostGone) return;
  std::vector<uint64_t> gone;
  for (const auto& [name, revision] : state.changed) {
    if (!state.exports.contains(name)) gone.push_back(revision);
  }
  const auto middle = gone.begin() + static_cast<std::ptrdiff_t>(gone.size() / 2);
  std::nth_element(gone.begin(), middle, gone.end());
  state.resumable_from = std::max(state.resumable_from, *middle);
  std::erase_if(state.changed, [&](const auto& one) {
    return one.second <= state.resumable_from && !state.exports.contains(one.first);
  });
}

}  // namespace

std::shared_ptr<const OwnState> OwnHistory::Next(std::shared_ptr<const ClusterIdentity> self,
                                                 std::vector<GatewayAddress> gateways,
                                                 PeerExports exports) {
  if (last_ != nullptr && SameSelf(*last_, self) && last_->gateways == gateways &&
      last_->exports == exports) {
    return last_;
  }
  auto next = std::make_shared<OwnState>();
  next->self = std::move(self);
  next->gateways = std::move(gateways);
  next->exports = std::move(exports);
  next->revision = last_ == nullptr ? 1 : last_->revision + 1;
  next->resumable_from = last_ == nullptr ? 1 : last_->resumable_from;
  if (last_ != nullptr) next->changed = last_->changed;
  const PeerExports none;
  for (const ServiceName& name :
       ChangedServices(last_ == nullptr ? none : last_->exports, next->exports)) {
    next->changed[name] = next->revision;
  }
  Forget(*next);
  last_ = std::move(next);
  return last_;
}

}  // namespace weft
