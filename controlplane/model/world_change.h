// What differs between two Worlds that follow each other, as far as it spares work: nearly every
// change is of some services' endpoints and of nothing else.
#ifndef WEFT_CONTROLPLANE_MODEL_WORLD_CHANGE_H_
#define WEFT_CONTROLPLANE_MODEL_WORLD_CHANGE_H_

#include <string>
#include <vector>

#include "controlplane/model/world.h"

namespace weft {

struct WorldChange {
  enum class Extent {
    kEndpoints,        // and workloads; all else is the same objects at the same addresses
    kVirtualServices,  // and endpoints and workloads
    kMore,
  };
  Extent extent = Extent::kMore;
  // Secrets have other content; which ones there are is the same. Not if the extent is kMore.
  bool secrets = false;
  // Whose endpoints changed, by key, and which workloads, by address in whichever cluster; in
  // order. Not if the extent is kMore.
  std::vector<std::string> services;
  std::vector<std::string> workloads;

  bool endpoints_only() const { return extent == Extent::kEndpoints && !secrets; }
  bool nothing() const { return endpoints_only() && services.empty() && workloads.empty(); }
};

// Costs what differs, not what there is.
WorldChange ChangeBetween(const World& before, const World& after);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_WORLD_CHANGE_H_
