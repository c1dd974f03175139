#include "controlplane/model/sharing.h"

#include <optional>

#include "absl/strings/match.h"
#include "absl/time/time.h"

namespace weft {
namespace {

absl::string_view ValueOf(const Labels& labels, const char* key) {
  const auto found = labels.find(key);
  return found == labels.end() ? absl::string_view() : found->second;
}

// Nothing where it says neither.
std::optional<bool> Stated(absl::string_view text, absl::string_view yes, absl::string_view no) {
  if (absl::EqualsIgnoreCase(text, yes)) return true;
  if (absl::EqualsIgnoreCase(text, no)) return false;
  return std::nullopt;
}

std::optional<bool> StatedOf(const Labels& labels, const char* key) {
  return Stated(ValueOf(labels, key), "true", "false");
}

bool IsGlobal(const Labels& annotations) {
  return StatedOf(annotations, kGlobalAnnotation).value_or(false);
}

bool IsExported(const Service& service, const Labels& annotations, const SharingDefaults& defaults,
                bool requested) {
  if (IsSystemNamespace(service.namespace_)) return false;
  if (!StatedOf(annotations, kSharedAnnotation).value_or(true)) return false;
  if (requested || IsGlobal(annotations)) return true;
  const bool all = defaults.exports == ExportPolicy::kAll;
  if (defaults.namespace_labels == nullptr) return all;
  return Stated(ValueOf(*defaults.namespace_labels, kExportLabel), "all", "none").value_or(all);
}

bool Merges(const Labels& annotations, const SharingDefaults& defaults, bool exported) {
  if (const auto stated = StatedOf(annotations, kMergeLocal)) return *stated;
  if (IsGlobal(annotations)) return true;
  if (defaults.namespace_labels != nullptr) {
    if (const auto stated = StatedOf(*defaults.namespace_labels, kMergeLocal)) return *stated;
  }
  return exported && defaults.merges;
}

// Files state no time: then it counts as exported ever since.
int64_t UnixSecondsOf(const std::string& timestamp) {
  absl::Time time;
  std::string error;
  return absl::ParseTime(absl::RFC3339_full, timestamp, &time, &error) ? absl::ToUnixSeconds(time)
                                                                       : 0;
}

}  // namespace

bool IsSystemNamespace(absl::string_view namespace_) {
  return namespace_ == "weft-system" || namespace_ == "kube-system";
}

void SetSharing(const Labels& annotations, const SharingDefaults& defaults,
                const Config<kubernetes::ServiceExportSpec>* requested, Service& service) {
  service.exported = IsExported(service, annotations, defaults, requested != nullptr);
  service.merges = Merges(annotations, defaults, service.exported);
  service.exported_at = 0;
  service.cluster_set_only = false;
  if (!service.exported || requested == nullptr) return;
  service.exported_at = UnixSecondsOf(requested->creation_timestamp);
  service.cluster_set_only =
      StatedOf(requested->annotations, kClusterSetOnlyAnnotation).value_or(false);
}

bool MergesUnknownName(const World& world, const std::string& namespace_) {
  const auto labels = world.namespaces.find(namespace_);
  if (labels != world.namespaces.end()) {
    if (const auto stated = StatedOf(*labels->second, kMergeLocal)) return *stated;
  }
  return world.self->merges_local_names;
}

}  // namespace weft
