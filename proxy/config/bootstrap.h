// The file a proxy starts from: an Envoy v3 bootstrap in YAML or JSON.
//
// Reading only: what the configuration means, and whether it hangs together, is for the compiler of
// snapshots. A field or an extension type that is not known is an error that names file and line,
// for in a static file a misspelt field would otherwise be silently without effect.
#ifndef WEFT_PROXY_CONFIG_BOOTSTRAP_H_
#define WEFT_PROXY_CONFIG_BOOTSTRAP_H_

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace envoy::config::bootstrap::v3 {
class Bootstrap;
}  // namespace envoy::config::bootstrap::v3

namespace weft {

// NotFound or another errno's code where the file cannot be read, InvalidArgument where its
// content is wrong. Blocks on the disk: for the start of a process, not for a worker.
absl::StatusOr<envoy::config::bootstrap::v3::Bootstrap> LoadBootstrap(absl::string_view path);

// A file with `yaml` (--config-yaml) merged over it: what both say is `yaml`'s, lists are joined.
// One of them may be empty.
absl::StatusOr<envoy::config::bootstrap::v3::Bootstrap> LoadBootstrap(absl::string_view path,
                                                                      absl::string_view yaml);

// `filename` is only for error messages.
absl::StatusOr<envoy::config::bootstrap::v3::Bootstrap> ParseBootstrap(absl::string_view text,
                                                                       absl::string_view filename);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_BOOTSTRAP_H_
