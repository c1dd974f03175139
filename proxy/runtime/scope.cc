#include "proxy/runtime/scope.h"

#include <utility>

#include "proxy/runtime/frame.h"

namespace weft {

// What a scope knows of a task that runs in it: part of the frame of the task's outermost
// coroutine.
struct Scope::Running : InFrame {
  Root get_return_object();
  std::suspend_always initial_suspend() noexcept { return {}; }
  std::suspend_never final_suspend() noexcept {
    scope->Remove(*this);
    return {};
  }
  void unhandled_exception() noexcept { std::terminate(); }
  void return_void() noexcept {}

  Scope* scope = nullptr;
  Running* previous = nullptr;
  Running* next = nullptr;
};

// The outermost coroutine of a spawned task; it frees itself at its end.
struct Scope::Root {
  using promise_type = Running;
  std::coroutine_handle<Running> handle;
};

Scope::Root Scope::Running::get_return_object() {
  return {std::coroutine_handle<Running>::from_promise(*this)};
}

Scope::Root Scope::Run(Task<> task) { co_await std::move(task); }

void Scope::Spawn(Task<> task) {
  const std::coroutine_handle<Running> root = Run(std::move(task)).handle;
  Running& running = root.promise();
  running.scope = this;
  running.next = first_;
  if (first_ != nullptr) first_->previous = &running;
  first_ = &running;
  ++size_;
  root.resume();
}

void Scope::Remove(Running& running) {
  (running.previous != nullptr ? running.previous->next : first_) = running.next;
  if (running.next != nullptr) running.next->previous = running.previous;
  if (--size_ == 0) emptied_.Notify();
}

void Scope::Cancel() {
  while (first_ != nullptr) {
    Running* running = first_;
    first_ = running->next;
    if (first_ != nullptr) first_->previous = nullptr;
    --size_;
    std::coroutine_handle<Running>::from_promise(*running).destroy();
  }
}

}  // namespace weft
