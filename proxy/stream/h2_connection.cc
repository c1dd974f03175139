#include "proxy/stream/h2_connection.h"

#include <utility>

namespace weft {

H2Connection::H2Connection(EventLoop& loop, ByteStream& bytes, Setup setup)
    : loop_(loop),
      bytes_(bytes),
      session_(setup.role, setup.options, setup.secure,
               setup.counters != nullptr ? setup.counters : &own_counters_),
      ping_interval_(setup.options.keepalive_interval),
      ping_timeout_(setup.options.keepalive_timeout),
      head_timeout_(setup.head_timeout),
      counters_(setup.counters != nullptr ? *setup.counters : own_counters_),
      in_(std::move(setup.already_read)),
      last_received_(loop.Now()) {
  tasks_.Spawn(WriteBytes());
  tasks_.Spawn(ReadBytes());
  if (ping_interval_ != absl::InfiniteDuration()) tasks_.Spawn(KeepAlive());
}

H2Connection::~H2Connection() {
  tasks_.Cancel();
  End("h2_connection_closed");
  session_.ForEachHeld([](H2StreamState& stream) {
    if (stream.holder != nullptr) static_cast<H2Stream*>(stream.holder)->OnConnectionGone();
  });
}

void H2Connection::WakeAll() {
  session_.ForEachHeld([](H2StreamState& stream) {
    if (stream.holder != nullptr) static_cast<H2Stream*>(stream.holder)->OnNews();
  });
}

std::unique_ptr<HttpStream> H2Connection::TakeRequest() {
  H2StreamState* stream = session_.TakeRequest();
  if (stream == nullptr) return nullptr;
  return std::make_unique<H2Stream>(this, stream);
}

std::unique_ptr<HttpStream> H2Connection::Open() {
  return std::make_unique<H2Stream>(this, session_.Open());
}

void H2Connection::Drain(absl::Duration at_most) {
  if (draining_ || ended_) return;
  draining_ = true;
  session_.Drain();
  WantWrite();
  if (at_most != absl::InfiniteDuration()) tasks_.Spawn(FinishDrain(at_most));
}

Task<> H2Connection::FinishDrain(absl::Duration wait) {
  co_await Sleep(loop_, wait);
  if (ended_) co_return;
  session_.FinishDrain();
  WantWrite();
}

// A stream that was given up may have left its slot, and news to send.
void H2Connection::OnReleased() {
  WantWrite();
  Announce();
}

// Wakes who waits for what has come. Nobody runs before this turn's events are through.
void H2Connection::Announce() {
  while (H2StreamState* stream = session_.TakeChanged()) {
    static_cast<H2Stream*>(stream->holder)->OnNews();
  }
  if (session_.has_requests()) arrived_.Notify();
  if (session_.TakeSlotsChanged()) changed_.Notify();
}

// `reason` is "" if all is in order, and if the session has one of its own.
void H2Connection::End(const char* reason) {
  if (ended_) return;
  ended_ = true;
  session_.Fail(reason);
  bytes_.CloseWrite();
  Announce();
  changed_.Notify();
}

// False if the connection is of no more use.
bool H2Connection::Give(absl::string_view bytes) {
  last_received_ = loop_.Now();
  received_.Notify();
  const bool alive = session_.Receive(bytes, last_received_);
  Announce();
  if (alive) WantWrite();
  return alive;
}

Task<> H2Connection::ReadBytes() {
  size_t taken = 0;   // since the other tasks ran
  uint64_t head = 0;  // that a wait found under way
  MonotonicTime head_end = kNever;
  bool alive = in_.empty() || Give(in_.view());
  in_.Clear();
  while (alive && !ended_) {
    const IoResult got = bytes_.Read(in_, Buffer::kBlockSize);
    switch (got.status) {
      case IoStatus::kOk:
        alive = Give(in_.view());
        in_.Clear();
        taken += got.bytes;
        if (taken < kGather) break;
        // A peer that never pauses must not have the loop for itself.
        co_await Sleep(loop_, absl::ZeroDuration());
        taken = 0;
        break;
      case IoStatus::kBlocked: {
        if (head != session_.head_under_way()) {
          head = session_.head_under_way();
          head_end = head != 0 ? loop_.Now() + head_timeout_ : kNever;
        }
        const bool in_time = co_await Wait(loop_, {&bytes_.readable()}, head_end);
        if (!in_time) co_return End(kHeadTimeout);
        taken = 0;
        break;
      }
      case IoStatus::kEof:
        End(session_.open_streams() == 0 ? "" : "h2_peer_closed");
        co_return;
      case IoStatus::kError:
        End("h2_connection_broke");
        co_return;
    }
  }
  if (ended_) co_return;
  // What is left says why (GOAWAY); whether the peer takes it is its own affair.
  session_.Fill(out_, kGather);
  if (!out_.empty()) bytes_.Write(out_.view());
  End("");
}

Task<> H2Connection::WriteBytes() {
  while (!ended_) {
    const bool alive = out_.size() >= kGather || session_.Fill(out_, kGather);
    Announce();
    if (out_.empty()) {
      if (!alive) co_return End("");
      co_await Wait(loop_, {&want_write_});
      continue;
    }
    const IoResult wrote = bytes_.Write(out_.view());
    if (wrote.ok()) {
      out_.Consume(wrote.bytes);
    } else if (wrote.status == IoStatus::kBlocked) {
      write_blocked_ = true;
      co_await Wait(loop_, {&bytes_.writable()});
      write_blocked_ = false;
    } else {
      End("h2_connection_broke");
    }
  }
}

Task<> H2Connection::KeepAlive() {
  while (!ended_) {
    co_await Sleep(loop_, ping_interval_);
    const MonotonicTime asked = loop_.Now();
    session_.Ping();
    WantWrite();
    while (last_received_ < asked && !ended_) {
      const bool in_time = co_await Wait(loop_, {&received_}, asked + ping_timeout_);
      if (in_time) continue;
      ++counters_.keepalive_timeout;
      End("h2_keepalive_timeout");
    }
  }
}

}  // namespace weft
