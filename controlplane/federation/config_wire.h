// Distributed config to and from the peer API's messages, on the wire and on disk. Names that come
// from a peer are checked here, objects by ConfigView. Pure.
#ifndef WEFT_CONTROLPLANE_FEDERATION_CONFIG_WIRE_H_
#define WEFT_CONTROLPLANE_FEDERATION_CONFIG_WIRE_H_

#include <optional>

#include "controlplane/federation/config_object.h"

namespace weft::peer::v1 {
class ConfigRef;
class ConfigReport;
}  // namespace weft::peer::v1

namespace weft {

void ToWire(const ObjectKey& key, peer::v1::ConfigRef& wire);
// Nothing if no object can be called that.
std::optional<ObjectKey> FromWire(const peer::v1::ConfigRef& wire);
void ToWire(const ConfigReport& report, peer::v1::ConfigReport& wire);
// A state of a newer peer is a rejection: the form is not in force there. Long texts are cut.
ConfigReport FromWire(const peer::v1::ConfigReport& wire);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_CONFIG_WIRE_H_
