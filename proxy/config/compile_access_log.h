// From AccessLog messages to AccessLogConfig. Only compile_*.cc and tests include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_ACCESS_LOG_H_
#define WEFT_PROXY_CONFIG_COMPILE_ACCESS_LOG_H_

#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "proxy/config/access_log_config.h"

namespace envoy::config::accesslog::v3 {
class AccessLog;
class AccessLogFilter;
}  // namespace envoy::config::accesslog::v3
namespace envoy::config::core::v3 {
class SubstitutionFormatString;
}

namespace weft {

absl::StatusOr<AccessLogConfig> CompileAccessLog(
    const envoy::config::accesslog::v3::AccessLog& from);

// A format of text or JSON, into `to`.
absl::Status CompileLogFormat(const envoy::config::core::v3::SubstitutionFormatString& from,
                              AccessLogConfig& to);
absl::StatusOr<AccessLogFilter> CompileAccessLogFilter(
    const envoy::config::accesslog::v3::AccessLogFilter& from);

// What of responses the logs show besides the record.
LoggedHeaders HeadersOfLogs(const std::vector<AccessLogConfig>& logs);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_ACCESS_LOG_H_
