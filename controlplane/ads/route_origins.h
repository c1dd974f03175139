// From a place in a route table, as a NACK names it, to the config object that it was made of.
//
// A table has the routes of many objects, and its name says nothing of them. But each route says
// what it was made of (model/config_path.h), and what was sent is still there when the answer
// comes: so nobody has to keep a list of places. Pure.
#ifndef WEFT_CONTROLPLANE_ADS_ROUTE_ORIGINS_H_
#define WEFT_CONTROLPLANE_ADS_ROUTE_ORIGINS_H_

#include <string>

#include "controlplane/translate/resources.h"

namespace weft {

// Of those that one NACK names: who reads it needs no more, and each may cost a whole table.
inline constexpr int kMostPlaces = 16;

// `error` with the config paths of the routes that it names added at its end, if it names some of
// `routes`:
//   route configuration '80': virtual_hosts[1].routes[0].match: no (/apis/…/virtual-service/web)
// Of a place that is a whole virtual host, all of its routes.
std::string WithRouteOrigins(std::string error, const EncodedResources& routes);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_ADS_ROUTE_ORIGINS_H_
