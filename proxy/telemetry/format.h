// Evaluates format strings: access logs, and header values with command operators. Pure.
#ifndef WEFT_PROXY_TELEMETRY_FORMAT_H_
#define WEFT_PROXY_TELEMETRY_FORMAT_H_

#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "proxy/config/format_string.h"
#include "proxy/http/head.h"
#include "proxy/telemetry/record.h"

namespace weft {

// What operators look at. Borrowed; null: there is none (yet).
struct FormatInput {
  const RequestRecord* record = nullptr;  // never null when evaluated
  const RequestHead* request = nullptr;
  const Headers* response = nullptr;
};

// A value that is a number in JSON.
bool IsNumber(FormatOperator op);

// The value of one operator, as it is; nullopt: there is none.
std::optional<std::string> Evaluate(const FormatPiece& piece, const FormatInput& input);

// A header's value. What has no value is left out; control characters, which a peer may have put
// into what it said, are escaped, so that no field can be split (RFC 9110, section 5.5).
std::string FormatHeaderValue(const FormatString& format, const FormatInput& input);

// Appends a line of text. Control characters, quotes and what is not ASCII of a value are escaped:
// a peer cannot forge a line or a field. What has no value is `missing`.
void AppendText(const FormatString& format, const FormatInput& input, absl::string_view missing,
                std::string& to);

}  // namespace weft

#endif  // WEFT_PROXY_TELEMETRY_FORMAT_H_
