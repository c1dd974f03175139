// Manifests: YAML or JSON text, of several documents, as JSON objects. Lists are taken apart. Pure.
#ifndef WEFT_TEST_APISERVER_MANIFEST_H_
#define WEFT_TEST_APISERVER_MANIFEST_H_

#include <nlohmann/json.hpp>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft::apiserver {

absl::StatusOr<std::vector<nlohmann::json>> ReadManifest(absl::string_view text);

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_MANIFEST_H_
