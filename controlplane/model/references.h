// Whether what objects name exists: hosts, ports, subsets, gateways. Pure functions of a World that
// peers' services are merged into, since a route may well lead to one.
#ifndef WEFT_CONTROLPLANE_MODEL_REFERENCES_H_
#define WEFT_CONTROLPLANE_MODEL_REFERENCES_H_

#include <vector>

#include "controlplane/model/problem.h"
#include "controlplane/model/world.h"

namespace weft {

// Errors for what would be a black hole: a VirtualService that leads to no service, port, subset or
// delegate, or is bound to no Gateway. A DestinationRule for an unknown host is a warning: it does
// nothing.
std::vector<Problem> CheckReferences(const World& world);

// The world, in which each VirtualService with a dangling reference is as it was in `previous`, or
// absent if it was not there. What was good before and lost its target since stays as it is. Call
// it for each new World: the object is taken up once its references resolve.
struct HeldWorld {
  World world;
  std::vector<Problem> problems;  // those of CheckReferences
};
HeldWorld HoldDangling(World world, const World* previous);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_REFERENCES_H_
