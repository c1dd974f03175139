// Task<T>: a lazy coroutine. It runs when it is awaited (or spawned in a Scope), on the thread of
// whoever resumes it, and hands its result to the one coroutine that awaits it.
//
// Cancelling is destroying: a Task owns its coroutine frame, and a frame owns the Tasks it awaits,
// so destroying the outermost one unwinds the whole stack of a suspended operation. Everything that
// waits (Signal, Sleep) unlinks itself when its frame goes. A Task must not be destroyed while it
// is the one that runs.
//
// Compilers miscompile lambdas and braced aggregates inside a co_await operand (g++ 12 destroys
// them twice): bind them to a variable first.
#ifndef WEFT_PROXY_RUNTIME_TASK_H_
#define WEFT_PROXY_RUNTIME_TASK_H_

#include <coroutine>
#include <exception>
#include <optional>
#include <utility>

#include "proxy/runtime/frame.h"

namespace weft {

template <typename T>
class Task;

namespace task_internal {

// Hands control to the awaiting coroutine when a task ends.
struct FinalAwaiter {
  bool await_ready() noexcept { return false; }
  template <typename Promise>
  std::coroutine_handle<> await_suspend(std::coroutine_handle<Promise> self) noexcept {
    std::coroutine_handle<> continuation = self.promise().continuation;
    if (continuation) return continuation;
    return std::noop_coroutine();
  }
  void await_resume() noexcept {}
};

struct PromiseCommon : InFrame {
  std::suspend_always initial_suspend() noexcept { return {}; }
  FinalAwaiter final_suspend() noexcept { return {}; }
  // Weft throws nothing; a library's exception that reaches a task is a bug.
  void unhandled_exception() noexcept { std::terminate(); }
  std::coroutine_handle<> continuation;
};

template <typename T>
struct Promise : PromiseCommon {
  Task<T> get_return_object();
  template <typename U>
  void return_value(U&& value) {
    result.emplace(std::forward<U>(value));
  }
  T TakeResult() { return std::move(*result); }
  std::optional<T> result;
};

template <>
struct Promise<void> : PromiseCommon {
  Task<void> get_return_object();
  void return_void() noexcept {}
  void TakeResult() {}
};

}  // namespace task_internal

template <typename T = void>
class [[nodiscard]] Task {
 public:
  using promise_type = task_internal::Promise<T>;
  using Handle = std::coroutine_handle<promise_type>;

  Task() = default;
  explicit Task(Handle handle) : handle_(handle) {}
  Task(Task&& other) noexcept : handle_(std::exchange(other.handle_, nullptr)) {}
  Task& operator=(Task&& other) noexcept {
    if (handle_) handle_.destroy();
    handle_ = std::exchange(other.handle_, nullptr);
    return *this;
  }
  ~Task() {
    if (handle_) handle_.destroy();
  }

  struct Awaiter {
    Handle handle;
    bool await_ready() const noexcept { return false; }
    std::coroutine_handle<> await_suspend(std::coroutine_handle<> awaiting) noexcept {
      handle.promise().continuation = awaiting;
      return handle;
    }
    T await_resume() { return handle.promise().TakeResult(); }
  };
  Awaiter operator co_await() && noexcept { return Awaiter{handle_}; }

 private:
  Handle handle_ = nullptr;
};

namespace task_internal {

template <typename T>
Task<T> Promise<T>::get_return_object() {
  return Task<T>(std::coroutine_handle<Promise<T>>::from_promise(*this));
}
inline Task<void> Promise<void>::get_return_object() {
  return Task<void>(std::coroutine_handle<Promise<void>>::from_promise(*this));
}

}  // namespace task_internal
}  // namespace weft

#endif  // WEFT_PROXY_RUNTIME_TASK_H_
