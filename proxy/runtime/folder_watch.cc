#include "proxy/runtime/folder_watch.h"

#include <errno.h>
#include <event2/event.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft {
namespace {

// Some hundred events with long names; what is more is read in the next turn.
constexpr size_t kReadBytes = 16 * 1024;

}  // namespace

absl::StatusOr<std::unique_ptr<FolderWatch>> FolderWatch::Create(EventLoop& loop,
                                                                 OnMoved on_moved) {
  const int fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (fd < 0) return absl::ErrnoToStatus(errno, "inotify_init1");
  return std::unique_ptr<FolderWatch>(new FolderWatch(loop, fd, std::move(on_moved)));
}

FolderWatch::FolderWatch(EventLoop& loop, int fd, OnMoved on_moved)
    : fd_(fd), on_moved_(std::move(on_moved)) {
  event_ = event_new(loop.base(), fd_, EV_READ | EV_PERSIST, OnEvent, this);
  event_add(event_, nullptr);
}

FolderWatch::~FolderWatch() {
  event_free(event_);
  close(fd_);
}

absl::Status FolderWatch::Follow(const std::set<std::string>& folders) {
  for (auto it = descriptors_.begin(); it != descriptors_.end();) {
    const auto [folder, descriptor] = *it;
    if (folders.count(folder) != 0) {
      ++it;
      continue;
    }
    it = descriptors_.erase(it);
    Forget(folder, descriptor);
  }
  std::vector<std::string> errors;
  for (const std::string& folder : folders) {
    if (descriptors_.count(folder) != 0) continue;
    const int descriptor = inotify_add_watch(fd_, folder.c_str(), IN_MOVED_TO | IN_ONLYDIR);
    if (descriptor < 0) {
      errors.push_back(absl::StrCat("cannot watch ", folder, ": ", strerror(errno)));
      continue;
    }
    descriptors_[folder] = descriptor;
    folders_[descriptor].insert(folder);
  }
  if (errors.empty()) return absl::OkStatus();
  return absl::UnavailableError(absl::StrJoin(errors, "; "));
}

void FolderWatch::Forget(const std::string& folder, int descriptor) {
  std::set<std::string>& names = folders_[descriptor];
  names.erase(folder);
  if (!names.empty()) return;
  folders_.erase(descriptor);
  inotify_rm_watch(fd_, descriptor);
}

void FolderWatch::OnEvent(int, short, void* self) { static_cast<FolderWatch*>(self)->Read(); }

void FolderWatch::Read() {
  alignas(inotify_event) char buffer[kReadBytes];
  const ssize_t length = read(fd_, buffer, sizeof(buffer));
  // Collected first: a callback may change what is watched.
  std::vector<std::pair<std::string, std::string>> moved;
  for (ssize_t at = 0; at < length;) {
    const auto* one = reinterpret_cast<const inotify_event*>(buffer + at);
    at += static_cast<ssize_t>(sizeof(inotify_event) + one->len);
    const auto found = folders_.find(one->wd);
    if (found == folders_.end()) continue;
    if ((one->mask & IN_IGNORED) != 0) {  // the folder itself is gone; Follow() may try it again
      for (const std::string& folder : found->second) descriptors_.erase(folder);
      folders_.erase(found);
    } else if ((one->mask & IN_MOVED_TO) != 0) {
      for (const std::string& folder : found->second) moved.emplace_back(folder, one->name);
    }
  }
  for (const auto& [folder, name] : moved) on_moved_(folder, name);
}

}  // namespace weft
