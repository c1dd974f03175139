// EventLoop: one thread's loop over sockets, timers and resumed coroutines.
//
// Coroutines wait on Signals (see Wait below). A Signal that is notified does not resume its waiter
// at once: the waiter joins the loop's ready list, which runs after the events of this turn. So a
// callback never finds its object destroyed under it, and waking several waiters is safe.
//
// Everything here belongs to the loop's thread, but for Post() and Stop().
#ifndef WEFT_PROXY_RUNTIME_EVENT_LOOP_H_
#define WEFT_PROXY_RUNTIME_EVENT_LOOP_H_

#include <array>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/time/time.h"

struct event;
struct event_base;

namespace weft {

class EventLoop;
class Wait;

// Monotonic time, in the loop's cached reading; unaffected by a jump of the wall clock.
using MonotonicTime = absl::Duration;  // since an arbitrary start
inline constexpr MonotonicTime kNever = absl::InfiniteDuration();

// Something that happens, for at most one coroutine to wait for. A notification without a waiter is
// not remembered: whoever waits checks the state it is about first.
class Signal {
 public:
  Signal() = default;
  ~Signal();
  Signal(const Signal&) = delete;
  Signal& operator=(const Signal&) = delete;

  void Notify();
  bool awaited() const { return waiter_ != nullptr; }

 private:
  friend class Wait;
  Wait* waiter_ = nullptr;
};

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  // Runs until Stop().
  void Run();
  // Runs events that are due, waiting at most `at_most` for the first; for tests and for loops that
  // are driven from outside.
  void RunOnce(absl::Duration at_most);
  // Thread-safe.
  void Stop();
  // Thread-safe: runs `call` on the loop's thread, in order. This is the mailbox by which threads
  // reach each other.
  void Post(std::function<void()> call);

  // Cached at the start of each turn.
  MonotonicTime Now() const { return now_; }

  event_base* base() { return base_; }

 private:
  friend class Wait;
  friend class Signal;
  void RunReady();
  void UpdateNow();
  void DrainMailbox();

  event_base* base_;
  event* mailbox_event_;
  int mailbox_fd_;
  bool stopped_ = false;
  MonotonicTime now_;
  Wait* ready_head_ = nullptr;
  Wait* ready_tail_ = nullptr;

  std::mutex mailbox_mutex_;
  std::vector<std::function<void()>> mailbox_;
};

// co_await Wait(loop, {&stream.readable(), &other.writable()}, deadline) resumes when the first of
// the signals is notified or the deadline passes. Returns false if it was the deadline. The signals
// must outlive the wait.
class Wait {
 public:
  static constexpr int kMaxSignals = 6;

  Wait(EventLoop& loop, std::initializer_list<Signal*> signals, MonotonicTime deadline = kNever);
  ~Wait();
  Wait(const Wait&) = delete;
  Wait& operator=(const Wait&) = delete;

  bool await_ready() const noexcept { return false; }
  void await_suspend(std::coroutine_handle<> awaiting);
  bool await_resume() const noexcept { return !timed_out_; }

 private:
  friend class Signal;
  friend class EventLoop;
  static void OnTimer(int, short, void* self);
  void Wake();
  void Unlink();

  EventLoop& loop_;
  std::array<Signal*, kMaxSignals> signals_;
  int count_ = 0;
  MonotonicTime deadline_;
  std::coroutine_handle<> awaiting_;
  event* timer_ = nullptr;
  bool timed_out_ = false;
  bool ready_ = false;
  Wait* previous_ready_ = nullptr;
  Wait* next_ready_ = nullptr;
};

// co_await Sleep(loop, absl::Milliseconds(5)).
inline Wait Sleep(EventLoop& loop, absl::Duration duration) {
  return Wait(loop, {}, loop.Now() + duration);
}

}  // namespace weft

#endif  // WEFT_PROXY_RUNTIME_EVENT_LOOP_H_
