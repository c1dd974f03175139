#include "controlplane/status/write_pace.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace weft {

absl::Duration WritePace::OnWritten() {
  backoff_ = kBackoffFirst;
  told_.clear();
  return kBetweenWrites;
}

absl::Duration WritePace::OnTrouble() {
  const absl::Duration pause = backoff_;
  backoff_ = std::min(backoff_ * 2, kBackoffMost);
  return pause;
}

bool WritePace::IsNews(const std::string& trouble) {
  if (trouble == told_) return false;
  told_ = trouble;
  return true;
}

std::string TroubleOf(const absl::StatusOr<KubernetesClient::Answer>& answer) {
  constexpr size_t kShown = 200;
  if (!answer.ok()) return std::string(answer.status().message());
  return absl::StrCat(answer->status, ": ", answer->body.substr(0, kShown));
}

}  // namespace weft
