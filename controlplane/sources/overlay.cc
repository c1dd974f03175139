#include "controlplane/sources/overlay.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

Problem Twice(const RawObject& used, const RawObject& hidden) {
  return {
      Severity::kWarning, "", used.key,
      used.origin,        "", absl::StrCat("is also in ", hidden.origin, ", which is not used")};
}

}  // namespace

std::vector<Problem> Overlay::SetFile(const FilePlace& file,
                                      const std::vector<std::shared_ptr<const RawObject>>& objects,
                                      bool keep_missing) {
  std::vector<Problem> problems;
  Objects now;
  for (const auto& object : objects) {
    auto [it, added] = now.try_emplace(object->key, object);
    if (added) continue;
    problems.push_back(Twice(*object, *it->second));
    it->second = object;
  }
  Objects& held = files_[file];
  for (const auto& [key, object] : held) {
    if (now.contains(key)) continue;
    if (keep_missing) {
      now.emplace(key, object);
    } else {
      layers_[key].erase(file);
      touched_.insert(key);
    }
  }
  for (const auto& [key, object] : now) {
    auto& layers = layers_[key];
    layers[file] = object;
    touched_.insert(key);
    const auto last = layers.rbegin();
    const auto below = std::next(last);
    if (below != layers.rend() && below->first.folder == last->first.folder) {
      problems.push_back(Twice(*last->second, *below->second));
    }
  }
  held = std::move(now);
  return problems;
}

void Overlay::RemoveFile(const FilePlace& file) {
  const auto it = files_.find(file);
  if (it == files_.end()) return;
  for (const auto& [key, object] : it->second) {
    layers_[key].erase(file);
    touched_.insert(key);
  }
  files_.erase(it);
}

bool Overlay::Holds(const FilePlace& file) const {
  const auto it = files_.find(file);
  return it != files_.end() && !it->second.empty();
}

std::vector<FilePlace> Overlay::files() const {
  std::vector<FilePlace> places;
  for (const auto& [place, objects] : files_) places.push_back(place);
  return places;
}

std::shared_ptr<const RawObject> Overlay::Top(const ObjectKey& key) const {
  const auto it = layers_.find(key);
  if (it == layers_.end() || it->second.empty()) return nullptr;
  const auto& top = it->second.rbegin()->second;
  return top->deleted ? nullptr : top;
}

std::vector<ObjectDelta> Overlay::TakeDeltas() {
  std::vector<ObjectDelta> deltas;
  for (const ObjectKey& key : std::exchange(touched_, {})) {
    std::shared_ptr<const RawObject> top = Top(key);
    if (auto it = layers_.find(key); it != layers_.end() && it->second.empty()) layers_.erase(it);
    const auto it = effective_.find(key);
    if (top == (it == effective_.end() ? nullptr : it->second)) continue;
    if (top == nullptr) {
      effective_.erase(it);
    } else {
      effective_[key] = top;
    }
    deltas.push_back({key, std::move(top)});
  }
  return deltas;
}

}  // namespace weft
