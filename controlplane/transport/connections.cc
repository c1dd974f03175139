#include "controlplane/transport/connections.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

std::string NameOf(int fd) { return absl::StrCat("fd:", fd); }

}  // namespace

uint64_t Connections::Add(int fd, ConnectionPeer peer) {
  std::lock_guard<std::mutex> lock(mutex_);
  const uint64_t added = ++last_;
  entries_[NameOf(fd)] = Entry{added, std::move(peer)};
  return added;
}

void Connections::Remove(int fd, uint64_t added) {
  std::lock_guard<std::mutex> lock(mutex_);
  auto found = entries_.find(NameOf(fd));
  if (found != entries_.end() && found->second.added == added) entries_.erase(found);
}

std::optional<ConnectionPeer> Connections::Find(const std::string& peer) const {
  std::lock_guard<std::mutex> lock(mutex_);
  auto found = entries_.find(peer);
  if (found == entries_.end()) return std::nullopt;
  return found->second.peer;
}

}  // namespace weft
