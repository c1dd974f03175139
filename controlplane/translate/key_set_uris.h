// Which key sets a World's RequestAuthentications want fetched. Pure.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_KEY_SET_URIS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_KEY_SET_URIS_H_

#include <map>
#include <string>

#include "absl/time/time.h"
#include "controlplane/model/world.h"

namespace weft {

// By jwksUri, how long one attempt may take: the longest `timeout` of the rules that name it, 5 s
// where none states one.
std::map<std::string, absl::Duration> KeySetUris(const World& world);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_KEY_SET_URIS_H_
