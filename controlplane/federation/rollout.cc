#include "controlplane/federation/rollout.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

struct Look {
  bool settled = true;    // every cluster has said what became of it, and none rejects it
  bool heard = false;     // so it is, of those that say anything
  std::string rejection;  // by the first that does
};

Look LookAt(const Waves& waves, size_t last, const std::string& revision,
            const Rollout::ReportOf& report_of) {
  Look look;
  bool others = false;  // say something else
  for (size_t i = 0; i <= last && i < waves.size(); ++i) {
    for (const std::string& cluster : waves[i]) {
      const ConfigReport* report = report_of(cluster);
      others |= report != nullptr && report->revision != revision;
      if (report == nullptr || report->revision != revision) {
        look.settled = false;
      } else if (report->state == ConfigReport::State::kRejected) {
        look.settled = false;
        if (look.rejection.empty()) look.rejection = absl::StrCat(cluster, ": ", report->message);
      } else {
        look.heard = true;
      }
    }
  }
  look.heard &= !others && look.rejection.empty();
  return look;
}

// Since when it is so; whether that is long enough.
bool Stands(bool is_so, absl::Duration how_long, absl::Duration now,
            std::optional<absl::Duration>& since) {
  if (!is_so) {
    since.reset();
    return false;
  }
  if (!since.has_value()) since = now;
  return now - *since >= how_long;
}

}  // namespace

void Rollout::Set(std::shared_ptr<const ConfigText> newest) {
  if (state_.newest != nullptr && state_.newest->revision == newest->revision) return;
  if (proven_) state_.stable = state_.newest;
  state_.newest = std::move(newest);
  state_.failed.clear();
  state_.wave = 0;
  StartAnew();
}

void Rollout::Restart() {
  if (done() || failed()) return;
  state_.wave = 0;
  StartAnew();
}

void Rollout::StartAnew() {
  rejected_since_.reset();
  settled_since_.reset();
  heard_since_.reset();
  proven_ = false;
}

bool Rollout::done() const {
  return state_.stable != nullptr && state_.stable->revision == state_.newest->revision;
}

void Rollout::Fail(std::string why) {
  state_.failed = std::move(why);
  StartAnew();
}

bool Rollout::Advance(const Waves& waves, absl::Duration pause, const ReportOf& report_of,
                      absl::Duration now) {
  if (done() || failed()) return false;
  Look look = LookAt(waves, state_.wave, state_.newest->revision, report_of);
  if (Stands(!look.rejection.empty(), kRejectionStands, now, rejected_since_)) {
    Fail(std::move(look.rejection));
    return true;
  }
  const bool is_last = state_.wave + 1 >= waves.size();
  proven_ = Stands(is_last && look.heard, pause, now, heard_since_);
  if (!Stands(look.settled, waves.empty() ? absl::ZeroDuration() : pause, now, settled_since_)) {
    return false;
  }
  settled_since_.reset();
  if (is_last) {
    state_.stable = state_.newest;
  } else {
    ++state_.wave;
  }
  return true;
}

std::optional<std::shared_ptr<const ConfigText>> Rollout::TextFor(size_t wave) const {
  if (failed()) {
    if (state_.stable == nullptr) return std::nullopt;
    return state_.stable;
  }
  if (done() || wave <= state_.wave) return state_.newest;
  return state_.stable;
}

}  // namespace weft
