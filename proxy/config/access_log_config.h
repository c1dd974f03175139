// AccessLogConfig: where records of requests and connections go, which of them, and as what.
// Immutable once compiled; any thread. telemetry/access_line.h evaluates it.
#ifndef WEFT_PROXY_CONFIG_ACCESS_LOG_CONFIG_H_
#define WEFT_PROXY_CONFIG_ACCESS_LOG_CONFIG_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "proxy/config/format_string.h"
#include "proxy/config/fraction.h"
#include "proxy/config/matchers.h"
#include "proxy/http/response_flag.h"

namespace weft {

struct AccessLogFilter {
  enum class Kind : uint8_t {
    kStatusCode,
    kDuration,  // milliseconds
    kShare,     // of the records
    kAnd,
    kOr,
    kHeader,         // of the request
    kResponseFlags,  // one of `flags`, or any if there are none
    kGrpcStatus,     // one of the bits of `grpc_statuses`, or none of them if `exclude`
    kAlways,
  };
  enum class Comparison : uint8_t { kEqual, kAtLeast, kAtMost, kNotEqual };

  Kind kind = Kind::kAlways;
  Comparison comparison = Comparison::kEqual;
  uint32_t number = 0;
  Fraction share;
  std::vector<AccessLogFilter> parts;
  HeaderMatch header;
  ResponseFlags flags;
  uint32_t grpc_statuses = 0;
  bool exclude = false;
};

// A value of a JSON log.
struct JsonFormat {
  enum class Kind : uint8_t { kFormat, kRaw, kObject, kList };
  Kind kind = Kind::kRaw;
  FormatString format;
  std::string raw;                  // a number, true, false, null
  std::vector<JsonFormat> members;  // of kObject and kList
  std::vector<std::string> names;   // of the members of kObject, as JSON strings; sorted
};

struct AccessLogConfig {
  std::string path;   // "/dev/stdout" and "/dev/stderr" also for the stream logs
  FormatString text;  // with its newline; where `json` is null
  std::shared_ptr<const JsonFormat> json;
  bool omit_empty_values = false;                 // "" instead of "-"; no member instead of null
  std::shared_ptr<const AccessLogFilter> filter;  // null: every record
};

// What the logs of one listener ask of responses: all that is kept of them for the record.
struct LoggedHeaders {
  std::vector<std::string> response;
  std::vector<std::string> response_trailers;
  std::vector<std::string> request_trailers;
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_ACCESS_LOG_CONFIG_H_
