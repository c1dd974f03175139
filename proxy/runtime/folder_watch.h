// FolderWatch: says when a file was moved into one of the watched folders, by inotify.
//
// Moving is how a file is replaced whole: a half-written one is never seen. That also is how
// Kubernetes swaps a mounted volume (the link "..data" is moved into place). Belongs to the loop's
// thread.
#ifndef WEFT_PROXY_RUNTIME_FOLDER_WATCH_H_
#define WEFT_PROXY_RUNTIME_FOLDER_WATCH_H_

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>

#include "absl/status/statusor.h"
#include "proxy/runtime/event_loop.h"

namespace weft {

class FolderWatch {
 public:
  // `name` within `folder`, as it was given to Follow().
  using OnMoved = std::function<void(const std::string& folder, const std::string& name)>;

  // Fails only for want of descriptors.
  static absl::StatusOr<std::unique_ptr<FolderWatch>> Create(EventLoop& loop, OnMoved on_moved);
  ~FolderWatch();
  FolderWatch(const FolderWatch&) = delete;
  FolderWatch& operator=(const FolderWatch&) = delete;

  // What to watch from now on. The error names the folders that cannot be; the others are.
  absl::Status Follow(const std::set<std::string>& folders);

 private:
  FolderWatch(EventLoop& loop, int fd, OnMoved on_moved);
  static void OnEvent(int, short, void* self);
  void Read();
  void Forget(const std::string& folder, int descriptor);

  const int fd_;
  const OnMoved on_moved_;
  event* event_;
  std::map<std::string, int> descriptors_;
  std::map<int, std::set<std::string>> folders_;  // two names of one folder share a descriptor
};

}  // namespace weft

#endif  // WEFT_PROXY_RUNTIME_FOLDER_WATCH_H_
