// ReadResourceFile: the resources of a path_config_source, a file with a DiscoveryResponse: YAML or
// JSON by its name, else (".pb") as protobuf. Pure: it is given the text.
#ifndef WEFT_PROXY_XDS_RESOURCE_FILE_H_
#define WEFT_PROXY_XDS_RESOURCE_FILE_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proxy/config/config_state.h"

namespace weft {

struct ResourceFile {
  std::string version;
  std::vector<EncodedResource> resources;
};

// The error names the field ("resources[0].lb_policy (line 7): …"); all must be of `type_url`.
absl::StatusOr<ResourceFile> ParseResourceFile(absl::string_view path, const std::string& content,
                                               absl::string_view type_url);

}  // namespace weft

#endif  // WEFT_PROXY_XDS_RESOURCE_FILE_H_
