#include "controlplane/sources/folders.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/yaml/yaml_to_message.h"

namespace weft {
namespace {

absl::StatusOr<std::string> ReadAll(int fd) {
  std::string text;
  char buffer[64 << 10];
  while (text.size() <= kMaxYamlBytes) {
    const ssize_t n = ::read(fd, buffer, sizeof buffer);
    if (n == 0) return text;
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return absl::ErrnoToStatus(errno, "read");
    text.append(buffer, n);
  }
  return absl::ResourceExhaustedError(absl::StrCat("larger than ", kMaxYamlBytes, " bytes"));
}

absl::StatusOr<std::string> ReadFile(const std::string& path) {
  // O_NONBLOCK: opening a FIFO must not wait for its writer.
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (fd < 0) return absl::ErrnoToStatus(errno, "open");
  absl::StatusOr<std::string> text = ReadAll(fd);
  ::close(fd);
  return text;
}

}  // namespace

bool IsObjectFile(absl::string_view name) {
  if (name.empty() || name.front() == '.' || name.back() == '~') return false;
  return absl::EndsWith(name, ".yaml") || absl::EndsWith(name, ".yml") ||
         absl::EndsWith(name, ".json");
}

struct Folders::Walk {
  const std::function<void(const FilePlace&)>& on_directory;
  std::map<FilePlace, Signature> found;
  std::set<std::tuple<size_t, uint64_t, uint64_t>> seen;  // directories, by folder and inode
};

void Folders::Scan(const std::set<FilePlace>& leave,
                   const std::function<void(const FilePlace& directory)>& on_directory) {
  Walk walk{on_directory, {}, {}};
  for (size_t i = 0; i < folders_.size(); ++i) WalkDirectory({i, ""}, 0, walk);
  for (const FilePlace& file : overlay_.files()) {
    if (walk.found.contains(file) || leave.contains(file)) continue;
    overlay_.RemoveFile(file);
    known_.erase(file);
  }
  for (const auto& [file, signature] : walk.found) {
    if (leave.contains(file)) continue;
    const auto known = known_.find(file);
    if (known == known_.end() || known->second != signature) Read(file, /*partial=*/false);
  }
}

void Folders::WalkDirectory(const FilePlace& directory, int depth, Walk& walk) {
  struct stat self;
  if (::stat(FullPath(directory).c_str(), &self) == 0 &&
      !walk.seen.emplace(directory.folder, self.st_dev, self.st_ino).second) {
    return;  // a link to a directory that is here already
  }
  walk.on_directory(directory);
  const std::unique_ptr<DIR, int (*)(DIR*)> listing(::opendir(FullPath(directory).c_str()),
                                                    &::closedir);
  const int error = errno;
  if (directory.path.empty()) {
    const bool news = listing == nullptr ? missing_.insert(directory.folder).second
                                         : (missing_.erase(directory.folder), false);
    if (news) {
      problems_.push_back({Severity::kError,
                           "",
                           {},
                           folders_[directory.folder],
                           "",
                           absl::StrCat("cannot read this folder: ", std::strerror(error))});
    }
  }
  if (listing == nullptr) return;
  while (const dirent* entry = ::readdir(listing.get())) {
    const std::string name = entry->d_name;
    if (name.front() == '.') continue;
    const FilePlace place{directory.folder,
                          directory.path.empty() ? name : absl::StrCat(directory.path, "/", name)};
    struct stat info;
    if (::stat(FullPath(place).c_str(), &info) != 0) continue;  // gone, or a dangling link
    if (S_ISDIR(info.st_mode)) {
      if (depth < kMaxFolderDepth) WalkDirectory(place, depth + 1, walk);
    } else if (S_ISREG(info.st_mode) && IsObjectFile(name)) {
      walk.found[place] = {info.st_dev, info.st_ino, info.st_size,
                           absl::ToUnixNanos(absl::TimeFromTimespec(info.st_mtim)),
                           absl::ToUnixNanos(absl::TimeFromTimespec(info.st_ctim))};
    }
  }
}

void Folders::Read(const FilePlace& file, bool partial) {
  struct stat info;
  const std::string path = FullPath(file);
  if (::stat(path.c_str(), &info) != 0 && errno == ENOENT) {
    overlay_.RemoveFile(file);
    known_.erase(file);
    return;
  }
  // Taken before the text: a change in between is seen as one by the next scan.
  known_[file] = {info.st_dev, info.st_ino, info.st_size,
                  absl::ToUnixNanos(absl::TimeFromTimespec(info.st_mtim)),
                  absl::ToUnixNanos(absl::TimeFromTimespec(info.st_ctim))};
  const absl::StatusOr<std::string> text = ReadFile(path);
  if (!text.ok()) return AddError(file, std::string(text.status().message()));
  ParsedObjects parsed = ParseObjects(*text, Name(file));
  const bool broken = !parsed.problems.empty();
  std::vector<Problem> twice = overlay_.SetFile(file, parsed.objects, partial || broken);
  for (Problem& problem : parsed.problems) problems_.push_back(std::move(problem));
  for (Problem& problem : twice) problems_.push_back(std::move(problem));
}

bool Folders::LooksEmptied(const FilePlace& file) const {
  if (!overlay_.Holds(file)) return false;
  struct stat info;
  return ::stat(FullPath(file).c_str(), &info) != 0 || info.st_size == 0;
}

std::string Folders::FullPath(const FilePlace& place) const {
  return place.path.empty() ? folders_[place.folder]
                            : absl::StrCat(folders_[place.folder], "/", place.path);
}

// Short where it is clear, since people read it next to what they just edited.
std::string Folders::Name(const FilePlace& file) const { return file.path; }

void Folders::AddError(const FilePlace& place, std::string message) {
  problems_.push_back({Severity::kError, "", {}, Name(place), "", std::move(message)});
}

std::vector<Problem> Folders::TakeProblems() { return std::exchange(problems_, {}); }

}  // namespace weft
