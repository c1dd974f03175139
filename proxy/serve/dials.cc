#include "proxy/serve/dials.h"

#include <algorithm>
#include <set>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "proxy/base/log.h"
#include "proxy/net/tcp.h"
#include "proxy/serve/connection.h"
#include "proxy/serve/worker.h"
#include "proxy/tls/tls_stream.h"

namespace weft {

// What was dialed, as the task that serves it and the Dial both know it; either may end first.
struct Dialed {
  Downstream downstream;
  std::shared_ptr<const ClientTlsContext> tls;
  bool over = false;
};

namespace {

constexpr absl::Duration kDialTimeout = absl::Seconds(5);
constexpr absl::Duration kBackoffFirst = absl::Milliseconds(100);
constexpr absl::Duration kBackoffMost = absl::Seconds(5);
// One that lasted as long was a good one: the next attempt need not wait long.
constexpr absl::Duration kGood = absl::Seconds(10);
// How long a new connection and the one before it are there together. The gateway may refuse our
// certificate after the handshake is over for us (TLS 1.3), and has to have the new one in use
// before it hears that the old one is not to be used.
constexpr absl::Duration kOverlap = absl::Seconds(1);

Task<> ServeDialed(Worker& worker, std::shared_ptr<Dialed> dialed) {
  struct End {
    ~End() {
      dialed.over = true;
      dialed.downstream.Leave();
    }
    Dialed& dialed;
  };
  Downstream& downstream = dialed->downstream;
  const End end{*dialed};
  ListenerCounters& counters = worker.ListenerOf(downstream.listener->name);
  const Worker::Live live(worker, downstream);
  const ActiveCount active(counters.downstream_cx_total, counters.downstream_cx_active);
  co_await ServeByChain(worker, downstream, counters);
  // Who keeps it learns of its end later.
  downstream.tls = nullptr;
  downstream.socket = nullptr;
  downstream.stream = nullptr;
}

}  // namespace

Dial::Dial(Worker& worker, std::string listener, Address gateway, size_t index)
    : worker_(worker), listener_(std::move(listener)), gateway_(std::move(gateway)), index_(index) {
  keeping_.Spawn(Keep());
}

Dial::~Dial() {
  keeping_.Cancel();
  Retire(current_);
  Retire(previous_);
}

std::shared_ptr<const ListenerConfig> Dial::Listener() const {
  const auto& listeners = worker_.config()->listeners;
  const auto found = listeners.find(listener_);
  if (found == listeners.end() || found->second->dial == nullptr) return nullptr;
  return index_ < found->second->dial->tls.size() ? found->second : nullptr;
}

void Dial::Retire(Made& made) {
  if (made != nullptr && !made->over) worker_.Retire(made->downstream);
  made.reset();
}

void Dial::CutUnlessTrusted(const Made& made, const DialConfig& dial) {
  if (made == nullptr || made->over || made->tls == dial.tls[index_]) return;
  if (!made->downstream.tls->StillTrustedBy(*dial.tls[index_])) worker_.Cut(made->downstream);
}

void Dial::Review() {
  if (const auto listener = Listener()) {
    CutUnlessTrusted(current_, *listener->dial);
    CutUnlessTrusted(previous_, *listener->dial);
  }
  changed_.Notify();
}

bool Dial::Due() const {
  if (current_ == nullptr || current_->downstream.leaving) return true;
  const auto listener = Listener();
  return listener != nullptr &&
         (listener->dial->tls[index_] != current_->tls ||
          listener->chains.front().fingerprint != current_->downstream.chain->fingerprint);
}

void Dial::Tell(const absl::Status& status) {
  if (status.message() == told_) return;
  told_ = std::string(status.message());
  if (status.ok()) return;
  Log(LogLevel::kWarning, "dial_failed",
      {{"listener", listener_}, {"gateway", gateway_.ToString()}, {"reason", told_}});
}

Task<> Dial::Keep() {
  absl::Duration backoff = kBackoffFirst;
  while (true) {
    const MonotonicTime begun = worker_.loop().Now();
    if (auto listener = Listener()) {
      absl::StatusOr<Made> made = co_await Make(std::move(listener));
      Tell(made.status());
      if (made.ok()) {
        co_await Hold(*std::move(made));
      } else {
        ++worker_.ListenerOf(listener_).dial_fail;
      }
    }
    if (worker_.loop().Now() - begun >= kGood) backoff = kBackoffFirst;
    // In its upper half at random, so that a gateway that comes back is not dialed by all at once.
    co_await Sleep(worker_.loop(), backoff * absl::Uniform<double>(worker_.random(), 0.5, 1.0));
    backoff = std::min(backoff * 2, kBackoffMost);
  }
}

Task<absl::StatusOr<Dial::Made>> Dial::Make(std::shared_ptr<const ListenerConfig> listener) {
  ConnectOptions options;
  options.mark = worker_.options().mark;
  options.deadline = worker_.loop().Now() + kDialTimeout;
  auto connected = co_await Connect(worker_.loop(), gateway_, options);
  if (!connected.ok()) co_return connected.status();
  auto made = std::make_shared<Dialed>();
  made->tls = listener->dial->tls[index_];
  Downstream& downstream = made->downstream;
  downstream.socket = connected->get();
  auto secured = co_await TlsStream::Connect(worker_.loop(), *std::move(connected), made->tls,
                                             options.deadline);
  if (!secured.ok()) {
    co_return absl::Status(secured.status().code(), absl::StrCat("TLS with ", gateway_.ToString(),
                                                                 ": ", secured.status().message()));
  }
  if ((*secured)->alpn() != DialConfig::kAlpn) {
    co_return absl::FailedPreconditionError(
        absl::StrCat(gateway_.ToString(), " does not speak ", DialConfig::kAlpn));
  }
  TakeSecured(downstream, *std::move(secured));
  downstream.direct_peer = downstream.stream->peer_address();
  downstream.destination = downstream.stream->local_address();
  downstream.meant_for_us = true;
  downstream.listener = std::move(listener);
  downstream.chain = &downstream.listener->chains.front();
  co_return made;
}

// Has it served, until another one is to be dialed.
Task<> Dial::Hold(Made made) {
  previous_ = std::exchange(current_, std::move(made));
  worker_.SpawnConnection(ServeDialed(worker_, current_));
  if (previous_ != nullptr && !previous_->over) {
    const MonotonicTime proven = worker_.loop().Now() + kOverlap;
    while (worker_.loop().Now() < proven && !current_->downstream.leaving) {
      co_await Wait(worker_.loop(), {&current_->downstream.left}, proven);
    }
    const bool better = current_->downstream.leaving && !previous_->downstream.leaving;
    if (better) std::swap(current_, previous_);
  }
  Retire(previous_);
  while (!Due()) {
    co_await Wait(worker_.loop(), {&changed_, &current_->downstream.left});
  }
}

void Dials::Follow(absl::FunctionRef<bool(const ListenerConfig&)> dials) {
  std::set<std::string> wanted;
  const WorkerOptions& options = worker_.options();
  for (const auto& [name, listener] : worker_.config()->listeners) {
    if (listener->dial == nullptr || !dials(*listener)) continue;
    for (const Address& gateway : listener->dial->gateways) {
      for (size_t i = options.index; i < listener->dial->tls.size(); i += options.workers) {
        std::string key = absl::StrCat(name, " ", gateway.ToString(), " ", i);
        if (!wanted.insert(key).second) continue;
        std::unique_ptr<Dial>& dial = dials_[std::move(key)];
        if (dial != nullptr) {
          dial->Review();
        } else {
          dial = std::make_unique<Dial>(worker_, name, gateway, i);
        }
      }
    }
  }
  std::erase_if(dials_, [&](const auto& one) { return !wanted.contains(one.first); });
}

}  // namespace weft
