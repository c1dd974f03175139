#include "proxy/serve/workers.h"

#include <pthread.h>

#include <utility>

namespace weft {
namespace {

struct Gathering {
  size_t left;
  Signal done;
};

}  // namespace

Workers::Workers(EventLoop& main_loop, size_t count, WorkerOptions options)
    : main_loop_(main_loop) {
  options.workers = static_cast<uint32_t>(count);
  // All of them are there before the first connection is.
  options.post = [this](uint32_t index, std::function<void(Worker&)> call) {
    Worker* worker = workers_[index].get();
    worker->loop().Post([worker, call = std::move(call)] { call(*worker); });
  };
  for (size_t i = 0; i < count; ++i) {
    options.first = i == 0;
    options.index = static_cast<uint32_t>(i);
    access_logs_.push_back(std::make_unique<AccessLog>());
    workers_.push_back(std::make_unique<Worker>(options, access_logs_.back().get()));
    threads_.emplace_back([worker = workers_.back().get()] { worker->loop().Run(); });
    pthread_setname_np(threads_.back().native_handle(), "worker");
  }
}

Workers::~Workers() {
  for (auto& worker : workers_) worker->loop().Stop();
  for (std::thread& thread : threads_) thread.join();
}

Task<> Workers::OnEach(std::function<void(Worker&, size_t)> call) {
  auto gathering = std::make_shared<Gathering>();
  gathering->left = workers_.size();
  auto shared_call = std::make_shared<std::function<void(Worker&, size_t)>>(std::move(call));
  EventLoop* main_loop = &main_loop_;
  for (size_t i = 0; i < workers_.size(); ++i) {
    Worker* worker = workers_[i].get();
    worker->loop().Post([worker, i, shared_call, gathering, main_loop] {
      (*shared_call)(*worker, i);
      main_loop->Post([gathering] {
        if (--gathering->left == 0) gathering->done.Notify();
      });
    });
  }
  while (gathering->left > 0) co_await Wait(main_loop_, {&gathering->done});
}

Task<absl::Status> Workers::Adopt(std::shared_ptr<const Snapshot> snapshot) {
  auto statuses = std::make_shared<std::vector<absl::Status>>(workers_.size());
  std::function<void(Worker&, size_t)> adopt = [snapshot, statuses](Worker& worker, size_t index) {
    (*statuses)[index] = worker.Adopt(snapshot);
  };
  co_await OnEach(std::move(adopt));
  for (const absl::Status& status : *statuses) {
    if (!status.ok()) co_return status;
  }
  co_return absl::OkStatus();
}

Task<Counters> Workers::CollectCounters() {
  auto copies = std::make_shared<std::vector<Counters>>(workers_.size());
  std::function<void(Worker&, size_t)> copy_counters = [copies](Worker& worker, size_t index) {
    (*copies)[index] = worker.CollectCounters();
  };
  co_await OnEach(std::move(copy_counters));
  Counters sum;
  for (const Counters& copy : *copies) sum.Add(copy);
  co_return sum;
}

Task<> Workers::ResetCounters() {
  std::function<void(Worker&, size_t)> reset = [](Worker& worker, size_t) {
    worker.ResetCounters();
  };
  co_await OnEach(std::move(reset));
}

Task<Workers::ActiveByEndpoint> Workers::CollectActive() {
  auto copies = std::make_shared<std::vector<ActiveByEndpoint>>(workers_.size());
  std::function<void(Worker&, size_t)> copy_active = [copies](Worker& worker, size_t index) {
    (*copies)[index] = worker.ActiveByEndpoint();
  };
  co_await OnEach(std::move(copy_active));
  ActiveByEndpoint sum;
  for (const ActiveByEndpoint& copy : *copies) {
    for (const auto& [cluster, endpoints] : copy) {
      for (const auto& [key, active] : endpoints) sum[cluster][key] += active;
    }
  }
  co_return sum;
}

Task<size_t> Workers::CountConnections() {
  auto counts = std::make_shared<std::vector<size_t>>(workers_.size());
  std::function<void(Worker&, size_t)> count = [counts](Worker& worker, size_t index) {
    (*counts)[index] = worker.connections();
  };
  co_await OnEach(std::move(count));
  size_t sum = 0;
  for (const size_t count : *counts) sum += count;
  co_return sum;
}

void Workers::StartDrain(const DrainOrder& order) {
  for (auto& worker : workers_) {
    Worker* started = worker.get();
    started->loop().Post([started, order] { started->StartDrain(order); });
  }
}

void Workers::SetHealthy(bool healthy) {
  for (auto& worker : workers_) {
    Worker* told = worker.get();
    told->loop().Post([told, healthy] { told->SetHealthy(healthy); });
  }
}

void Workers::SetOverload(const Overload& overload) {
  for (auto& worker : workers_) {
    Worker* told = worker.get();
    told->loop().Post([told, overload] { told->SetOverload(overload); });
  }
}

}  // namespace weft
