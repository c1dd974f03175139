#include "proxy/runtime/scope.h"

#include <cstdlib>
#include <utility>

namespace weft {

// The outermost coroutine of a spawned task; it starts at once and frees itself at its end.
struct Scope::Root {
  struct promise_type {
    Root get_return_object() { return {std::coroutine_handle<promise_type>::from_promise(*this)}; }
    std::suspend_always initial_suspend() noexcept { return {}; }
    std::suspend_never final_suspend() noexcept { return {}; }
    void unhandled_exception() noexcept { std::terminate(); }
    void return_void() noexcept {}
  };
  std::coroutine_handle<promise_type> handle;
};

struct Scope::Running {
  Scope* scope;
  Task<> task;
  std::coroutine_handle<> root;
  Running* previous = nullptr;
  Running* next = nullptr;
};

Scope::Root Scope::Run(Running* running) {
  co_await std::move(running->task);
  running->scope->Remove(running);
}

void Scope::Spawn(Task<> task) {
  Running* running = new Running{this, std::move(task), nullptr, nullptr, first_};
  if (first_ != nullptr) first_->previous = running;
  first_ = running;
  ++size_;
  auto root = Run(running).handle;
  running->root = root;
  root.resume();
}

void Scope::Remove(Running* running) {
  (running->previous != nullptr ? running->previous->next : first_) = running->next;
  if (running->next != nullptr) running->next->previous = running->previous;
  delete running;
  if (--size_ == 0) emptied_.Notify();
}

void Scope::Cancel() {
  while (first_ != nullptr) {
    Running* running = first_;
    first_ = running->next;
    if (first_ != nullptr) first_->previous = nullptr;
    --size_;
    running->root.destroy();
    delete running;
  }
}

}  // namespace weft
