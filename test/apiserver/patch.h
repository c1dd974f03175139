// Patches: JSON patch (RFC 6902), merge patch (RFC 7396), and the strategic merge patch by which
// kubectl changes built-in kinds: lists whose elements have a key are merged by it. Pure.
#ifndef WEFT_TEST_APISERVER_PATCH_H_
#define WEFT_TEST_APISERVER_PATCH_H_

#include <string>

#include "absl/strings/string_view.h"
#include "test/apiserver/failure.h"

namespace weft::apiserver {

// How the elements of the list `field`, within the member `parent`, of an object of `kind` are told
// apart: by the value of a field of theirs; as plain values ("" with `primitive`); or not at all,
// and the list is replaced whole.
struct MergeKey {
  const char* key = "";
  bool primitive = false;

  bool merges() const { return primitive || *key != '\0'; }
};
MergeKey MergeKeyOf(absl::string_view kind, absl::string_view parent, absl::string_view field);

Result<Json> JsonPatch(const Json& object, const Json& patch);
Result<Json> MergePatch(const Json& object, const Json& patch);
// Directives: $patch (delete, replace, merge), $deleteFromPrimitiveList/, $setElementOrder/,
// $retainKeys.
Result<Json> StrategicPatch(const Json& object, const Json& patch, absl::string_view kind);

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_PATCH_H_
