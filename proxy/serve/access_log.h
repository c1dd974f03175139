// AccessLog: the files that one worker's access records go to. Each worker opens them for itself:
// one write() of one line in append mode is atomic enough to interleave, needs no lock, and keeps
// the record when the process dies.
#ifndef WEFT_PROXY_SERVE_ACCESS_LOG_H_
#define WEFT_PROXY_SERVE_ACCESS_LOG_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "proxy/config/access_log_config.h"
#include "proxy/telemetry/format.h"

namespace weft {

class AccessLog {
 public:
  AccessLog() = default;
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // A line to each whose filter wants the record. `random` decides on shares.
  void Write(const std::vector<AccessLogConfig>& logs, const FormatInput& input, uint64_t random);

 private:
  int FileFor(const std::string& path);

  absl::flat_hash_map<std::string, int> files_;  // -1: cannot be opened, said once
};

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_ACCESS_LOG_H_
