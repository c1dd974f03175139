// Listeners for the TCP and TLS ports of ServiceEntries: which service a connection means shows in
// its address, in the block its address is of, or in its server name.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_LISTENERS_ENTRY_H_
#define WEFT_CONTROLPLANE_TRANSLATE_LISTENERS_ENTRY_H_

#include <cstdint>
#include <map>
#include <vector>

#include "controlplane/translate/destinations.h"

namespace envoy::config::listener::v3 {
class Listener;
}  // namespace envoy::config::listener::v3

namespace weft {

// By port: listeners of the wildcard address. Those that are there serve HTTP.
using ListenersByPort = std::map<uint16_t, envoy::config::listener::v3::Listener>;

// Adds what entries without an address of their own need to `by_port`, and gives a listener for
// each address and port of the others. On an address and port that several share, TLS is told apart
// by server name; of plain TCP the first by host counts, and where HTTP is spoken, HTTP does.
std::vector<envoy::config::listener::v3::Listener> EntryListeners(const RouteContext& context,
                                                                  ListenersByPort& by_port);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_LISTENERS_ENTRY_H_
