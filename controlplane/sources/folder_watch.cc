#include "controlplane/sources/folder_watch.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

using std::chrono::milliseconds;

// After a file was closed or renamed: long enough to take a few files written together as one
// change, short against the 200 ms that an edit may take to reach the proxies.
constexpr milliseconds kSettle(5);
// A file that is rewritten all the time is read this often nevertheless.
constexpr milliseconds kMaxSettle(50);
// A file that vanished or became empty: editors that rename the old file away, write the new one
// and sync it need this long.
constexpr milliseconds kEmptiedSettle(50);
// A file that somebody writes to without closing it.
constexpr milliseconds kOpenFileSettle(1000);
// How often to look at what cannot be watched: a folder that does not exist, or one for which
// the kernel has no watch left (fs.inotify.max_user_watches).
constexpr milliseconds kPollInterval(500);

constexpr uint32_t kEvents = IN_CREATE | IN_MODIFY | IN_CLOSE_WRITE | IN_MOVED_FROM | IN_MOVED_TO |
                             IN_DELETE | IN_DELETE_SELF | IN_MOVE_SELF;

}  // namespace

FolderWatch::Clock::time_point FolderWatch::Pending::due() const {
  if (being_written) return last_event + kOpenFileSettle;
  if (emptied) return last_event + kEmptiedSettle;
  return std::min(last_event + kSettle, first_event + kMaxSettle);
}

FolderWatch::FolderWatch(std::vector<std::string> folders, int inotify_fd)
    : folders_(std::move(folders)), inotify_fd_(inotify_fd) {}

FolderWatch::~FolderWatch() { ::close(inotify_fd_); }

absl::StatusOr<std::unique_ptr<FolderWatch>> FolderWatch::Start(std::vector<std::string> folders) {
  const int inotify_fd = ::inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
  if (inotify_fd < 0) {
    return absl::ErrnoToStatus(
        errno, "cannot watch folders: inotify (raise fs.inotify.max_user_instances)");
  }
  return std::unique_ptr<FolderWatch>(new FolderWatch(std::move(folders), inotify_fd));
}

SourceUpdate FolderWatch::Poll() {
  if (first_) {
    ScanNow();
  } else {
    ReadEvents();
    ReadWhatIsDue();
  }
  return Take();
}

SourceUpdate FolderWatch::ReadNow() {
  ReadEvents();
  pending_.clear();
  ScanNow();
  return Take();
}

std::optional<FolderWatch::Clock::time_point> FolderWatch::due() const {
  std::optional<Clock::time_point> next = scan_due_;
  for (const auto& [file, pending] : pending_) {
    if (!next.has_value() || pending.due() < *next) next = pending.due();
  }
  return next;
}

void FolderWatch::ReadEvents() {
  alignas(inotify_event) char buffer[16 << 10];
  ssize_t size;
  while ((size = ::read(inotify_fd_, buffer, sizeof buffer)) > 0) {
    for (const char* at = buffer; at < buffer + size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(at);
      OnEvent(*event);
      at += sizeof(inotify_event) + event->len;
    }
  }
}

void FolderWatch::OnEvent(const inotify_event& event) {
  const absl::string_view name = event.len > 0 ? event.name : "";
  const bool structural =
      (event.mask & (IN_ISDIR | IN_Q_OVERFLOW | IN_DELETE_SELF | IN_MOVE_SELF | IN_IGNORED)) ||
      absl::StartsWith(name, "..");  // how a mounted ConfigMap swaps all its files at once
  if (event.mask & IN_MOVE_SELF) ::inotify_rm_watch(inotify_fd_, event.wd);
  if (event.mask & IN_IGNORED) watched_.erase(event.wd);
  if (structural) return ScanBy(Clock::now() + kSettle);
  if (!IsObjectFile(name)) return;
  const auto directories = watched_.find(event.wd);
  if (directories == watched_.end()) return;
  for (const FilePlace& directory : directories->second) {
    const std::string path =
        directory.path.empty() ? std::string(name) : absl::StrCat(directory.path, "/", name);
    OnFileEvent({directory.folder, path}, event.mask);
  }
}

void FolderWatch::OnFileEvent(const FilePlace& file, uint32_t mask) {
  const Clock::time_point now = Clock::now();
  Pending& pending = pending_.try_emplace(file, Pending{now, now}).first->second;
  pending.last_event = now;
  pending.emptied = false;
  if (mask & IN_MODIFY) pending.being_written = true;
  if (mask & (IN_CLOSE_WRITE | IN_MOVED_TO | IN_MOVED_FROM | IN_DELETE)) {
    if (pending.being_written) pending.first_event = now;
    pending.being_written = false;
  }
}

void FolderWatch::ReadWhatIsDue() {
  const Clock::time_point now = Clock::now();
  for (auto it = pending_.begin(); it != pending_.end();) {
    auto& [file, pending] = *it;
    if (pending.due() <= now && !pending.emptied) pending.emptied = folders_.LooksEmptied(file);
    if (pending.due() > now) {
      ++it;
      continue;
    }
    folders_.Read(file, /*partial=*/pending.being_written);
    it = pending_.erase(it);
  }
  if (scan_due_.has_value() && *scan_due_ <= now) ScanNow();
}

void FolderWatch::ScanBy(Clock::time_point when) {
  if (!scan_due_.has_value() || when < *scan_due_) scan_due_ = when;
}

void FolderWatch::ScanNow() {
  scan_due_.reset();
  std::set<FilePlace> leave;
  for (const auto& [file, pending] : pending_) leave.insert(file);
  watched_.clear();
  out_of_watches_ = false;
  folders_.Scan(leave, [this](const FilePlace& directory) { Watch(directory); });
  if (folders_.any_missing() || out_of_watches_) ScanBy(Clock::now() + kPollInterval);
}

// One directory may be reached by several paths; the kernel has one watch for it.
void FolderWatch::Watch(const FilePlace& directory) {
  const int watch = ::inotify_add_watch(inotify_fd_, folders_.FullPath(directory).c_str(), kEvents);
  if (watch >= 0) {
    watched_[watch].insert(directory);
  } else if (errno == ENOSPC) {
    out_of_watches_ = true;
  }
}

SourceUpdate FolderWatch::Take() {
  SourceUpdate update;
  update.first = std::exchange(first_, false);
  update.deltas = folders_.overlay().TakeDeltas();
  update.problems = folders_.TakeProblems();
  return update;
}

}  // namespace weft
