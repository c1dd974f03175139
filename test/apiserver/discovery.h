// Discovery: what kinds there are, as /api, /apis and /apis/GROUP/VERSION say it, and as the
// OpenAPI document does. Pure functions of the catalog.
#ifndef WEFT_TEST_APISERVER_DISCOVERY_H_
#define WEFT_TEST_APISERVER_DISCOVERY_H_

#include <string>

#include "absl/strings/string_view.h"
#include "test/apiserver/resource.h"

namespace weft::apiserver {

// "/api"; `address` is the server's own.
Json CoreVersions(absl::string_view address);
// "/apis"
Json GroupList(const Catalog& catalog);
// "/apis/GROUP"; not found if nothing is of that group.
Result<Json> OneGroup(const Catalog& catalog, absl::string_view group);
// "/api/v1" and "/apis/GROUP/VERSION".
Result<Json> ResourceList(const Catalog& catalog, absl::string_view group,
                          absl::string_view version);

// "/version"
Json ServerVersion();

// "/openapi/v2", in protobuf's encoding (gnostic's openapi.v2.Document), the only one kubectl
// reads. It has no definitions, for which kubectl skips its own validation, and for each kind the
// path by which kubectl learns that dry runs are supported.
std::string OpenApi(const Catalog& catalog);

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_DISCOVERY_H_
