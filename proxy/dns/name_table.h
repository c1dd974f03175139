// NameTable: the names of the mesh and the addresses they stand for in this cluster. An immutable
// value compiled from what the control plane sends (NDS), looked up for each DNS query.
#ifndef WEFT_PROXY_DNS_NAME_TABLE_H_
#define WEFT_PROXY_DNS_NAME_TABLE_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "proxy/net/address.h"

namespace weft {

struct NameTable {
  struct Host {
    std::string name;                // the full one
    std::vector<Address> addresses;  // port 0
  };

  // Null if the mesh does not have the name (lower case, no final dot).
  const Host* Find(absl::string_view name) const {
    const auto found = hosts.find(name);
    return found == hosts.end() ? nullptr : found->second.get();
  }

  // By full name and by each of its other names; lower case, no final dot.
  absl::flat_hash_map<std::string, std::shared_ptr<const Host>> hosts;
};

}  // namespace weft

#endif  // WEFT_PROXY_DNS_NAME_TABLE_H_
