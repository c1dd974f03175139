// AccessLog: the files that access records go to, shared by all workers. One write() of one line in
// append mode is atomic enough to interleave, and keeps the record when the process dies.
#ifndef WEFT_PROXY_SERVE_ACCESS_LOG_H_
#define WEFT_PROXY_SERVE_ACCESS_LOG_H_

#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "proxy/config/listener_config.h"
#include "proxy/telemetry/record.h"

namespace weft {

class AccessLog {
 public:
  AccessLog() = default;
  ~AccessLog();
  AccessLog(const AccessLog&) = delete;
  AccessLog& operator=(const AccessLog&) = delete;

  // Thread-safe.
  void Write(const std::vector<AccessLogConfig>& logs, const RequestRecord& record);

 private:
  int FileFor(const std::string& path);

  std::mutex mutex_;
  std::map<std::string, int> files_;  // -1: cannot be opened, said once
};

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_ACCESS_LOG_H_
