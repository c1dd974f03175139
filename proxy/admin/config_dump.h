// /config_dump: what the proxy was told, in Envoy's form (envoy.admin.v3.ConfigDump as JSON), so
// that tools that read Envoy's read ours. Private keys are never in it.
#ifndef WEFT_PROXY_ADMIN_CONFIG_DUMP_H_
#define WEFT_PROXY_ADMIN_CONFIG_DUMP_H_

#include <string>

#include "absl/strings/string_view.h"
#include "proxy/config/raw_config.h"

namespace weft {

// `include_eds`: endpoints too, as Envoy's query parameter of that name.
std::string ConfigDump(const RawConfig& config, bool include_eds);

}  // namespace weft

#endif  // WEFT_PROXY_ADMIN_CONFIG_DUMP_H_
