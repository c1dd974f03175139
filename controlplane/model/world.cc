#include "controlplane/model/world.h"

#include "absl/strings/str_cat.h"

namespace weft {

std::string ToString(const ObjectKey& key) {
  if (key.name.empty()) return key.kind;
  if (key.namespace_.empty()) return absl::StrCat(key.kind, " ", key.name);
  return absl::StrCat(key.kind, " ", key.namespace_, "/", key.name);
}

}  // namespace weft
