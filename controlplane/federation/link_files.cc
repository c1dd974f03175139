#include "controlplane/federation/link_files.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "certs/file.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

std::string TokensFile(const std::string& data_folder) {
  return absl::StrCat(data_folder, "/link-tokens.json");
}

}  // namespace

// A file that cannot be read holds no token that could be shown: they are made anew in a moment.
LinkTokens LinkFiles::TokensSeen() const {
  const std::string path = TokensFile(options_.data_folder);
  const auto text = certs::ReadFile(path);
  if (absl::IsNotFound(text.status())) return {};
  auto tokens = text.ok() ? LinkTokens::FromJson(*text) : text.status();
  if (tokens.ok()) return *std::move(tokens);
  Log(LogLevel::kError, "link_tokens_lost",
      {{"file", path}, {"reason", std::string(tokens.status().message())}});
  return {};
}

Task<absl::StatusOr<StoredTokens>> LinkFiles::LoadTokens() {
  StoredTokens stored;
  stored.tokens = TokensSeen();
  co_return stored;
}

Task<absl::Status> LinkFiles::SaveTokens(LinkTokens tokens, std::string version, absl::Time now) {
  co_return certs::WriteFileAtomically(TokensFile(options_.data_folder), tokens.ToJson(now), 0600);
}

PeerFolder LinkFiles::Read() const {
  PeerFolder links(options_.peers_folder, options_.own_cluster);
  links.Poll();
  return links;
}

Task<absl::StatusOr<StoredLinks>> LinkFiles::LoadLinks() {
  const PeerFolder folder = Read();
  StoredLinks links;
  links.peers = folder.peers();
  for (const auto& [file, problem] : folder.problems()) {
    links.problems[absl::StrCat(options_.peers_folder, "/", file)] = problem;
  }
  co_return links;
}

Task<absl::Status> LinkFiles::PutLink(Peer peer, const StoredLinks& read) {
  absl::Status written = Write(peer);
  if (written.ok()) options_.on_change();
  co_return written;
}

absl::Status LinkFiles::Write(const Peer& peer) {
  if (mkdir(options_.peers_folder.c_str(), 0700) != 0 && errno != EEXIST) {
    return absl::ErrnoToStatus(errno, absl::StrCat("make the folder ", options_.peers_folder));
  }
  const std::vector<std::string> files = Read().FilesOf(peer.cluster);
  const std::string path = files.empty()
                               ? absl::StrCat(options_.peers_folder, "/", peer.cluster, ".yaml")
                               : files.front();
  if (files.empty() && access(path.c_str(), F_OK) == 0) {
    return absl::AlreadyExistsError(absl::StrCat(path, " is in the way: it is of no such cluster"));
  }
  return certs::WriteFileAtomically(path, FormatPeer(peer), 0644);
}

Task<absl::Status> LinkFiles::RemoveLink(std::string cluster) {
  absl::Status removed = Remove(cluster);
  if (removed.ok()) options_.on_change();
  co_return removed;
}

absl::Status LinkFiles::Remove(const std::string& cluster) {
  const std::vector<std::string> files = Read().FilesOf(cluster);
  if (files.empty()) return absl::NotFoundError("no file");
  for (const std::string& path : files) {
    if (unlink(path.c_str()) != 0 && errno != ENOENT) {
      return absl::ErrnoToStatus(errno, absl::StrCat("remove ", path));
    }
  }
  return absl::OkStatus();
}

}  // namespace weft
