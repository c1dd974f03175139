#include "tools/weftctl/sandbox/event_loop.h"

#include <event2/event.h>

#include <utility>

namespace weft::sandbox {

Watch::~Watch() {
  if (event_ != nullptr) event_free(event_);
}

void Watch::Fire(int fd, short what, void* watch) {
  // A copy: the callback may destroy the watch that holds it.
  std::function<void()> callback = static_cast<Watch*>(watch)->callback_;
  callback();
}

EventLoop::EventLoop() : base_(event_base_new()) {}
EventLoop::~EventLoop() { event_base_free(base_); }

std::unique_ptr<Watch> EventLoop::Add(int fd, short what, const absl::Duration* delay,
                                      std::function<void()> callback) {
  std::unique_ptr<Watch> watch(new Watch(std::move(callback)));
  watch->event_ = event_new(base_, fd, what, &Watch::Fire, watch.get());
  timeval time = {};
  if (delay != nullptr) time = absl::ToTimeval(*delay);
  event_add(watch->event_, delay != nullptr ? &time : nullptr);
  return watch;
}

std::unique_ptr<Watch> EventLoop::OnReadable(int fd, std::function<void()> callback) {
  return Add(fd, EV_READ | EV_PERSIST, nullptr, std::move(callback));
}
std::unique_ptr<Watch> EventLoop::OnWritable(int fd, std::function<void()> callback) {
  return Add(fd, EV_WRITE | EV_PERSIST, nullptr, std::move(callback));
}
std::unique_ptr<Watch> EventLoop::OnSignal(int signal, std::function<void()> callback) {
  return Add(signal, EV_SIGNAL | EV_PERSIST, nullptr, std::move(callback));
}
std::unique_ptr<Watch> EventLoop::After(absl::Duration delay, std::function<void()> callback) {
  return Add(-1, 0, &delay, std::move(callback));
}
std::unique_ptr<Watch> EventLoop::Every(absl::Duration period, std::function<void()> callback) {
  return Add(-1, EV_PERSIST, &period, std::move(callback));
}

void EventLoop::Run() { event_base_dispatch(base_); }
void EventLoop::Stop() { event_base_loopbreak(base_); }

}  // namespace weft::sandbox
