#include "proxy/upstream/tunnel_stream.h"

#include <algorithm>
#include <utility>

namespace weft {

TunnelStream::TunnelStream(std::unique_ptr<HttpStream> stream, const Address& local,
                           const Address& peer)
    : stream_(std::move(stream)), local_(local), peer_(peer) {}

TunnelStream::~TunnelStream() {
  if (reset_) stream_->Abort();
}

IoResult TunnelStream::Read(Buffer& into, size_t at_most) {
  switch (stream_->Next()) {
    case HttpStream::Event::kBody: {
      const size_t bytes = std::min(stream_->body().size(), at_most);
      into.Append(stream_->body().substr(0, bytes));
      stream_->Take(bytes);
      return {IoStatus::kOk, bytes};
    }
    case HttpStream::Event::kEnd:
      return {IoStatus::kEof};
    case HttpStream::Event::kBlocked:
    case HttpStream::Event::kHead:  // it was taken before
      return {IoStatus::kBlocked};
    case HttpStream::Event::kBroken:
      break;
  }
  return {IoStatus::kError};
}

IoResult TunnelStream::Write(absl::Span<const absl::string_view> parts) {
  size_t written = 0;
  for (const absl::string_view part : parts) {
    const size_t taken = stream_->Write(part);
    written += taken;
    if (taken < part.size()) break;
  }
  if (stream_->Flush() == HttpStream::Flushed::kBroken) return {IoStatus::kError};
  return written > 0 ? IoResult{IoStatus::kOk, written} : IoResult{IoStatus::kBlocked};
}

void TunnelStream::CloseWrite() {
  if (std::exchange(closed_, true)) return;
  stream_->WriteEnd(Headers());
  stream_->Flush();
}

std::string TunnelStream::error() const {
  const StreamFailure& failure = stream_->failure();
  return failure.kind == StreamFailure::Kind::kNone ? "" : failure.reason;
}

RawStream::RawStream(ByteStream& bytes, std::string pod) : bytes_(bytes) {
  response_.status = 200;
  if (!pod.empty()) response_.headers.Add("x-weft-pod", std::move(pod));
}

BodyLength RawStream::incoming() const {
  BodyLength length;
  length.framing = BodyFraming::kTunnel;
  return length;
}

HttpStream::Event RawStream::Next() {
  if (!std::exchange(accepted_, true)) return Event::kHead;
  if (!in_.empty()) return Event::kBody;
  if (broken_) return Event::kBroken;
  if (ended_) return Event::kEnd;
  switch (bytes_.Read(in_, Buffer::kBlockSize).status) {
    case IoStatus::kOk:
      return Event::kBody;
    case IoStatus::kBlocked:
      return Event::kBlocked;
    case IoStatus::kEof:
      ended_ = true;
      return Event::kEnd;
    case IoStatus::kError:
      break;
  }
  broken_ = true;
  failure_ = {StreamFailure::Kind::kReset, 0, "tunnel_reset"};
  return Event::kBroken;
}

size_t RawStream::Write(absl::string_view piece) {
  const IoResult result = bytes_.Write(piece);
  if (result.status == IoStatus::kError) broken_ = true;
  return result.ok() ? result.bytes : 0;
}

}  // namespace weft
