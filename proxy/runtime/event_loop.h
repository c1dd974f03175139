// EventLoop: one thread's loop over sockets, timers and resumed coroutines.
//
// A turn is one epoll_wait and one reading of the clock; then what happened to descriptors is told
// to their owners (WatchedFd below), deadlines that passed end their Waits, and the coroutines that
// became ready run. libevent has no part in it unless somebody asks for base().
//
// Coroutines wait on Signals (see Wait below). A Signal that is notified does not resume its waiter
// at once: the waiter joins the loop's ready list, which runs after the events of this turn. So a
// callback never finds its object destroyed under it, and waking several waiters is safe.
//
// Everything here belongs to the loop's thread, but for Post() and Stop().
#ifndef WEFT_PROXY_RUNTIME_EVENT_LOOP_H_
#define WEFT_PROXY_RUNTIME_EVENT_LOOP_H_

#include <sys/epoll.h>

#include <array>
#include <coroutine>
#include <cstdint>
#include <functional>
#include <initializer_list>
#include <memory>
#include <mutex>
#include <vector>

#include "absl/time/time.h"
#include "proxy/runtime/timer_wheel.h"

struct event;
struct event_base;

namespace weft {

class EventLoop;
class Wait;
class WatchedFd;

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

  // A libevent base whose events are served by this loop as well, for libraries and for signals:
  // made when first asked for, and from then on each turn goes through it. Costs some system calls
  // a turn, so nothing on the data path's loops asks. Its timers may be early by some milliseconds.
  event_base* base();

 private:
  friend class Wait;
  friend class Signal;
  friend class WatchedFd;

  // Descriptors told about in one turn; what is beyond comes in the next.
  static constexpr int kMostEvents = 256;

  // One turn that waits until `limit` at most.
  void Turn(MonotonicTime limit);
  int WaitMilliseconds(MonotonicTime limit);
  void Poll(int wait_ms);
  void PollWithBase(int wait_ms);
  void EndDueWaits();
  void RunReady();
  void UpdateNow();
  void DrainMailbox();

  const int epoll_;
  event_base* base_ = nullptr;
  event* polled_by_base_ = nullptr;  // epoll_ has something to tell
  event* base_limit_ = nullptr;      // ends a turn of the base
  bool stopped_ = false;
  MonotonicTime now_;
  TimerWheel timers_;
  Wait* ready_head_ = nullptr;
  Wait* ready_tail_ = nullptr;
  // What this turn tells; empty between turns.
  std::array<epoll_event, kMostEvents> events_;
  int event_count_ = 0;

  std::mutex mailbox_mutex_;
  std::vector<std::function<void()>> mailbox_;
  std::unique_ptr<WatchedFd> mail_;
};

// A descriptor in a loop. It is registered once, edge-triggered, and closed with this, which also
// ends the watch: no system call is spent on either again. (But for listening sockets, see kLevel.)
class WatchedFd {
 public:
  // What to watch for, and what happened.
  enum Event : uint32_t {
    kReadable = EPOLLIN,
    kWritable = EPOLLOUT,
    // The peer has ended or broken the connection: a read that takes less than it could is followed
    // by the end, and no further edge tells. Comes with the other two.
    kEnding = EPOLLRDHUP,
    // Not an event: tells in each turn for as long as it holds, not by edges. For listening
    // sockets, from which not all is taken at once.
    kLevel = 1u << 24,
  };
  // May destroy anything but `owner`'s WatchedFd.
  using Call = void (*)(void* owner, uint32_t events);

  // Takes ownership of `fd`. `loop` must outlive this.
  WatchedFd(EventLoop& loop, int fd, uint32_t events, Call call, void* owner);
  ~WatchedFd();
  WatchedFd(const WatchedFd&) = delete;
  WatchedFd& operator=(const WatchedFd&) = delete;

  int get() const { return fd_; }
  // Ends the watch alone: the descriptor is the caller's, who may give it to another loop.
  int Release();
  // Watches for others from now on; a system call.
  void Watch(uint32_t events);

 private:
  friend class EventLoop;
  void Register(int operation, uint32_t events);
  // This turn may still have something to tell about it.
  void Forget();

  EventLoop& loop_;
  int fd_;  // -1: released
  const Call call_;
  void* const owner_;
};

// co_await Wait(loop, {&stream.readable(), &other.writable()}, deadline) resumes when the first of
// the signals is notified or the deadline passes. Returns false if it was the deadline. The signals
// must outlive the wait. A deadline is never early, and late by 1.3 ms at most on an idle loop.
class Wait : private Timer {
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
  void OnDeadline();
  void Wake();
  void Unlink();

  EventLoop& loop_;
  std::array<Signal*, kMaxSignals> signals_;
  int count_ = 0;
  MonotonicTime deadline_;
  std::coroutine_handle<> awaiting_;
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
