// Log: one line per event, with stable key=value fields, on stderr.
//
//   2026-01-01T00:00:00.000Z info peer_connected peer=west gateway=10.0.0.1:15443
//
// For changes of state: config, identity, health, connections between control planes. Never per
// request, never a secret. An event is a fixed word, so that lines can be searched for; what varies
// goes into fields. Values may hold foreign bytes: they are quoted and escaped as needed, so a line
// stays one line.
//
// Thread-safe; a line is written whole.
#ifndef WEFT_PROXY_BASE_LOG_H_
#define WEFT_PROXY_BASE_LOG_H_

#include <initializer_list>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/string_view.h"

namespace weft {

enum class LogLevel { kTrace, kDebug, kInfo, kWarning, kError, kOff };

using LogField = std::pair<absl::string_view, std::string>;

void Log(LogLevel level, absl::string_view event, std::initializer_list<LogField> fields = {});

// Lines below `level` are not written; kInfo at start.
void SetLogLevel(LogLevel level);
bool IsLogged(LogLevel level);

// As Envoy's --log-level has them: trace, debug, info, warning (or warn), error, critical, off.
std::optional<LogLevel> ParseLogLevel(absl::string_view name);

// What Log writes after the time stamp and the level; for tests and for other outputs.
std::string FormatLogLine(absl::string_view event, std::initializer_list<LogField> fields);

}  // namespace weft

#endif  // WEFT_PROXY_BASE_LOG_H_
