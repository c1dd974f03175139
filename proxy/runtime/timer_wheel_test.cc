#include "proxy/runtime/timer_wheel.h"

#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

namespace weft {
namespace {

struct Named : Timer {
  explicit Named(std::string name) : name(std::move(name)) {}
  std::string name;
};

// The names of all that is due.
std::string Due(TimerWheel& wheel, Tick now) {
  std::string names;
  while (Timer* timer = wheel.TakeDue(now)) names += static_cast<Named*>(timer)->name;
  return names;
}

TEST(TimerWheel, HandsOutByTickAndThenByArming) {
  TimerWheel wheel;
  Named late("l"), first("a"), second("b"), now("n");
  wheel.Arm(late, 70);
  wheel.Arm(first, 10);
  wheel.Arm(second, 10);
  wheel.Arm(now, 0);
  EXPECT_EQ(Due(wheel, 0), "n");
  EXPECT_EQ(Due(wheel, 9), "");
  EXPECT_EQ(Due(wheel, 10), "ab");
  EXPECT_EQ(Due(wheel, 1000), "l");
  EXPECT_FALSE(late.armed());
}

// Armed at a distance, in the other order, and passed in one leap.
TEST(TimerWheel, HandsOutByTickWhenTimeLeaps) {
  TimerWheel wheel;
  Named second("b"), first("a"), third("c");
  wheel.Arm(third, 5000);
  wheel.Arm(second, 118);
  wheel.Arm(first, 103);
  EXPECT_EQ(Due(wheel, 10000), "abc");
}

TEST(TimerWheel, IsNeverEarlyNorLateWhateverTheDistance) {
  for (Tick start : {Tick{0}, Tick{63}, Tick{4095}, Tick{123456789}}) {
    for (Tick distance : {Tick{1}, Tick{63}, Tick{64}, Tick{65}, Tick{4096}, Tick{262144},
                          Tick{262145}, Tick{16777215}, Tick{1} << 40}) {
      TimerWheel wheel;
      EXPECT_EQ(wheel.TakeDue(start), nullptr);
      Named timer("t");
      wheel.Arm(timer, start + distance);
      EXPECT_EQ(Due(wheel, start + distance - 1), "") << start << "+" << distance;
      EXPECT_EQ(Due(wheel, start + distance), "t") << start << "+" << distance;
    }
  }
}

TEST(TimerWheel, WhatIsOverdueIsDueAtOnce) {
  TimerWheel wheel;
  EXPECT_EQ(wheel.TakeDue(1000), nullptr);
  Named timer("t");
  wheel.Arm(timer, 3);
  EXPECT_EQ(wheel.Next(), 1000u);
  EXPECT_EQ(Due(wheel, 1000), "t");
}

TEST(TimerWheel, WhatIsDisarmedOrGoneIsNotHandedOut) {
  TimerWheel wheel;
  Named kept("k"), disarmed("d"), moved("m");
  wheel.Arm(kept, 100);
  wheel.Arm(disarmed, 100);
  wheel.Arm(moved, 100);
  auto gone = std::make_unique<Named>("g");
  wheel.Arm(*gone, 100);
  disarmed.Disarm();
  disarmed.Disarm();
  gone.reset();
  wheel.Arm(moved, 200);
  EXPECT_EQ(Due(wheel, 150), "k");
  EXPECT_EQ(Due(wheel, 200), "m");
  EXPECT_EQ(wheel.Next(), std::nullopt);
}

// What is handed out first may disarm, destroy or arm others that are due as well.
TEST(TimerWheel, CanBeChangedWhileItHandsOut) {
  TimerWheel wheel;
  Named first("f"), again("r");
  auto second = std::make_unique<Named>("s");
  wheel.Arm(first, 5);
  wheel.Arm(*second, 5);
  wheel.Arm(again, 6);
  EXPECT_EQ(wheel.TakeDue(8), &first);
  second.reset();
  EXPECT_EQ(wheel.TakeDue(8), &again);
  wheel.Arm(again, 7);
  EXPECT_EQ(wheel.TakeDue(8), &again);
  EXPECT_EQ(wheel.TakeDue(8), nullptr);
}

TEST(TimerWheel, NextLeadsToTheFirstInAFewSteps) {
  TimerWheel wheel;
  EXPECT_EQ(wheel.Next(), std::nullopt);
  EXPECT_EQ(wheel.TakeDue(1000), nullptr);
  Named far("f"), near("n");
  wheel.Arm(far, 1000000);
  EXPECT_GT(*wheel.Next(), 1000u);
  EXPECT_LE(*wheel.Next(), 1000000u);
  wheel.Arm(near, 1010);
  EXPECT_EQ(*wheel.Next(), 1010u);
  near.Disarm();
  int steps = 0;
  while (wheel.TakeDue(*wheel.Next()) == nullptr) ASSERT_LE(++steps, 8);
  EXPECT_FALSE(far.armed());
}

// Against a sorted map, with everything that can be done in a random order.
TEST(TimerWheel, AgreesWithASortedMap) {
  constexpr int kTimers = 2000;
  constexpr int kSteps = 200000;
  const uint32_t seed = std::random_device()();
  SCOPED_TRACE(seed);
  std::mt19937_64 random(seed);
  TimerWheel wheel;
  std::vector<Timer> timers(kTimers);
  std::multimap<Tick, Timer*> armed;
  std::map<Timer*, std::multimap<Tick, Timer*>::iterator> place;
  Tick now = 0;
  for (int step = 0; step < kSteps; ++step) {
    Timer* timer = &timers[random() % kTimers];
    const auto known = place.find(timer);
    if (known != place.end()) {
      armed.erase(known->second);
      place.erase(known);
    }
    if (random() % 3 == 0) {
      timer->Disarm();
    } else {
      const Tick due = now + (random() & ((Tick{1} << random() % 24) - 1));
      wheel.Arm(*timer, due);
      place[timer] = armed.emplace(due, timer);
    }
    if (random() % 8 != 0) continue;
    now += random() & ((Tick{1} << random() % 14) - 1);
    while (!armed.empty() && armed.begin()->first <= now) {
      ASSERT_LE(*wheel.Next(), armed.begin()->first);
      Timer* due = wheel.TakeDue(now);
      ASSERT_EQ(due, armed.begin()->second);
      place.erase(due);
      armed.erase(armed.begin());
    }
    ASSERT_EQ(wheel.TakeDue(now), nullptr);
  }
}

}  // namespace
}  // namespace weft
