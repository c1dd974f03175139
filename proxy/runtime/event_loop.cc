#include "proxy/runtime/event_loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <optional>
#include <utility>

namespace weft {
namespace {

// A tick of the timers is 2^18 ns, a quarter of a millisecond: epoll_wait counts in milliseconds,
// so finer ones would not be met.
constexpr int kTickShift = 18;

// Its time still fits into 64 bits of nanoseconds.
constexpr Tick kLastTick = std::numeric_limits<int64_t>::max() >> kTickShift;

Tick TickAt(MonotonicTime time) {
  return static_cast<Tick>(absl::ToInt64Nanoseconds(time)) >> kTickShift;
}

// The tick by which `time` has passed for certain.
Tick TickAfter(MonotonicTime time) { return std::min(TickAt(time) + 1, kLastTick); }

MonotonicTime TimeOf(Tick tick) {
  return absl::Nanoseconds(static_cast<int64_t>(tick << kTickShift));
}

// Rounded up, so that nobody wakes in vain just before a deadline.
int MillisecondsUntil(MonotonicTime then, MonotonicTime now) {
  if (then <= now) return 0;
  const int64_t ms = absl::ToInt64Milliseconds(then - now + absl::Nanoseconds(999999));
  return static_cast<int>(std::min<int64_t>(ms, std::numeric_limits<int>::max()));
}

// What is further away than this may be late by the length of a turn; for what is nearer the clock
// is read once more before waiting.
constexpr absl::Duration kNear = absl::Seconds(1);

// A broken connection is told as an end that can be read and written.
uint32_t EventsOf(uint32_t happened) {
  if (happened & (EPOLLERR | EPOLLHUP)) happened |= EPOLLRDHUP | EPOLLOUT;
  if (happened & EPOLLRDHUP) happened |= EPOLLIN;
  return happened & (EPOLLIN | EPOLLOUT | EPOLLRDHUP);
}

}  // namespace

Signal::~Signal() {
  if (waiter_ != nullptr) waiter_->Unlink();
}

void Signal::Notify() {
  if (waiter_ != nullptr) waiter_->Wake();
}

WatchedFd::WatchedFd(EventLoop& loop, int fd, uint32_t events, Call call, void* owner)
    : loop_(loop), fd_(fd), call_(call), owner_(owner) {
  Register(EPOLL_CTL_ADD, events);
}

void WatchedFd::Watch(uint32_t events) { Register(EPOLL_CTL_MOD, events); }

void WatchedFd::Register(int operation, uint32_t events) {
  epoll_event event = {};
  event.events = events & kLevel ? events & ~kLevel : events | EPOLLET;
  event.data.ptr = this;
  epoll_ctl(loop_.epoll_, operation, fd_, &event);
}

WatchedFd::~WatchedFd() {
  if (fd_ < 0) return;
  close(fd_);
  Forget();
}

int WatchedFd::Release() {
  Register(EPOLL_CTL_DEL, 0);
  Forget();
  return std::exchange(fd_, -1);
}

void WatchedFd::Forget() {
  for (int i = 0; i < loop_.event_count_; ++i) {
    if (loop_.events_[i].data.ptr == this) loop_.events_[i].data.ptr = nullptr;
  }
}

EventLoop::EventLoop() : epoll_(epoll_create1(EPOLL_CLOEXEC)) {
  UpdateNow();
  timers_.TakeDue(TickAt(now_));
  const auto on_mail = [](void* self, uint32_t) {
    EventLoop& loop = *static_cast<EventLoop*>(self);
    uint64_t count;
    (void)!read(loop.mail_->get(), &count, sizeof(count));
    loop.DrainMailbox();
  };
  mail_ = std::make_unique<WatchedFd>(*this, eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC),
                                      WatchedFd::kReadable, on_mail, this);
}

EventLoop::~EventLoop() {
  if (base_ != nullptr) {
    event_free(polled_by_base_);
    event_free(base_limit_);
    event_base_free(base_);
  }
  mail_.reset();
  close(epoll_);
}

event_base* EventLoop::base() {
  if (base_ != nullptr) return base_;
  event_config* config = event_config_new();
  // The loop's own thread is the only one that touches the base: no locks.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  base_ = event_base_new_with_config(config);
  event_config_free(config);
  const auto on_epoll = [](evutil_socket_t, short, void* self) {
    static_cast<EventLoop*>(self)->Poll(0);
  };
  polled_by_base_ = event_new(base_, epoll_, EV_READ | EV_PERSIST, on_epoll, this);
  event_add(polled_by_base_, nullptr);
  base_limit_ = evtimer_new(base_, [](evutil_socket_t, short, void*) {}, nullptr);
  return base_;
}

void EventLoop::Run() {
  stopped_ = false;
  UpdateNow();
  RunReady();
  while (!stopped_) Turn(kNever);
}

void EventLoop::RunOnce(absl::Duration at_most) {
  UpdateNow();
  RunReady();
  Turn(now_ + at_most);
}

void EventLoop::Turn(MonotonicTime limit) {
  const int wait_ms = WaitMilliseconds(limit);
  if (base_ == nullptr) {
    Poll(wait_ms);
  } else {
    PollWithBase(wait_ms);
  }
  EndDueWaits();
  RunReady();
}

// For epoll_wait: -1 is "for ever".
int EventLoop::WaitMilliseconds(MonotonicTime limit) {
  const std::optional<Tick> next = timers_.Next();
  if (next.has_value()) limit = std::min(limit, TimeOf(*next));
  if (limit == kNever) return -1;
  if (limit - now_ < kNear) UpdateNow();
  return MillisecondsUntil(limit, now_);
}

void EventLoop::Poll(int wait_ms) {
  const int count = epoll_wait(epoll_, events_.data(), kMostEvents, wait_ms);
  UpdateNow();
  event_count_ = std::max(count, 0);  // interrupted: nothing
  for (int i = 0; i < event_count_; ++i) {
    const WatchedFd* watched = static_cast<WatchedFd*>(events_[i].data.ptr);
    if (watched != nullptr) watched->call_(watched->owner_, EventsOf(events_[i].events));
  }
  event_count_ = 0;
}

void EventLoop::PollWithBase(int wait_ms) {
  if (wait_ms > 0) {
    const timeval limit = absl::ToTimeval(absl::Milliseconds(wait_ms));
    evtimer_add(base_limit_, &limit);
  } else {
    evtimer_del(base_limit_);
  }
  // Once in any case: NONBLOCK alone goes on while anything is ready, and a level-triggered socket
  // is until the coroutine that waits for it runs, which is after this.
  event_base_loop(base_, EVLOOP_ONCE | (wait_ms == 0 ? EVLOOP_NONBLOCK : 0));
  UpdateNow();
}

void EventLoop::EndDueWaits() {
  const Tick now = TickAt(now_);
  while (Timer* timer = timers_.TakeDue(now)) static_cast<Wait*>(timer)->OnDeadline();
}

void EventLoop::Stop() {
  Post([this] { stopped_ = true; });
}

void EventLoop::Post(std::function<void()> call) {
  bool first;
  {
    std::lock_guard<std::mutex> lock(mailbox_mutex_);
    first = mailbox_.empty();
    mailbox_.push_back(std::move(call));
  }
  const uint64_t one = 1;
  if (first) (void)!write(mail_->get(), &one, sizeof(one));
}

void EventLoop::DrainMailbox() {
  std::vector<std::function<void()>> calls;
  {
    std::lock_guard<std::mutex> lock(mailbox_mutex_);
    calls.swap(mailbox_);
  }
  for (auto& call : calls) call();
}

void EventLoop::UpdateNow() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  now_ = absl::DurationFromTimespec(now);
}

void EventLoop::RunReady() {
  while (ready_head_ != nullptr) {
    Wait* wait = ready_head_;
    std::coroutine_handle<> awaiting = wait->awaiting_;
    wait->Unlink();
    awaiting.resume();
  }
}

Wait::Wait(EventLoop& loop, std::initializer_list<Signal*> signals, MonotonicTime deadline)
    : loop_(loop), deadline_(deadline) {
  for (Signal* signal : signals) signals_[count_++] = signal;
}

Wait::~Wait() { Unlink(); }

void Wait::await_suspend(std::coroutine_handle<> awaiting) {
  awaiting_ = awaiting;
  for (int i = 0; i < count_; ++i) {
    if (signals_[i]->waiter_ != nullptr) std::abort();  // a second waiter would wait forever
    signals_[i]->waiter_ = this;
  }
  if (deadline_ == kNever) return;
  const bool passed = deadline_ <= loop_.now_;  // then it ends with the next turn
  loop_.timers_.Arm(*this, passed ? TickAt(loop_.now_) : TickAfter(deadline_));
}

void Wait::OnDeadline() {
  timed_out_ = !ready_;
  Wake();
}

void Wait::Wake() {
  if (ready_) return;
  ready_ = true;
  previous_ready_ = loop_.ready_tail_;
  (loop_.ready_tail_ != nullptr ? loop_.ready_tail_->next_ready_ : loop_.ready_head_) = this;
  loop_.ready_tail_ = this;
}

void Wait::Unlink() {
  for (int i = 0; i < count_; ++i) {
    if (signals_[i]->waiter_ == this) signals_[i]->waiter_ = nullptr;
  }
  count_ = 0;
  Disarm();
  if (!ready_) return;
  ready_ = false;
  (previous_ready_ != nullptr ? previous_ready_->next_ready_ : loop_.ready_head_) = next_ready_;
  (next_ready_ != nullptr ? next_ready_->previous_ready_ : loop_.ready_tail_) = previous_ready_;
  previous_ready_ = next_ready_ = nullptr;
}

}  // namespace weft
