#include "controlplane/ads/interest.h"

#include <algorithm>

namespace weft {
namespace {

// Up to this share of all there is, names are looked up one by one.
constexpr size_t kFewNames = 8;

bool SameBytes(const EncodedResource& a, const EncodedResource& b) { return a == b || *a == *b; }

// Whether two tables have the same names; cheap where one came of the other.
bool SameNames(const EncodedResources& a, const EncodedResources& b) {
  if (a.size() != b.size()) return false;
  bool same = true;
  EncodedResources::Diff(a, b, [&](const std::string&, const auto* in_a, const auto* in_b) {
    same = same && in_a != nullptr && in_b != nullptr;
  });
  return same;
}

}  // namespace

bool NameSet::Contains(const std::string& name) const {
  return shared_ ? table_.contains(name) : std::binary_search(own_.begin(), own_.end(), name);
}

std::vector<std::string> NameSet::ToVector() const {
  if (!shared_) return own_;
  std::vector<std::string> names;
  names.reserve(table_.size());
  for (const auto& [name, resource] : table_) names.push_back(name);
  return names;
}

void NameSet::Unshare() {
  if (!shared_) return;
  own_ = ToVector();
  table_.clear();
  shared_ = false;
}

bool NameSet::Insert(const std::string& name) {
  if (Contains(name)) return false;
  Unshare();
  own_.insert(std::lower_bound(own_.begin(), own_.end(), name), name);
  return true;
}

bool NameSet::Erase(const std::string& name) {
  if (!Contains(name)) return false;
  Unshare();
  own_.erase(std::lower_bound(own_.begin(), own_.end(), name));
  return true;
}

void NameSet::Set(std::vector<std::string> names) {
  std::sort(names.begin(), names.end());
  names.erase(std::unique(names.begin(), names.end()), names.end());
  shared_ = false;
  table_.clear();
  own_ = std::move(names);
}

bool NameSet::Adopt(const EncodedResources& table) {
  if (size() != table.size()) return false;
  const bool same =
      shared_ ? SameNames(table_, table)
              : std::equal(own_.begin(), own_.end(), table.begin(),
                           [](const std::string& a, const auto& b) { return a == b.first; });
  if (!same) return false;
  shared_ = true;
  table_ = table;
  std::vector<std::string>().swap(own_);
  return true;
}

void Interest::SetWildcard(bool wildcard) {
  if (wildcard == wildcard_) return;
  wildcard_ = wildcard;
  settled_ = false;
  if (!wildcard_) DropUnwanted();
}

void Interest::SetNames(std::vector<std::string> names) {
  names_.Set(std::move(names));
  settled_ = false;
  if (!wildcard_) DropUnwanted();
}

bool Interest::AddName(const std::string& name) {
  settled_ = false;
  return names_.Insert(name);
}

bool Interest::RemoveName(const std::string& name) {
  settled_ = false;
  return names_.Erase(name);
}

void Interest::DropUnwanted() {
  std::vector<std::string> unwanted;
  for (const auto& [name, resource] : sent_) {
    if (!names_.Contains(name)) unwanted.push_back(name);
  }
  if (unwanted.size() == sent_.size()) return sent_.clear();
  for (const std::string& name : unwanted) sent_.erase(name);
}

void Interest::Forget(const std::string& name) {
  settled_ = false;
  sent_.erase(name);
}

void Interest::ForgetAll() {
  settled_ = false;
  sent_.clear();
}

void Interest::Remember(EncodedResources held) {
  settled_ = false;
  sent_ = std::move(held);
}

Interest::Difference Interest::Advance(const EncodedResources& current) {
  if (settled_ && seen_.SharesAllWith(current)) return {};
  settled_ = true;
  seen_ = current;
  if (!wildcard_ && names_.size() * kFewNames < current.size()) return AdvanceByName(current);
  const bool all = wildcard_ || names_.Adopt(current);
  if (all && sent_.empty()) {  // who connects is sent the table itself, and not a copy
    sent_ = current;
    return {current, {}};
  }
  Difference difference;
  EncodedResources::Diff(sent_, current,
                         [&](const std::string& name, const auto* was, const auto* is) {
                           if (is == nullptr) {
                             difference.gone.push_back(name);
                           } else if (Wants(name) && (was == nullptr || !SameBytes(*was, *is))) {
                             difference.changed.emplace(name, *is);
                           }
                         });
  if (all) {
    sent_ = current;
  } else {
    for (const std::string& name : difference.gone) sent_.erase(name);
    for (const auto& [name, resource] : difference.changed) sent_[name] = resource;
  }
  return difference;
}

Interest::Difference Interest::AdvanceByName(const EncodedResources& current) {
  Difference difference;
  for (const std::string& name : names_.ToVector()) {
    const auto was = sent_.find(name);
    const auto is = current.find(name);
    if (is == current.end()) {
      if (was != sent_.end()) difference.gone.push_back(name);
    } else if (was == sent_.end() || !SameBytes(was->second, is->second)) {
      difference.changed.emplace(name, is->second);
    }
  }
  for (const std::string& name : difference.gone) sent_.erase(name);
  for (const auto& [name, resource] : difference.changed) sent_[name] = resource;
  return difference;
}

}  // namespace weft
