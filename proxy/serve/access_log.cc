#include "proxy/serve/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/log.h"
#include "proxy/telemetry/access_line.h"

namespace weft {

AccessLog::~AccessLog() {
  for (const auto& [path, fd] : files_) {
    if (fd >= 0) close(fd);
  }
}

int AccessLog::FileFor(const std::string& path) {
  auto [it, added] = files_.try_emplace(path, -1);
  if (!added) return it->second;
  it->second = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (it->second < 0) {
    Log(LogLevel::kError, "access_log_unavailable", {{"path", path}, {"error", strerror(errno)}});
  }
  return it->second;
}

void AccessLog::Write(const std::vector<AccessLogConfig>& logs, const FormatInput& input,
                      uint64_t random) {
  for (const AccessLogConfig& log : logs) {
    if (log.filter != nullptr && !Passes(*log.filter, input, random)) continue;
    const int fd = FileFor(log.path);
    if (fd < 0) continue;
    const std::string line = AccessLine(log, input);
    (void)!write(fd, line.data(), line.size());
  }
}

}  // namespace weft
