// One line of an access log, and whether there is to be one. Pure: randomness is an argument.
#ifndef WEFT_PROXY_TELEMETRY_ACCESS_LINE_H_
#define WEFT_PROXY_TELEMETRY_ACCESS_LINE_H_

#include <cstdint>
#include <string>

#include "proxy/config/access_log_config.h"
#include "proxy/telemetry/format.h"

namespace weft {

// Whether the record is one that the filter wants.
bool Passes(const AccessLogFilter& filter, const FormatInput& input, uint64_t random);

// As the log has it, text or JSON. Of text the newline is the format's own; JSON gets one.
std::string AccessLine(const AccessLogConfig& log, const FormatInput& input);

}  // namespace weft

#endif  // WEFT_PROXY_TELEMETRY_ACCESS_LINE_H_
