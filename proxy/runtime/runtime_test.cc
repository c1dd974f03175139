#include <event2/event.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "proxy/base/free_blocks.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/frame.h"
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

Task<> SleepAndNote(EventLoop& loop, absl::Duration duration, char name, std::string* order) {
  const MonotonicTime until = loop.Now() + duration;
  co_await Sleep(loop, duration);
  EXPECT_GE(loop.Now(), until);
  order->push_back(name);
}

TEST(Wait, DeadlinesPassInOrderAndNeverEarly) {
  EventLoop loop;
  Scope scope;
  std::string order;
  scope.Spawn(SleepAndNote(loop, absl::Milliseconds(20), 'd', &order));
  scope.Spawn(SleepAndNote(loop, absl::Milliseconds(2), 'b', &order));
  scope.Spawn(SleepAndNote(loop, absl::Milliseconds(10), 'c', &order));
  scope.Spawn(SleepAndNote(loop, absl::ZeroDuration(), 'a', &order));
  scope.Spawn(SleepAndNote(loop, absl::Hours(24 * 365 * 10000), 'x', &order));
  while (order.size() < 4) loop.RunOnce(absl::Seconds(5));
  EXPECT_EQ(order, "abcd");
}

Task<> Yield(EventLoop& loop, int times, int* done) {
  for (int i = 0; i < times; ++i) co_await Sleep(loop, absl::ZeroDuration());
  ++*done;
}

TEST(Wait, APassedDeadlineEndsWithTheNextTurn) {
  EventLoop loop;
  Scope scope;
  int done = 0;
  scope.Spawn(Yield(loop, 3, &done));
  for (int turn = 0; turn < 3; ++turn) {
    EXPECT_EQ(done, 0);
    loop.RunOnce(absl::Seconds(5));
  }
  EXPECT_EQ(done, 1);
}

Task<> CancelOther(EventLoop& loop, std::unique_ptr<Scope>* other, std::string* order) {
  co_await Sleep(loop, absl::Milliseconds(3));
  order->push_back('c');
  other->reset();
}

// Both are due in the same turn; the one that runs first takes the other away.
TEST(Wait, ADueOneCanBeCancelledByAnother) {
  EventLoop loop;
  Scope scope;
  auto other = std::make_unique<Scope>();
  std::string order;
  scope.Spawn(CancelOther(loop, &other, &order));
  other->Spawn(SleepAndNote(loop, absl::Milliseconds(3), 'x', &order));
  while (order.empty()) loop.RunOnce(absl::Seconds(5));
  loop.RunOnce(absl::Milliseconds(10));
  EXPECT_EQ(order, "c");
}

Task<> AwaitOne(EventLoop& loop, Signal& signal, absl::Duration limit, int* outcome) {
  *outcome = co_await Wait(loop, {&signal}, loop.Now() + limit) ? 1 : 2;
}

TEST(Wait, OfTenThousandDeadlinesOnlyThoseInTimeAreGivenUp) {
  EventLoop loop;
  Scope scope;
  std::vector<Signal> signals(10000);
  std::vector<int> outcomes(signals.size(), 0);
  for (size_t i = 0; i < signals.size(); ++i) {
    const absl::Duration limit = i % 10 == 0 ? absl::Milliseconds(i % 100) : absl::Hours(1);
    scope.Spawn(AwaitOne(loop, signals[i], limit, &outcomes[i]));
  }
  while (scope.size() > signals.size() * 9 / 10) loop.RunOnce(absl::Seconds(5));
  for (Signal& signal : signals) signal.Notify();
  loop.RunOnce(absl::ZeroDuration());
  for (size_t i = 0; i < signals.size(); ++i) EXPECT_EQ(outcomes[i], i % 10 == 0 ? 2 : 1) << i;
}

TEST(Frame, IsTakenAgainByTheNextOfItsSize) {
  void* first = TakeFrame(300);
  GiveFrame(first, 300);
  void* again = TakeFrame(260);
  EXPECT_EQ(again == first, kKeepFreeBlocks);
  void* other = TakeFrame(256);
  EXPECT_NE(other, first);
  GiveFrame(again, 260);
  GiveFrame(other, 256);
  void* huge = TakeFrame(1 << 20);
  GiveFrame(huge, 1 << 20);
}

TEST(Frame, GoesBackToTheHeapWhenTooManyAreKept) {
  std::vector<void*> frames;
  for (int i = 0; i < 5000; ++i) frames.push_back(TakeFrame(500));
  for (void* frame : frames) GiveFrame(frame, 500);
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

struct Ends {
  static void OnEvents(void* self, uint32_t events) {
    Ends& ends = *static_cast<Ends*>(self);
    ends.seen |= events;
    if (ends.also_close != nullptr) ends.also_close->reset();
  }
  uint32_t seen = 0;
  std::unique_ptr<WatchedFd>* also_close = nullptr;
};

constexpr uint32_t kAll = WatchedFd::kReadable | WatchedFd::kWritable | WatchedFd::kEnding;

std::pair<int, int> SocketPair() {
  int fds[2];
  EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
  return {fds[0], fds[1]};
}

TEST(WatchedFd, TellsEdgesOnce) {
  EventLoop loop;
  const auto [ours, theirs] = SocketPair();
  Ends ends;
  WatchedFd watched(loop, ours, kAll, Ends::OnEvents, &ends);
  loop.RunOnce(absl::Seconds(5));
  EXPECT_EQ(std::exchange(ends.seen, 0), WatchedFd::kWritable);
  EXPECT_EQ(write(theirs, "x", 1), 1);
  loop.RunOnce(absl::Seconds(5));
  EXPECT_EQ(std::exchange(ends.seen, 0), WatchedFd::kWritable | WatchedFd::kReadable);
  loop.RunOnce(absl::ZeroDuration());
  EXPECT_EQ(ends.seen, 0u);
  close(theirs);
  loop.RunOnce(absl::Seconds(5));
  EXPECT_EQ(ends.seen, kAll);
}

// One turn's events are about both; whoever is told first closes the other.
TEST(WatchedFd, IsNotToldOfAfterItWasClosed) {
  EventLoop loop;
  const auto [a, b] = SocketPair();
  Ends first, second;
  std::unique_ptr<WatchedFd> watched_first, watched_second;
  first.also_close = &watched_second;
  second.also_close = &watched_first;
  watched_first = std::make_unique<WatchedFd>(loop, a, kAll, Ends::OnEvents, &first);
  watched_second = std::make_unique<WatchedFd>(loop, b, kAll, Ends::OnEvents, &second);
  loop.RunOnce(absl::Seconds(5));
  EXPECT_NE(first.seen != 0, second.seen != 0);
}

// A duplicate of a descriptor keeps an epoll watch alive that closing the descriptor would end.
TEST(WatchedFd, AReleasedDescriptorIsAnotherLoops) {
  EventLoop first_loop, second_loop;
  const auto [ours, theirs] = SocketPair();
  Ends first, second;
  auto watched = std::make_unique<WatchedFd>(first_loop, ours, kAll, Ends::OnEvents, &first);
  const int fd = watched->Release();
  EXPECT_EQ(fd, ours);
  watched.reset();
  const WatchedFd again(second_loop, fd, kAll, Ends::OnEvents, &second);
  EXPECT_EQ(write(theirs, "x", 1), 1) << "it is still open";
  first_loop.RunOnce(absl::ZeroDuration());
  second_loop.RunOnce(absl::Seconds(5));
  EXPECT_EQ(first.seen, 0u);
  EXPECT_EQ(second.seen, WatchedFd::kWritable | WatchedFd::kReadable);
  close(theirs);
}

// With a base, what the loop does itself goes on, and the base's events are served.
TEST(EventLoop, ServesALibeventBaseAsWell) {
  EventLoop loop;
  Scope scope;
  std::string order;
  const auto [ours, theirs] = SocketPair();
  const auto note = [](evutil_socket_t, short, void* to) {
    static_cast<std::string*>(to)->push_back('e');
  };
  event* readable = event_new(loop.base(), ours, EV_READ, note, &order);
  event_add(readable, nullptr);
  scope.Spawn(SleepAndNote(loop, absl::Milliseconds(2), 's', &order));
  loop.Post([&, peer = theirs] {
    order.push_back('p');
    EXPECT_EQ(write(peer, "x", 1), 1);
  });
  while (order.size() < 3) loop.RunOnce(absl::Seconds(5));
  EXPECT_EQ(order, "pes");
  event_free(readable);
  close(ours);
  close(theirs);
}

// A level-triggered socket is ready until the coroutine that waits for it runs, after the turn.
TEST(EventLoop, ATurnWithABaseEndsAlthoughASocketStaysReady) {
  EventLoop loop;
  ASSERT_NE(loop.base(), nullptr);
  Scope scope;
  std::string order;
  const auto [ours, theirs] = SocketPair();
  EXPECT_EQ(write(theirs, "x", 1), 1);
  const auto ignore = [](void*, uint32_t) {};
  const WatchedFd watched(loop, ours, WatchedFd::kReadable | WatchedFd::kLevel, ignore, nullptr);
  scope.Spawn(SleepAndNote(loop, absl::ZeroDuration(), 's', &order));
  while (order.empty()) loop.RunOnce(absl::ZeroDuration());
  EXPECT_EQ(order, "s");
  close(theirs);
}

}  // namespace
}  // namespace weft
