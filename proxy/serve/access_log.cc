#include "proxy/serve/access_log.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "proxy/base/log.h"

namespace weft {

AccessLog::~AccessLog() {
  for (const auto& [path, fd] : files_) {
    if (fd >= 0) close(fd);
  }
}

int AccessLog::FileFor(const std::string& path) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto [it, added] = files_.try_emplace(path, -1);
  if (!added) return it->second;
  it->second = open(path.c_str(), O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644);
  if (it->second < 0) {
    Log(LogLevel::kError, "access_log_unavailable", {{"path", path}, {"error", strerror(errno)}});
  }
  return it->second;
}

void AccessLog::Write(const std::vector<AccessLogConfig>& logs, const RequestRecord& record) {
  const std::string line = FormatAccessLog(record);
  for (const AccessLogConfig& log : logs) {
    const int fd = FileFor(log.path);
    if (fd >= 0) (void)!write(fd, line.data(), line.size());
  }
}

}  // namespace weft
