#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {
namespace {

Task<int> Double(EventLoop& loop, int value) {
  co_await Sleep(loop, absl::Milliseconds(1));
  co_return 2 * value;
}

Task<> Chain(EventLoop& loop, int* result) {
  const int two = co_await Double(loop, 1);
  *result = co_await Double(loop, two);
  loop.Stop();
}

TEST(Task, HandsItsResultToTheAwaitingOne) {
  EventLoop loop;
  Scope scope;
  int result = 0;
  scope.Spawn(Chain(loop, &result));
  loop.Run();
  EXPECT_EQ(result, 4);
  EXPECT_TRUE(scope.empty());
}

Task<> AwaitEither(EventLoop& loop, Signal& a, Signal& b, absl::Duration limit, int* outcome) {
  *outcome = co_await Wait(loop, {&a, &b}, loop.Now() + limit) ? 1 : 2;
  loop.Stop();
}

TEST(Wait, ResumesOnTheFirstSignal) {
  EventLoop loop;
  Scope scope;
  Signal a, b;
  int outcome = 0;
  scope.Spawn(AwaitEither(loop, a, b, absl::Seconds(5), &outcome));
  loop.Post([&] { b.Notify(); });
  loop.Run();
  EXPECT_EQ(outcome, 1);
  EXPECT_FALSE(a.awaited());
}

TEST(Wait, ResumesAtTheDeadline) {
  EventLoop loop;
  Scope scope;
  Signal a, b;
  int outcome = 0;
  scope.Spawn(AwaitEither(loop, a, b, absl::Milliseconds(2), &outcome));
  loop.Run();
  EXPECT_EQ(outcome, 2);
}

struct Guard {
  bool* destroyed;
  ~Guard() { *destroyed = true; }
};

Task<> HoldForever(EventLoop& loop, Signal& never, bool* destroyed) {
  Guard guard{destroyed};
  co_await Wait(loop, {&never});
}

TEST(Scope, CancelsWhatWaits) {
  EventLoop loop;
  Signal never;
  bool destroyed = false;
  {
    Scope scope;
    scope.Spawn(HoldForever(loop, never, &destroyed));
    EXPECT_TRUE(never.awaited());
  }
  EXPECT_TRUE(destroyed);
  EXPECT_FALSE(never.awaited());
}

TEST(Scope, CancelsWhatIsAlreadyWokenButDidNotRun) {
  EventLoop loop;
  Signal signal;
  bool destroyed = false;
  Scope scope;
  scope.Spawn(HoldForever(loop, signal, &destroyed));
  signal.Notify();
  scope.Cancel();
  EXPECT_TRUE(destroyed);
  loop.RunOnce(absl::ZeroDuration());
}

TEST(EventLoop, RunsPostedCallsInOrder) {
  EventLoop loop;
  std::string order;
  std::thread other([&] {
    loop.Post([&] { order += "a"; });
    loop.Post([&] { order += "b"; });
    loop.Stop();
  });
  loop.Run();
  other.join();
  EXPECT_EQ(order, "ab");
}

}  // namespace
}  // namespace weft
