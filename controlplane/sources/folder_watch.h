// FolderWatch: folders of Kubernetes YAML as they are, and as they change.
//
// Reads them once, then follows inotify, without a thread of its own: the owner calls Poll() when
// fd() is readable and when due() has come. A burst of events settles for a few milliseconds; a
// file in the middle of being written or replaced keeps what it last held. Not thread-safe.
#ifndef WEFT_CONTROLPLANE_SOURCES_FOLDER_WATCH_H_
#define WEFT_CONTROLPLANE_SOURCES_FOLDER_WATCH_H_

#include <sys/inotify.h>

#include <chrono>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "controlplane/model/problem.h"
#include "controlplane/sources/folders.h"
#include "controlplane/sources/overlay.h"
#include "controlplane/sources/source.h"

namespace weft {

class FolderWatch {
 public:
  using Clock = std::chrono::steady_clock;

  // Later folders override earlier ones. A folder that is missing is a problem, not a failure: it
  // is taken up once it appears. Fails only for want of descriptors. Nothing is read yet.
  static absl::StatusOr<std::unique_ptr<FolderWatch>> Start(std::vector<std::string> folders);
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  int fd() const { return inotify_fd_; }
  std::optional<Clock::time_point> due() const;
  // The first call reads everything.
  SourceUpdate Poll();
  // Reads what has changed without letting it settle: for who made the change himself.
  SourceUpdate ReadNow();
  // What counts now.
  const Overlay::Objects& objects() { return folders_.overlay().effective(); }

 private:
  // A file that changed and was not read yet.
  struct Pending {
    Clock::time_point first_event;
    Clock::time_point last_event;
    bool being_written = false;
    bool emptied = false;

    Clock::time_point due() const;
  };

  FolderWatch(std::vector<std::string> folders, int inotify_fd);
  void ReadEvents();
  void OnEvent(const inotify_event& event);
  void OnFileEvent(const FilePlace& file, uint32_t mask);
  void ReadWhatIsDue();
  void ScanBy(Clock::time_point when);
  void ScanNow();
  void Watch(const FilePlace& directory);
  SourceUpdate Take();

  Folders folders_;
  const int inotify_fd_;
  std::map<int, std::set<FilePlace>> watched_;  // directories by watch
  std::map<FilePlace, Pending> pending_;
  std::optional<Clock::time_point> scan_due_;
  bool first_ = true;
  bool out_of_watches_ = false;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_FOLDER_WATCH_H_
