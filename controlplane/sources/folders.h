// Folders: the YAML files below some directories, read into an Overlay.
//
// Read are *.yaml, *.yml and *.json, down to kMaxFolderDepth; hidden files and editors' copies
// (".x", "x~", "x.swp", "x.tmp") are not. A file that cannot be read or parsed is an error, and
// what it last held stays. Blocking disk reads; not thread-safe.
#ifndef WEFT_CONTROLPLANE_SOURCES_FOLDERS_H_
#define WEFT_CONTROLPLANE_SOURCES_FOLDERS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/string_view.h"
#include "controlplane/sources/overlay.h"

namespace weft {

// Directories below a folder that are looked into.
inline constexpr int kMaxFolderDepth = 4;

bool IsObjectFile(absl::string_view name);

class Folders {
 public:
  explicit Folders(std::vector<std::string> folders) : folders_(std::move(folders)) {}

  // Walks all directories, reads what is new or changed and drops what is gone, except for `leave`.
  // `on_directory` is called with each directory before it is listed, so that a watch set there
  // misses nothing.
  void Scan(const std::set<FilePlace>& leave,
            const std::function<void(const FilePlace& directory)>& on_directory);

  // Reads one file again, or drops it if it is gone. With `partial`, somebody is still writing to
  // it, and objects that are missing in it stay.
  void Read(const FilePlace& file, bool partial);

  // The file is gone or empty though it held objects: often one step of being replaced.
  bool LooksEmptied(const FilePlace& file) const;

  std::string FullPath(const FilePlace& place) const;
  bool any_missing() const { return !missing_.empty(); }

  Overlay& overlay() { return overlay_; }
  // Found since the last call.
  std::vector<Problem> TakeProblems();

 private:
  // What changes when a file does.
  using Signature = std::tuple<uint64_t, uint64_t, int64_t, int64_t, int64_t>;
  struct Walk;

  void WalkDirectory(const FilePlace& directory, int depth, Walk& walk);
  void AddError(const FilePlace& place, std::string message);
  std::string Name(const FilePlace& file) const;

  const std::vector<std::string> folders_;
  Overlay overlay_;
  std::map<FilePlace, Signature> known_;
  std::set<size_t> missing_;  // folders that are not there
  std::vector<Problem> problems_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_FOLDERS_H_
