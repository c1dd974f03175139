// /config_dump: what the proxy was told, in Envoy's form (envoy.admin.v3.ConfigDump as JSON), so
// that tools that read Envoy's read ours. Private keys are never in it.
#ifndef WEFT_PROXY_ADMIN_CONFIG_DUMP_H_
#define WEFT_PROXY_ADMIN_CONFIG_DUMP_H_

#include <re2/re2.h>

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proxy/config/config_state.h"

namespace weft {

// Envoy's query parameters of the same names.
struct ConfigDumpQuery {
  bool include_eds = false;
  std::string resource;  // "dynamic_listeners", "bootstrap", …: only that list's elements
  std::string mask;      // comma-separated paths within each of them: what to keep
  const RE2* name_regex = nullptr;
};

struct ConfigDumpSource {
  const ConfigState* config = nullptr;
  absl::string_view bootstrap;  // a serialized Bootstrap; "" if there was none
  absl::Time started;
};

// kNotFound if there is no such resource list.
absl::StatusOr<std::string> ConfigDump(const ConfigDumpSource& source,
                                       const ConfigDumpQuery& query);

}  // namespace weft

#endif  // WEFT_PROXY_ADMIN_CONFIG_DUMP_H_
