// Rollout: one object's way through the clusters that it is distributed to, wave by wave, and back
// if one of them rejects it. Pure: what clusters report and times in, what each is to have out.
#ifndef WEFT_CONTROLPLANE_FEDERATION_ROLLOUT_H_
#define WEFT_CONTROLPLANE_FEDERATION_ROLLOUT_H_

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "controlplane/federation/config_object.h"

namespace weft {

// How long a rejection has to stand before it counts: while a cluster starts, or a service and its
// route arrive one after the other, what will be there is missing for a moment.
inline constexpr absl::Duration kRejectionStands = absl::Seconds(3);

// Each cluster in one of them; none is empty.
using Waves = std::vector<std::set<std::string>>;

class Rollout {
 public:
  // What has to outlive a restart.
  struct State {
    std::shared_ptr<const ConfigText> newest;  // never null, but before Set()
    // The last form that was in force everywhere, or, where clusters are away for long, in all
    // others; null: none, or it is not known.
    std::shared_ptr<const ConfigText> stable;
    size_t wave = 0;     // up to which clusters are told the newest
    std::string failed;  // who rejected the newest, and why; it was taken back then
  };

  Rollout() = default;
  explicit Rollout(State state) : state_(std::move(state)) {}

  // The object as it is now; another form begins with the first wave. The one of before is what
  // to go back to if only clusters that are away were missing.
  void Set(std::shared_ptr<const ConfigText> newest);
  // Begins with the first wave again, unless the newest form has gone all the way or was taken
  // back: the waves are others now.
  void Restart();

  // What a cluster reports of the object, in whichever form; null: nothing lately.
  using ReportOf = std::function<const ConfigReport*(const std::string& cluster)>;
  // Moves on as far as it can; whether state() changed. `now` never goes back.
  bool Advance(const Waves& waves, absl::Duration pause, const ReportOf& report_of,
               absl::Duration now);

  // What the clusters of a wave are to have; nothing: not this object. Null: to keep what they
  // have.
  std::optional<std::shared_ptr<const ConfigText>> TextFor(size_t wave) const;

  bool done() const;  // the newest form has gone all the way
  bool failed() const { return !state_.failed.empty(); }
  const State& state() const { return state_; }

 private:
  void Fail(std::string why);
  void StartAnew();

  State state_;
  std::optional<absl::Duration> rejected_since_;
  std::optional<absl::Duration> settled_since_;  // the present wave
  std::optional<absl::Duration> heard_since_;    // the last wave, but for who is away
  bool proven_ = false;                          // that stands
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_ROLLOUT_H_
