// Conditions: the list of that name in an object's status, which everybody who has to say something
// of the object shares. Ours are those of the types Accepted, ResolvedRefs, Conflicted, Programmed,
// Distributed.
//
// For .cc files only: it includes nlohmann's JSON. Pure.
#ifndef WEFT_CONTROLPLANE_STATUS_CONDITIONS_H_
#define WEFT_CONTROLPLANE_STATUS_CONDITIONS_H_

#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "absl/time/time.h"
#include "controlplane/model/gateway_api_status.h"

namespace weft {

// Of one condition's message; API servers take 32 KiB.
inline constexpr size_t kMaxConditionMessage = 2048;

// What is wanted, in the list that is `present`, and in its order: ours that are not wanted any
// more go, those of others stay as they are. The time of each is when its status turned, which is
// now if it was another one before.
nlohmann::json WithConditions(const nlohmann::json& present, const GatewayApiConditions& wanted,
                              int64_t generation, absl::Time now);

// Whether `present` holds all of `wanted`. Where that is an object, an API server may have added
// defaults; an absent list is an empty one.
bool Holds(const nlohmann::json& present, const nlohmann::json& wanted);

// A field that is text; else "".
std::string TextOf(const nlohmann::json& object, const char* field);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_CONDITIONS_H_
