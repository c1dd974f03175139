#include "proxy/stream/h1_writer.h"

#include <algorithm>
#include <array>

#include "proxy/http/h1_encoder.h"

namespace weft {

void H1Writer::Begin(BodyFraming framing) {
  framing_ = framing;
  chunk_left_ = 0;
  ended_ = framing == BodyFraming::kNone;
}

size_t H1Writer::Write(absl::string_view piece) {
  if (broke_ || piece.empty()) return 0;
  if (Copy(piece)) return piece.size();
  bool progress = true;
  size_t taken = 0;
  while (taken == 0 && progress) taken = Gather(piece, &progress);
  return taken;
}

bool H1Writer::Copy(absl::string_view piece) {
  if (chunk_left_ > 0 || piece.size() > kMostCopied) return false;
  if (queue_.size() + piece.size() > kMostQueued) return false;
  if (framing_ == BodyFraming::kChunked) {
    AppendChunk(piece, queue_);
  } else {
    queue_.Append(piece);
  }
  return true;
}

size_t H1Writer::Gather(absl::string_view piece, bool* progress) {
  const bool chunked = framing_ == BodyFraming::kChunked;
  if (chunked && chunk_left_ == 0) {
    queue_.Append(ChunkPrefix(piece.size()).view());
    chunk_left_ = piece.size();
  }
  if (chunked) piece = piece.substr(0, chunk_left_);
  const bool chunk_ends = chunked && piece.size() == chunk_left_;
  const std::array<absl::string_view, 3> parts = {queue_.view(), piece,
                                                  chunk_ends ? kChunkSuffix : absl::string_view()};
  const IoResult sent = stream_.Write(parts);
  broke_ = broke_ || sent.status == IoStatus::kError;
  *progress = sent.ok();
  if (!sent.ok()) return 0;
  const size_t of_queue = std::min(sent.bytes, queue_.size());
  const size_t of_piece = std::min(sent.bytes - of_queue, piece.size());
  queue_.Consume(of_queue);
  if (chunked) {
    chunk_left_ -= of_piece;
    if (chunk_left_ == 0) queue_.Append(kChunkSuffix.substr(sent.bytes - of_queue - of_piece));
  }
  return of_piece;
}

void H1Writer::WriteEnd(const Headers& trailers) {
  if (ended_) return;
  ended_ = true;
  if (framing_ == BodyFraming::kChunked) AppendLastChunk(trailers, queue_);
}

HttpStream::Flushed H1Writer::Flush() {
  if (broke_) return HttpStream::Flushed::kBroken;
  while (!queue_.empty()) {
    const IoResult sent = stream_.Write(queue_.view());
    if (sent.status == IoStatus::kBlocked) return HttpStream::Flushed::kBlocked;
    if (!sent.ok()) {
      broke_ = true;
      return HttpStream::Flushed::kBroken;
    }
    queue_.Consume(sent.bytes);
  }
  if (ended_ && framing_ == BodyFraming::kTunnel) stream_.CloseWrite();
  return HttpStream::Flushed::kDone;
}

}  // namespace weft
