#include "proxy/runtime/event_loop.h"

#include <event2/event.h>
#include <event2/event_struct.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <utility>

namespace weft {
namespace {

timeval TimevalAtLeastZero(absl::Duration duration) {
  return absl::ToTimeval(std::max(duration, absl::ZeroDuration()));
}

}  // namespace

Signal::~Signal() {
  if (waiter_ != nullptr) waiter_->Unlink();
}

void Signal::Notify() {
  if (waiter_ != nullptr) waiter_->Wake();
}

EventLoop::EventLoop() {
  UpdateNow();
  event_config* config = event_config_new();
  // The loop's own thread is the only one that touches the base: no locks.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK | EVENT_BASE_FLAG_EPOLL_USE_CHANGELIST);
  base_ = event_base_new_with_config(config);
  event_config_free(config);
  mailbox_fd_ = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  auto on_mail = [](evutil_socket_t fd, short, void* self) {
    uint64_t count;
    (void)!read(fd, &count, sizeof(count));
    static_cast<EventLoop*>(self)->DrainMailbox();
  };
  mailbox_event_ = event_new(base_, mailbox_fd_, EV_READ | EV_PERSIST, on_mail, this);
  event_add(mailbox_event_, nullptr);
}

EventLoop::~EventLoop() {
  event_free(mailbox_event_);
  close(mailbox_fd_);
  event_base_free(base_);
}

void EventLoop::Run() {
  stopped_ = false;
  RunReady();
  while (!stopped_) {
    event_base_loop(base_, EVLOOP_ONCE);
    RunReady();
  }
}

void EventLoop::RunOnce(absl::Duration at_most) {
  RunReady();
  const timeval limit = TimevalAtLeastZero(at_most);
  if (at_most > absl::ZeroDuration()) {
    event* limit_event = evtimer_new(base_, [](evutil_socket_t, short, void*) {}, nullptr);
    evtimer_add(limit_event, &limit);
    event_base_loop(base_, EVLOOP_ONCE);
    event_free(limit_event);
  } else {
    event_base_loop(base_, EVLOOP_NONBLOCK);
  }
  RunReady();
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
  if (first) (void)!write(mailbox_fd_, &one, sizeof(one));
}

void EventLoop::DrainMailbox() {
  UpdateNow();
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
  UpdateNow();
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

Wait::~Wait() {
  Unlink();
  if (timer_ != nullptr) event_free(timer_);
}

void Wait::await_suspend(std::coroutine_handle<> awaiting) {
  awaiting_ = awaiting;
  for (int i = 0; i < count_; ++i) {
    if (signals_[i]->waiter_ != nullptr) std::abort();  // a second waiter would wait forever
    signals_[i]->waiter_ = this;
  }
  if (deadline_ == kNever) return;
  timer_ = evtimer_new(loop_.base_, OnTimer, this);
  const timeval delay = TimevalAtLeastZero(deadline_ - loop_.Now());
  evtimer_add(timer_, &delay);
}

void Wait::OnTimer(int, short, void* self) {
  Wait* wait = static_cast<Wait*>(self);
  wait->timed_out_ = !wait->ready_;
  wait->Wake();
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
  if (timer_ != nullptr) evtimer_del(timer_);
  if (!ready_) return;
  ready_ = false;
  (previous_ready_ != nullptr ? previous_ready_->next_ready_ : loop_.ready_head_) = next_ready_;
  (next_ready_ != nullptr ? next_ready_->previous_ready_ : loop_.ready_tail_) = previous_ready_;
  previous_ready_ = next_ready_ = nullptr;
}

}  // namespace weft
