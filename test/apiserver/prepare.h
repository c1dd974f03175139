// Prepare: what the server itself adds to an object before it is stored, and refuses in it.
// Pure but for the address and names that are handed in.
#ifndef WEFT_TEST_APISERVER_PREPARE_H_
#define WEFT_TEST_APISERVER_PREPARE_H_

#include <functional>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "test/apiserver/resource.h"

namespace weft::apiserver {

// As Kubernetes writes times of metadata: whole seconds, UTC.
std::string Rfc3339(absl::Time time);

// name (or one made of generateName and `suffix`), namespace. The error is a 400 or 422.
std::optional<Failure> CheckIdentity(Json& object, const Resource& resource, const std::string& ns,
                                     absl::string_view suffix);

// uid, creationTimestamp, generation 1; status goes unless the kind has no such subresource.
void StampNew(Json& object, const Resource& resource, const std::string& uid, absl::Time now);

// What an update must not change stays as in `before`; generation rises when something other than
// metadata and status did. `status_only`: the request was to the subresource, and vice versa.
void StampChanged(const Json& before, Json& object, const Resource& resource, bool status_only);

// Defaults of built-in kinds, as far as readers rely on them. `new_ip` gives a Service its address.
void SetDefaults(Json& object, const Resource& resource,
                 const std::function<std::string()>& new_ip);

// The few rules of validation that manifests commonly break.
std::optional<Failure> Validate(const Json& object, const Resource& resource);

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_PREPARE_H_
