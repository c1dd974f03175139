#include "proxy/stream/h1_stream.h"

namespace weft {

using Event = HttpStream::Event;

Event H1Stream::Fail(StreamFailure::Kind kind, int status, const char* reason) {
  failure_ = {kind, status, reason};
  return Event::kBroken;
}

IoStatus H1Stream::Read() {
  const IoResult got = stream_.Read(in_, Buffer::kLargeBlockSize);
  if (got.ok()) heard_ = true;
  if (got.status == IoStatus::kEof) {
    eof_ = true;
    decoder_.OnEof();
  }
  return got.status;
}

Event H1Stream::Next() {
  if (failure_.kind != StreamFailure::Kind::kNone) return Event::kBroken;
  if (tunnel_) return NextOfTunnel();
  while (true) {
    switch (decoder_.Next(in_)) {
      case H1Decoder::Event::kHead:
        if (decoder_.tunnel()) OpenTunnel();
        return Event::kHead;
      case H1Decoder::Event::kBody:
        return Event::kBody;
      case H1Decoder::Event::kEnd:
        return Event::kEnd;
      case H1Decoder::Event::kClosed:
        return Fail(StreamFailure::Kind::kReset, 0, "connection termination");
      case H1Decoder::Event::kError:
        return Fail(StreamFailure::Kind::kProtocol, decoder_.error().status,
                    decoder_.error().reason);
      case H1Decoder::Event::kNeedMore:
        break;
    }
    const IoStatus read = Read();
    if (read == IoStatus::kBlocked) return Event::kBlocked;
    if (read == IoStatus::kError) {
      return Fail(StreamFailure::Kind::kReset, 0, "connection termination");
    }
  }
}

Event H1Stream::NextOfTunnel() {
  if (!in_.empty()) return Event::kBody;
  if (eof_) return Event::kEnd;
  switch (Read()) {
    case IoStatus::kOk:
      return Event::kBody;
    case IoStatus::kEof:
      return Event::kEnd;
    case IoStatus::kBlocked:
      return Event::kBlocked;
    case IoStatus::kError:
      break;
  }
  return Fail(StreamFailure::Kind::kReset, 0, "connection termination");
}

absl::string_view H1Stream::body() const {
  return tunnel_ ? in_.view() : in_.view().substr(0, decoder_.body_size());
}

void H1Stream::Take(size_t bytes) {
  in_.Consume(bytes);
  if (!tunnel_) decoder_.BodyTaken(bytes);
}

bool H1Stream::PeerGone() {
  if (in_.size() >= kMostHeld) return false;
  const IoStatus read = Read();
  return read == IoStatus::kEof || read == IoStatus::kError;
}

void H1Stream::Abort() {
  aborted_ = true;
  stream_.ResetOnClose();
}

void H1Stream::OpenTunnel() {
  tunnel_ = true;
  writer_.Begin(BodyFraming::kTunnel);
}

bool H1Stream::MessagesEnded() {
  return !tunnel_ && !aborted_ && failure_.kind == StreamFailure::Kind::kNone && writer_.ended() &&
         decoder_.Next(in_) == H1Decoder::Event::kEnd;
}

void H1Stream::Restart() {
  decoder_.NextMessage();
  heard_ = !in_.empty();
}

}  // namespace weft
