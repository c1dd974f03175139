#include "tools/weftctl/sandbox/generated.h"

#include <unistd.h>

#include "tools/weftctl/sandbox/state_dir.h"

namespace weft::sandbox {

absl::Status GeneratedFolder::Set(const std::map<std::string, std::string>& files) {
  for (const auto& [name, content] : files) {
    auto old = written_.find(name);
    if (old != written_.end() && old->second == content) continue;
    absl::Status s = WriteFileAtomically(path_ + "/" + name, content);
    if (!s.ok()) return s;
    written_[name] = content;
  }
  for (auto it = written_.begin(); it != written_.end();) {
    if (files.count(it->first) > 0) {
      ++it;
      continue;
    }
    unlink((path_ + "/" + it->first).c_str());
    it = written_.erase(it);
  }
  return absl::OkStatus();
}

}  // namespace weft::sandbox
