// Snapshot: everything a proxy was told, compiled and complete: what it refers to is in it.
//
// Made by config/compile.h and config/config_state.h on the xDS thread, then adopted by each worker
// as shared_ptr<const Snapshot>; requests under way keep the one they started with. Each resource
// hangs on a pointer of its own, so the next Snapshot is a copy of the maps in which only what
// changed is another object.
#ifndef WEFT_PROXY_CONFIG_SNAPSHOT_H_
#define WEFT_PROXY_CONFIG_SNAPSHOT_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "proxy/config/cluster_config.h"
#include "proxy/config/jwt_config.h"
#include "proxy/config/listener_config.h"
#include "proxy/config/route_table.h"
#include "proxy/dns/name_table.h"
#include "proxy/net/address.h"

namespace weft {

struct Snapshot {
  std::map<std::string, std::shared_ptr<const ListenerConfig>> listeners;
  // Listeners that only take what another hands over (bind_to_port false), by ListenerKey(); the
  // first by name if several have one address.
  absl::flat_hash_map<std::string, std::shared_ptr<const ListenerConfig>> listeners_by_address;
  absl::flat_hash_map<std::string, std::shared_ptr<const ClusterConfig>> clusters;
  absl::flat_hash_map<std::string, std::shared_ptr<const RouteTable>> routes;
  std::shared_ptr<const LocalZones> local_zones;  // null: not known
  KeySets keys;  // those of the listeners' jwks_sources that have been fetched
  std::shared_ptr<const NameTable> names = std::make_shared<const NameTable>();  // never null

  // Null if there is none.
  const ClusterConfig* FindCluster(absl::string_view name) const;
  std::shared_ptr<const RouteTable> FindRoutes(const HttpManagerConfig& http) const;
};

// The bytes of IP and port: equal for equal addresses.
std::string ListenerKey(const Address& address);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_SNAPSHOT_H_
