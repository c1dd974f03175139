// LeaderElection: who of several weftds writes, by a Lease (coordination.k8s.io/v1), as a state
// machine: it says what to ask next, and is told what came of it.
//
// As client-go does it: a Lease is whose holder renews it; one that stands still for its duration,
// by our own clock, may be taken. Clocks of the others do not matter. Who could not renew for
// kRenewDeadline stops to lead, well before anybody takes over.
//
// Pure; the random numbers follow the seed. Not thread-safe.
#ifndef WEFT_CONTROLPLANE_STATUS_LEADER_ELECTION_H_
#define WEFT_CONTROLPLANE_STATUS_LEADER_ELECTION_H_

#include <cstdint>
#include <random>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace weft {

class LeaderElection {
 public:
  // The defaults of client-go.
  static constexpr absl::Duration kLeaseDuration = absl::Seconds(15);
  static constexpr absl::Duration kRenewDeadline = absl::Seconds(10);
  static constexpr absl::Duration kRetryPeriod = absl::Seconds(2);

  struct Step {
    enum class Kind { kWait, kGet, kCreate, kUpdate };
    Kind kind = Kind::kWait;
    absl::Duration until;  // kWait: as `now`
    std::string body;      // kCreate, kUpdate: the Lease
  };

  // `identity`: nobody else's, not even that of an earlier run.
  LeaderElection(std::string name_space, std::string name, std::string identity, uint64_t seed);

  // `wall` is for the Lease's own times, which people read.
  Step Next(absl::Duration now, absl::Time wall);

  // --- What came of the last step.
  void OnLease(absl::string_view json, absl::Duration now);
  void OnAbsent(absl::Duration now);    // kGet: there is none
  void OnConflict(absl::Duration now);  // somebody else wrote meanwhile
  void OnFailed(absl::Duration now);    // anything else, or no answer

  // At this moment.
  bool Leads(absl::Duration now) const { return now < leads_until_; }
  const std::string& holder() const { return holder_; }

 private:
  enum class Phase { kGet, kCreate, kTake };

  std::string NewLease(absl::Time wall) const;
  std::string TakenLease(absl::Time wall) const;
  void Retry(Phase phase, absl::Duration now);

  const std::string namespace_;
  const std::string name_;
  const std::string identity_;
  std::mt19937 random_;

  Phase phase_ = Phase::kGet;
  absl::Duration not_before_ = -absl::InfiniteDuration();
  absl::Duration sent_at_;  // the last step
  bool wrote_ = false;      // it was one that makes us the holder
  absl::Duration leads_until_ = -absl::InfiniteDuration();

  // The Lease as last seen, and since when it has been so.
  std::string lease_;
  std::string holder_;
  std::string seen_;
  absl::Duration seen_at_;
  absl::Duration duration_ = kLeaseDuration;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_STATUS_LEADER_ELECTION_H_
