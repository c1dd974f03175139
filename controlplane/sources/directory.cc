#include "controlplane/sources/directory.h"

#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <climits>
#include <optional>
#include <thread>
#include <utility>

#include "controlplane/sources/folders.h"

namespace weft {
namespace {

using Clock = FolderWatch::Clock;

int MillisecondsUntil(Clock::time_point when) {
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(when - Clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, INT_MAX));
}

}  // namespace

class DirectorySource::Watcher {
 public:
  Watcher(std::unique_ptr<FolderWatch> folders, OnUpdate on_update, int stop_fd)
      : folders_(std::move(folders)),
        on_update_(std::move(on_update)),
        stop_fd_(stop_fd),
        thread_([this] { Run(); }) {}

  ~Watcher() {
    const uint64_t one = 1;
    [[maybe_unused]] const ssize_t written = ::write(stop_fd_, &one, sizeof one);
    thread_.join();
    ::close(stop_fd_);
  }

 private:
  void Run() {
    do {
      SourceUpdate update = folders_->Poll();
      if (!update.empty()) on_update_(std::move(update));
    } while (WaitForEvents());
  }

  // False once the source is to stop.
  bool WaitForEvents() {
    pollfd fds[2] = {{folders_->fd(), POLLIN, 0}, {stop_fd_, POLLIN, 0}};
    const std::optional<Clock::time_point> due = folders_->due();
    ::poll(fds, 2, due.has_value() ? MillisecondsUntil(*due) : -1);
    return fds[1].revents == 0;
  }

  const std::unique_ptr<FolderWatch> folders_;
  const OnUpdate on_update_;
  const int stop_fd_;
  std::thread thread_;  // last: it uses all of the above
};

DirectorySource::DirectorySource(std::unique_ptr<Watcher> watcher) : watcher_(std::move(watcher)) {}
DirectorySource::~DirectorySource() = default;

absl::StatusOr<std::unique_ptr<DirectorySource>> DirectorySource::Start(
    std::vector<std::string> folders, OnUpdate on_update) {
  auto watch = FolderWatch::Start(std::move(folders));
  if (!watch.ok()) return watch.status();
  const int stop_fd = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (stop_fd < 0) return absl::ErrnoToStatus(errno, "cannot watch folders: eventfd");
  return std::unique_ptr<DirectorySource>(new DirectorySource(
      std::make_unique<Watcher>(*std::move(watch), std::move(on_update), stop_fd)));
}

DirectoryContents ReadDirectories(const std::vector<std::string>& folders) {
  Folders reader(folders);
  reader.Scan({}, [](const FilePlace&) {});
  reader.overlay().TakeDeltas();
  return {reader.overlay().effective(), reader.TakeProblems()};
}

}  // namespace weft
