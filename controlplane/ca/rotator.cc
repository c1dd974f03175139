#include "controlplane/ca/rotator.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proxy/base/log.h"

namespace weft {
namespace {

// Of a disk that is full, or gone.
constexpr absl::Duration kAgain = absl::Seconds(1);
// An intermediate lives for a year.
constexpr absl::Duration kRenewalCheck = absl::Hours(1);

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
  if (!origin_.empty() && !state_.origin().empty()) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the CA comes from ", origin_,
        ": replace what is there, and weftd follows, in stages if the root is another one; a CA of "
        "weftd's own takes its place by `rotate root` once that is gone"));
  }
  CaState next = state_;
  absl::Status status = next.Begin(what, absl::Now());
  if (status.ok()) status = Adopt(std::move(next));
  if (!status.ok()) return status;
  begun_.Notify();
  return absl::OkStatus();
}

void Rotator::Follow(std::string origin, std::shared_ptr<const certs::Issuer> ca) {
  if (plugged_in_ != ca) error_.clear();
  origin_ = std::move(origin);
  plugged_in_ = std::move(ca);
  begun_.Notify();
}

// Whether there is a new state by it.
bool Rotator::TakeUp() {
  if (plugged_in_ == nullptr || state_.Has(*plugged_in_)) return false;
  CaState next = state_;
  absl::Status status = next.PlugIn(plugged_in_, origin_);
  if (absl::IsFailedPrecondition(status)) return false;  // another time
  if (status.ok()) status = Adopt(std::move(next));
  Delay(status);
  if (!status.ok()) return false;
  Log(LogLevel::kInfo, "ca_plugged_in",
      {{"origin", origin_},
       {"subject", certs::SubjectOf(plugged_in_->signer().x509())},
       {"root", certs::SubjectOf(plugged_in_->root().x509())},
       {"until", absl::FormatTime(plugged_in_->End(), absl::UTCTimeZone())}});
  return true;
}

void Rotator::RenewIfDue() {
  if (state_.IntermediateIsDue(absl::Now())) Delay(Begin(Rotated::kIntermediate));
}

void Rotator::Delay(const absl::Status& status) {
  const std::string before = std::exchange(error_, std::string(status.message()));
  if (status.ok() || error_ == before) return;
  Log(LogLevel::kError, "ca_rotation_delayed", {{"reason", error_}});
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
    TakeUp();
    RenewIfDue();
    if (state_.rotation().has_value()) {
      co_await Stage();
    } else if (error_.empty()) {
      co_await Wait(loop_, {&begun_}, loop_.Now() + kRenewalCheck);
    } else {
      co_await Sleep(loop_, kAgain);
    }
  }
}

Task<> Rotator::Stage() {
  // Whoever comes while it settles is waited for as well.
  MonotonicTime since = loop_.Now();
  for (;;) {
    if (TakeUp()) co_return;
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
  Delay(status);
  if (!status.ok()) co_await Sleep(loop_, kAgain);
}

std::vector<std::string> Rotator::Missing() const {
  if (state_.rotation()->stage == RotationStage::kIssue) {
    return fleet_.with_old_certificate(state_.issuer());
  }
  return fleet_.without_trust(state_.BundlePem());
}

}  // namespace weft
