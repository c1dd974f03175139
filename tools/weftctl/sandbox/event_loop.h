// The supervisor's one event loop: a thin face on libevent, so that the rest of the sandbox deals
// in callbacks and owned watches.
//
// One thread. A Watch is active until it is destroyed; it may be destroyed inside its own callback.
// Watches must go before the loop.
#ifndef TOOLS_WEFTCTL_SANDBOX_EVENT_LOOP_H_
#define TOOLS_WEFTCTL_SANDBOX_EVENT_LOOP_H_

#include <functional>
#include <memory>

#include "absl/time/time.h"

struct event;
struct event_base;

namespace weft::sandbox {

class Watch {
 public:
  ~Watch();
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

 private:
  friend class EventLoop;
  explicit Watch(std::function<void()> callback) : callback_(std::move(callback)) {}
  static void Fire(int fd, short what, void* watch);

  std::function<void()> callback_;
  event* event_ = nullptr;
};

class EventLoop {
 public:
  EventLoop();
  ~EventLoop();

  std::unique_ptr<Watch> OnReadable(int fd, std::function<void()> callback);
  std::unique_ptr<Watch> OnWritable(int fd, std::function<void()> callback);
  std::unique_ptr<Watch> OnSignal(int signal, std::function<void()> callback);
  std::unique_ptr<Watch> After(absl::Duration delay, std::function<void()> callback);  // once
  std::unique_ptr<Watch> Every(absl::Duration period, std::function<void()> callback);

  void Run();
  void Stop();

 private:
  std::unique_ptr<Watch> Add(int fd, short what, const absl::Duration* delay,
                             std::function<void()> callback);

  event_base* base_;
};

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_EVENT_LOOP_H_
