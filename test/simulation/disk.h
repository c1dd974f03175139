// Disk: the files of one weftd. What was written survives a crash only once it was synced.
#ifndef WEFT_TEST_SIMULATION_DISK_H_
#define WEFT_TEST_SIMULATION_DISK_H_

#include <map>
#include <optional>
#include <string>

namespace weft::simulation {

class Disk {
 public:
  // Replaces the file as a whole.
  void Write(const std::string& file, std::string bytes) { written_[file] = std::move(bytes); }
  void Sync() { synced_ = written_; }
  void Crash() { written_ = synced_; }
  void Lose() {
    written_.clear();
    synced_.clear();
  }
  std::optional<std::string> Read(const std::string& file) const {
    const auto found = written_.find(file);
    if (found == written_.end()) return std::nullopt;
    return found->second;
  }

 private:
  std::map<std::string, std::string> written_;
  std::map<std::string, std::string> synced_;
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_DISK_H_
