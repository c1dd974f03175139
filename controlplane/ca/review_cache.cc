#include "controlplane/ca/review_cache.h"

#include "absl/status/status.h"

namespace weft {

const ReviewCache::Verdict* ReviewCache::Find(const std::string& token_hash,
                                              absl::Duration now) const {
  const auto found = entries_.find(token_hash);
  if (found == entries_.end() || found->second.expires <= now) return nullptr;
  return &found->second.verdict;
}

void ReviewCache::Put(const std::string& token_hash, Verdict verdict, absl::Duration now) {
  if (!verdict.ok() && !absl::IsUnauthenticated(verdict.status())) return;
  while (!expiries_.empty() && expiries_.front().first <= now) DropOldest();
  while (expiries_.size() >= kMostEntries) DropOldest();
  const absl::Duration expires = now + kLifetime;
  entries_.insert_or_assign(token_hash, Entry{std::move(verdict), expires});
  expiries_.emplace_back(expires, token_hash);
}

void ReviewCache::DropOldest() {
  const auto& [expires, token_hash] = expiries_.front();
  const auto found = entries_.find(token_hash);
  if (found != entries_.end() && found->second.expires == expires) entries_.erase(found);
  expiries_.pop_front();
}

}  // namespace weft
