// Which key sets a World's RequestAuthentications want fetched. Pure.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_KEY_SET_URIS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_KEY_SET_URIS_H_

#include <map>
#include <string>

#include "absl/time/time.h"
#include "controlplane/model/world.h"

namespace istio::security::v1beta1 {
class JWTRule;
}

namespace weft {

// Where the keys of the rule's issuer are fetched: its jwksUri; if it states no keys at all, where
// the issuer tells where they are, which may be no URI at all. Empty: its keys are stated.
std::string KeySetUriOf(const istio::security::v1beta1::JWTRule& rule);

// By that URI, how long one attempt may take: the longest `timeout` of the rules that name it, 5 s
// where none states one.
std::map<std::string, absl::Duration> KeySetUris(const World& world);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_KEY_SET_URIS_H_
