#include "controlplane/ca/rotator.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

// Of a disk that is full, or gone.
constexpr absl::Duration kAgain = absl::Seconds(1);

}  // namespace

Rotator::Rotator(EventLoop& loop, std::string folder, CaState state, Fleet fleet,
                 absl::Duration settle)
    : loop_(loop),
      folder_(std::move(folder)),
      state_(std::move(state)),
      fleet_(std::move(fleet)),
      settle_(settle) {
  tasks_.Spawn(Run());
}

absl::Status Rotator::Begin(Rotated what) {
  CaState next = state_;
  absl::Status status = next.Begin(what, absl::Now());
  if (status.ok()) status = Adopt(std::move(next));
  if (!status.ok()) return status;
  begun_.Notify();
  return absl::OkStatus();
}

absl::Status Rotator::Adopt(CaState next) {
  absl::Status saved = SaveCa(folder_, next);
  if (!saved.ok()) return saved;
  state_ = std::move(next);
  waiting_for_.clear();
  if (state_.rotation().has_value()) {
    Log(LogLevel::kInfo, "ca_rotation",
        {{"what", std::string(NameOf(state_.rotation()->what))},
         {"stage", std::string(NameOf(state_.rotation()->stage))}});
  } else {
    Log(LogLevel::kInfo, "ca_rotated");
  }
  fleet_.adopt(state_);
  return absl::OkStatus();
}

Task<> Rotator::Run() {
  while (true) {
    while (!state_.rotation().has_value()) co_await Wait(loop_, {&begun_});
    co_await Stage();
  }
}

Task<> Rotator::Stage() {
  // Whoever comes while it settles is waited for as well.
  MonotonicTime since = loop_.Now();
  for (;;) {
    waiting_for_ = Missing();
    if (!waiting_for_.empty()) {
      since = loop_.Now();
    } else if (loop_.Now() - since >= settle_) {
      break;
    }
    co_await Sleep(loop_, kLook);
  }
  CaState next = state_;
  absl::Status status = next.Advance(absl::Now());
  if (status.ok()) status = Adopt(std::move(next));
  error_ = std::string(status.message());
  if (status.ok()) co_return;
  Log(LogLevel::kError, "ca_rotation_delayed", {{"reason", error_}});
  co_await Sleep(loop_, kAgain);
}

std::vector<std::string> Rotator::Missing() const {
  if (state_.rotation()->stage == RotationStage::kIssue) {
    return fleet_.with_old_certificate(state_.issuer());
  }
  return fleet_.without_trust(state_.BundlePem());
}

}  // namespace weft
