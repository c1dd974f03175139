// TimerWheel: the deadlines of one loop. Nearly all of them are given up before they are due (an
// answer came in time), so arming and disarming are a few instructions and touch no heap; only what
// stays armed is moved, at most once a level.
//
// Time is a count of ticks and never goes back; what a tick is the owner says. A timer lies in the
// level that tells its moment from now by 6 bits of the tick: level 0 holds what differs from now
// in the lowest 6 bits only, level 1 what differs in the next 6 as well, and so on. When time
// reaches a slot of a higher level, its timers go to lower ones. (Varghese and Lauck, SOSP 1987.)
//
// Invariants: an armed timer is in exactly one slot; a slot with a timer has its bit set (a set bit
// may be stale: it is cleared when it is found to be).
#ifndef WEFT_PROXY_RUNTIME_TIMER_WHEEL_H_
#define WEFT_PROXY_RUNTIME_TIMER_WHEEL_H_

#include <array>
#include <cstdint>
#include <optional>

namespace weft {

using Tick = uint64_t;

// A place in a circular list.
struct TimerLink {
  TimerLink* previous = this;
  TimerLink* next = this;
};

// To be inherited by what waits for a moment. Disarms itself when it goes; the wheel may go before
// it only if it is not armed.
class Timer : private TimerLink {
 public:
  Timer() = default;
  ~Timer() { Disarm(); }
  Timer(const Timer&) = delete;
  Timer& operator=(const Timer&) = delete;

  bool armed() const { return next != this; }
  void Disarm() {
    previous->next = next;
    next->previous = previous;
    previous = next = this;
  }

 private:
  friend class TimerWheel;
  Tick due_ = 0;
};

class TimerWheel {
 public:
  TimerWheel() = default;
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Arms `timer`, or arms it anew, for `due`: TakeDue() hands it out once time has come to that.
  void Arm(Timer& timer, Tick due);
  // The next timer that is due at `now`, disarmed; null if there is none. In the order of their
  // ticks, and those of one tick in the order they were armed.
  Timer* TakeDue(Tick now);
  // When to call TakeDue() again: not later than the first timer is due. May be earlier, when
  // timers have to change levels: whoever follows it is with the first one after some steps, at
  // most one a level. Nothing while no timer is armed.
  std::optional<Tick> Next();

 private:
  static constexpr int kBits = 6;
  static constexpr int kSlots = 1 << kBits;
  // 48 bits of ticks: of a quarter of a millisecond each, two thousand years.
  static constexpr int kLevels = 8;
  static constexpr Tick kLast = (Tick{1} << (kBits * kLevels)) - 1;

  struct Level {
    uint64_t occupied = 0;
    std::array<TimerLink, kSlots> slots;
  };
  struct Found {
    int level;
    TimerLink* slot;
    Tick start;
  };
  std::optional<Found> First();

  Tick now_ = 0;
  std::array<Level, kLevels> levels_;
};

}  // namespace weft

#endif  // WEFT_PROXY_RUNTIME_TIMER_WHEEL_H_
