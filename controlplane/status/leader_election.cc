#include "controlplane/status/leader_election.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

namespace weft {
namespace {

using Json = nlohmann::json;

// A holder that states a longer one is not waited for longer.
constexpr int64_t kLongestSeconds = 600;

std::string MicroTime(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%E6SZ", time, absl::UTCTimeZone());
}

std::string TextIn(const Json& object, const char* field) {
  const auto found = object.find(field);
  return found != object.end() && found->is_string() ? found->get<std::string>() : "";
}

int64_t NumberIn(const Json& object, const char* field, int64_t otherwise) {
  const auto found = object.find(field);
  return found != object.end() && found->is_number_integer() ? found->get<int64_t>() : otherwise;
}

Json SpecOf(const Json& lease) {
  const auto found = lease.is_object() ? lease.find("spec") : lease.end();
  return found != lease.end() && found->is_object() ? *found : Json::object();
}

}  // namespace

LeaderElection::LeaderElection(std::string name_space, std::string name, std::string identity,
                               uint64_t seed)
    : namespace_(std::move(name_space)),
      name_(std::move(name)),
      identity_(std::move(identity)),
      random_(static_cast<uint32_t>(seed | 1)) {}

LeaderElection::Step LeaderElection::Next(absl::Duration now, absl::Time wall) {
  if (now < not_before_) return {Step::Kind::kWait, not_before_, ""};
  sent_at_ = now;
  wrote_ = phase_ != Phase::kGet;
  switch (phase_) {
    case Phase::kGet:
      break;
    case Phase::kCreate:
      return {Step::Kind::kCreate, {}, NewLease(wall)};
    case Phase::kTake:
      return {Step::Kind::kUpdate, {}, TakenLease(wall)};
  }
  return {Step::Kind::kGet, {}, ""};
}

std::string LeaderElection::NewLease(absl::Time wall) const {
  const std::string now = MicroTime(wall);
  const Json lease = {{"apiVersion", "coordination.k8s.io/v1"},
                      {"kind", "Lease"},
                      {"metadata", {{"name", name_}, {"namespace", namespace_}}},
                      {"spec",
                       {{"holderIdentity", identity_},
                        {"leaseDurationSeconds", absl::ToInt64Seconds(kLeaseDuration)},
                        {"acquireTime", now},
                        {"renewTime", now},
                        {"leaseTransitions", 0}}}};
  return lease.dump();
}

// What it has beside stays, its resourceVersion above all.
std::string LeaderElection::TakenLease(absl::Time wall) const {
  Json lease = Json::parse(lease_, nullptr, false);
  Json spec = SpecOf(lease);
  if (holder_ != identity_) {
    spec["holderIdentity"] = identity_;
    spec["acquireTime"] = MicroTime(wall);
    spec["leaseTransitions"] = NumberIn(spec, "leaseTransitions", 0) + 1;
  }
  spec["leaseDurationSeconds"] = absl::ToInt64Seconds(kLeaseDuration);
  spec["renewTime"] = MicroTime(wall);
  lease["spec"] = std::move(spec);
  return lease.dump(-1, ' ', false, Json::error_handler_t::replace);
}

void LeaderElection::OnLease(absl::string_view json, absl::Duration now) {
  const Json lease = Json::parse(json.begin(), json.end(), nullptr, false);
  if (!lease.is_object()) return OnFailed(now);
  const Json spec = SpecOf(lease);
  lease_ = std::string(json);
  holder_ = TextIn(spec, "holderIdentity");
  duration_ = absl::Seconds(
      std::clamp<int64_t>(NumberIn(spec, "leaseDurationSeconds", 0), 0, kLongestSeconds));
  if (std::string seen = spec.dump(-1, ' ', false, Json::error_handler_t::replace); seen != seen_) {
    seen_ = std::move(seen);
    seen_at_ = now;
  }
  if (holder_ == identity_) {
    // Counted from before it was sent: others count from after it was stored.
    if (wrote_) leads_until_ = sent_at_ + kRenewDeadline;
    phase_ = Phase::kTake;
    not_before_ = wrote_ ? sent_at_ + kRetryPeriod : now;
    return;
  }
  leads_until_ = -absl::InfiniteDuration();
  if (holder_.empty() || now >= seen_at_ + duration_) {
    phase_ = Phase::kTake;
    not_before_ = now;
    return;
  }
  Retry(Phase::kGet, now);
}

void LeaderElection::OnAbsent(absl::Duration now) {
  phase_ = Phase::kCreate;
  not_before_ = now;
}

void LeaderElection::OnConflict(absl::Duration now) {
  // Who leads has to know at once whether it still does.
  if (Leads(now)) {
    phase_ = Phase::kGet;
    not_before_ = now;
    return;
  }
  Retry(Phase::kGet, now);
}

void LeaderElection::OnFailed(absl::Duration now) { Retry(Phase::kGet, now); }

// Up to a fifth longer, so that those that wait for one Lease do not ask together.
void LeaderElection::Retry(Phase phase, absl::Duration now) {
  phase_ = phase;
  not_before_ = now + kRetryPeriod * std::uniform_real_distribution<double>(1.0, 1.2)(random_);
}

}  // namespace weft
