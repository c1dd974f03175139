// Ownership: who set which field (metadata.managedFields), and server-side apply on top of it.
//
// Only objects that were applied by the server carry managedFields here; Kubernetes keeps them for
// all. Lists are merged by the key that strategic patches have for them, or are one value. Pure.
#ifndef WEFT_TEST_APISERVER_OWNERSHIP_H_
#define WEFT_TEST_APISERVER_OWNERSHIP_H_

#include <string>

#include "absl/strings/string_view.h"
#include "test/apiserver/failure.h"

namespace weft::apiserver {

struct Apply {
  Subject subject;
  std::string manager;
  std::string api_version;
  std::string now;  // RFC 3339
  bool force = false;
};

// `live` (null: there is none yet) with `applied`: fields that this manager applied before and no
// longer does go, unless others have them too. A Conflict names each field that another manager has
// with another value, and the manager.
Result<Json> ApplyTo(const Json& live, const Json& applied, const Apply& apply);

// After a write that is no apply: what it changed is `manager`'s from now on.
void NoteWrite(const Json& before, Json& after, const Apply& write);

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_OWNERSHIP_H_
