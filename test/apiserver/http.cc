#include "test/apiserver/http.h"

#include <zlib.h>

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/http/h1_encoder.h"
#include "proxy/net/write_all.h"

namespace weft::apiserver {
namespace {

using Event = H1Decoder::Event;

constexpr absl::Duration kIdle = absl::Minutes(10);
constexpr absl::Duration kWriteTimeout = absl::Minutes(2);
// Kubernetes takes 3 MiB.
constexpr size_t kMaxBody = 3 << 20;
// What is smaller is sent as it is; of kube-apiserver.
constexpr size_t kGzipFrom = 128 * 1024;
constexpr size_t kPiece = 256 * 1024;

std::string Gzip(absl::string_view text) {
  z_stream stream = {};
  // 15 bits of window, and 16 for gzip's own head.
  if (deflateInit2(&stream, Z_BEST_SPEED, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
    return "";
  }
  std::string packed(deflateBound(&stream, text.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(packed.data());
  stream.avail_out = static_cast<uInt>(packed.size());
  const bool done = deflate(&stream, Z_FINISH) == Z_STREAM_END;
  packed.resize(done ? stream.total_out : 0);
  deflateEnd(&stream);
  return packed;
}

std::string FieldOf(const RequestHead& head, absl::string_view name) {
  return std::string(head.headers.Get(name).value_or(""));
}

void Fill(const RequestHead& head, Request& request, std::string& authorization) {
  request = Request();
  request.method = head.method;
  ReadTarget(head.path, request);
  for (absl::string_view accept : head.headers.GetAll("Accept")) {
    absl::StrAppend(&request.accept, request.accept.empty() ? "" : ",", accept);
  }
  const std::string type = FieldOf(head, "Content-Type");
  request.content_type = type.substr(0, type.find(';'));
  request.user_agent = FieldOf(head, "User-Agent");
  request.accepts_gzip = absl::StrContains(FieldOf(head, "Accept-Encoding"), "gzip");
  authorization = FieldOf(head, "Authorization");
}

}  // namespace

Task<Event> RequestReader::NextEvent() {
  const MonotonicTime deadline = loop_.Now() + kIdle;
  while (true) {
    const Event event = decoder_.Next(in_);
    if (event != Event::kNeedMore) co_return event;
    const IoResult got = stream_.Read(in_, Buffer::kLargeBlockSize);
    if (got.status == IoStatus::kEof) decoder_.OnEof();
    if (got.status == IoStatus::kError) co_return Event::kClosed;
    if (got.status != IoStatus::kBlocked) continue;
    const bool notified = co_await Wait(loop_, {&stream_.readable()}, deadline);
    if (!notified) co_return Event::kClosed;
  }
}

Task<bool> RequestReader::Next(Request& request, std::string& authorization) {
  if (begun_) decoder_.NextMessage();
  begun_ = true;
  Event event = co_await NextEvent();
  if (event != Event::kHead) co_return false;
  Fill(decoder_.request(), request, authorization);
  if (decoder_.expects_continue()) {
    Buffer go_on;
    go_on.Append("HTTP/1.1 100 Continue\r\n\r\n");
    const bool sent = co_await WriteAll(loop_, stream_, go_on, loop_.Now() + kWriteTimeout);
    if (!sent) co_return false;
  }
  while (true) {
    event = co_await NextEvent();
    if (event == Event::kEnd) co_return true;
    if (event != Event::kBody) co_return false;
    const size_t size = decoder_.body_size();
    request.body.append(in_.data(), size);
    in_.Consume(size);
    decoder_.BodyTaken(size);
    if (request.body.size() > kMaxBody) co_return false;
  }
}

bool RequestReader::Gone() {
  while (true) {
    const IoResult got = stream_.Read(in_, Buffer::kBlockSize);
    if (got.status == IoStatus::kBlocked) return false;
    if (!got.ok()) return true;
  }
}

void ResponseWriter::AppendHead(const Response& response, BodyLength length, bool gzip) {
  ResponseHead head;
  head.status = response.code;
  head.reason = std::string(ReasonPhrase(response.code));
  head.headers.Add("Content-Type", response.type);
  head.headers.Add("Cache-Control", "no-cache, private");
  if (gzip) head.headers.Add("Content-Encoding", "gzip");
  if (response.retry_after > 0) {
    head.headers.Add("Retry-After", absl::StrCat(response.retry_after));
  }
  for (const std::string& warning : response.warnings) {
    std::string text = warning;
    std::replace_if(text.begin(), text.end(), [](char c) { return c < ' ' || c == '"'; }, ' ');
    head.headers.Add("Warning", absl::StrCat("299 - \"", text, "\""));
  }
  code_ = response.code;
  AppendResponseHead(head, length, out_, keep_alive_ ? "" : "close");
}

Task<bool> ResponseWriter::Flush() {
  co_return co_await WriteAll(loop_, stream_, out_, loop_.Now() + kWriteTimeout);
}

Task<bool> ResponseWriter::Body(absl::string_view text, bool chunked) {
  while (!text.empty()) {
    size_t piece = std::min(text.size(), kPiece);
    if (!sizes_.empty()) piece = std::min(piece, sizes_[next_size_++ % sizes_.size()]);
    if (cut_after_.has_value()) {
      if (*cut_after_ == 0) {
        (void)co_await Flush();
        stream_.ResetOnClose();
        co_return false;
      }
      piece = std::min(piece, *cut_after_);
      *cut_after_ -= piece;
    }
    if (chunked) {
      AppendChunk(text.substr(0, piece), out_);
    } else {
      out_.Append(text.substr(0, piece));
    }
    text.remove_prefix(piece);
    if (sizes_.empty() && out_.size() < kPiece) continue;
    const bool sent = co_await Flush();
    if (!sent) co_return false;
    // A turn of the loop between, so that pieces leave apart.
    if (!sizes_.empty()) co_await Sleep(loop_, absl::ZeroDuration());
  }
  co_return true;
}

Task<bool> ResponseWriter::Respond(const Response& response) {
  std::string packed;
  if (request_.accepts_gzip && response.body.size() >= kGzipFrom) packed = Gzip(response.body);
  const bool gzip = !packed.empty();
  const absl::string_view body = gzip ? packed : response.body;
  const bool chunked = !sizes_.empty();
  BodyLength length = {BodyFraming::kLength, body.size()};
  if (chunked) length = {BodyFraming::kChunked, 0};
  AppendHead(response, length, gzip);
  if (request_.method == "HEAD") co_return co_await Flush();
  const bool written = co_await Body(body, chunked);
  if (!written) co_return false;
  if (chunked) out_.Append(kLastChunk);
  co_return co_await Flush();
}

Task<bool> ResponseWriter::Begin() {
  const Response empty;
  AppendHead(empty, {BodyFraming::kChunked, 0}, false);
  co_return co_await Flush();
}

Task<bool> ResponseWriter::Send(absl::string_view text) {
  const bool written = co_await Body(text, true);
  if (!written) co_return false;
  co_return co_await Flush();
}

Task<bool> ResponseWriter::End() {
  out_.Append(kLastChunk);
  co_return co_await Flush();
}

}  // namespace weft::apiserver
