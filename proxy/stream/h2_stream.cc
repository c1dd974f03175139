#include "proxy/stream/h2_stream.h"

#include "proxy/stream/h2_connection.h"

namespace weft {
namespace {

StreamFailure::Kind KindOf(H2Failure::Kind kind) {
  switch (kind) {
    case H2Failure::Kind::kNone:
      return StreamFailure::Kind::kNone;
    case H2Failure::Kind::kReset:
      return StreamFailure::Kind::kReset;
    case H2Failure::Kind::kRefused:
      return StreamFailure::Kind::kRefused;
    case H2Failure::Kind::kProtocol:
      return StreamFailure::Kind::kProtocol;
  }
  return StreamFailure::Kind::kNone;
}

}  // namespace

H2Stream::H2Stream(H2Connection* connection, H2StreamState* state)
    : connection_(connection), state_(state) {
  state_->holder = this;
}

H2Stream::~H2Stream() {
  if (gone()) {
    H2Session::Discard(state_);
    return;
  }
  connection_->session_.Release(*state_);
  connection_->OnReleased();
}

// The connection went; the state stays, with what had come before.
void H2Stream::OnConnectionGone() {
  connection_ = nullptr;
  OnNews();
}

void H2Stream::OnNews() {
  readable_.Notify();
  writable_.Notify();
}

void H2Stream::NoteFailure() {
  failure_ = {KindOf(state_->failure.kind), state_->failure.status, state_->failure.reason};
}

HttpStream::Event H2Stream::Next() {
  if (ended_) return Event::kEnd;
  if (!state_->failure.ok()) {
    NoteFailure();
    return Event::kBroken;
  }
  if (heads_given_ < state_->interim.size()) {
    ++heads_given_;
    return Event::kHead;
  }
  if (!final_head_given_) {
    if (!state_->head_done) return Event::kBlocked;
    final_head_given_ = true;
    return Event::kHead;
  }
  if (AwaitsTunnel()) return Event::kBlocked;
  if (!state_->in.empty()) return Event::kBody;
  ended_ = state_->in_ended;
  return ended_ ? Event::kEnd : Event::kBlocked;
}

// What follows a request for a tunnel is not looked at before that is accepted or refused.
bool H2Stream::AwaitsTunnel() const {
  const bool server = !state_->request.method.empty();
  return server && state_->incoming.framing == BodyFraming::kTunnel && !state_->answered;
}

ResponseHead& H2Stream::response() {
  if (final_head_given_ || heads_given_ == 0) return state_->response;
  return state_->interim[heads_given_ - 1];
}

void H2Stream::Take(size_t bytes) {
  if (gone()) return state_->in.Consume(bytes);
  connection_->session_.Take(*state_, bytes);
  connection_->WantWrite();  // a window may have opened
}

bool H2Stream::draining() const { return gone() || connection_->going_away(); }

bool H2Stream::PeerGone() {
  if (state_->failure.ok()) return false;
  NoteFailure();
  return true;
}

void H2Stream::WriteHead(const RequestHead& head, BodyLength body) {
  if (gone()) return;
  connection_->session_.WriteRequest(*state_, head, body);
  connection_->WantWrite();
}

void H2Stream::WriteHead(const ResponseHead& head, BodyLength body) {
  if (gone()) return;
  connection_->session_.WriteResponse(*state_, head, body);
  connection_->WantWrite();
}

size_t H2Stream::Write(absl::string_view piece) {
  if (gone()) return 0;
  const size_t taken = connection_->session_.Write(*state_, piece);
  if (taken > 0) connection_->WantWrite();
  return taken;
}

void H2Stream::WriteEnd(const Headers& trailers) {
  if (gone()) return;
  connection_->session_.WriteEnd(*state_, trailers);
  connection_->WantWrite();
}

HttpStream::Flushed H2Stream::Flush() {
  if (state_->end_sent) return Flushed::kDone;
  if (gone() || state_->closed || state_->reset_by_us) return Flushed::kBroken;
  if (connection_->write_blocked() && !state_->out.empty()) {
    state_->flushing = true;
    return Flushed::kBlocked;
  }
  return connection_->session_.Flush(*state_) ? Flushed::kDone : Flushed::kBlocked;
}

void H2Stream::Abort() {
  if (gone()) return;
  connection_->session_.Reset(*state_);
  connection_->WantWrite();
}

}  // namespace weft
