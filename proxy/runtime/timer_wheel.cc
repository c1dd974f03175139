#include "proxy/runtime/timer_wheel.h"

#include <algorithm>
#include <bit>

namespace weft {

void TimerWheel::Arm(Timer& timer, Tick due) {
  timer.Disarm();
  timer.due_ = std::clamp(due, now_, kLast);
  // The highest bit in which it differs from now decides the level; | 1 for "in none".
  const int level = (std::bit_width((timer.due_ ^ now_) | 1) - 1) / kBits;
  const int index = static_cast<int>(timer.due_ >> (level * kBits)) & (kSlots - 1);
  TimerLink& slot = levels_[level].slots[index];
  timer.previous = slot.previous;
  timer.next = &slot;
  slot.previous->next = &timer;
  slot.previous = &timer;
  levels_[level].occupied |= uint64_t{1} << index;
}

// All of a level is due before any of the next one, and no slot before that of now has a timer.
std::optional<TimerWheel::Found> TimerWheel::First() {
  for (int level = 0; level < kLevels; ++level) {
    uint64_t& occupied = levels_[level].occupied;
    while (occupied != 0) {
      const int index = std::countr_zero(occupied);
      TimerLink& slot = levels_[level].slots[index];
      if (slot.next != &slot) {
        const int shift = level * kBits;
        const Tick above = now_ >> shift >> kBits << kBits << shift;
        return Found{level, &slot, above | Tick(index) << shift};
      }
      occupied &= occupied - 1;
    }
  }
  return std::nullopt;
}

Timer* TimerWheel::TakeDue(Tick now) {
  while (true) {
    const std::optional<Found> found = First();
    if (!found.has_value() || found->start > now) {
      now_ = std::max(now_, now);
      return nullptr;
    }
    now_ = std::max(now_, found->start);
    if (found->level == 0) {
      Timer* timer = static_cast<Timer*>(found->slot->next);
      timer->Disarm();
      return timer;
    }
    // All of them before any is handed out: they are in the order of their arming, not of their
    // moments.
    while (found->slot->next != found->slot) {
      Timer* timer = static_cast<Timer*>(found->slot->next);
      Arm(*timer, timer->due_);
    }
  }
}

std::optional<Tick> TimerWheel::Next() {
  const std::optional<Found> found = First();
  if (!found.has_value()) return std::nullopt;
  return found->start;
}

}  // namespace weft
