#include "controlplane/sources/http_get.h"

#include "absl/strings/str_cat.h"
#include "proxy/base/buffer.h"
#include "proxy/http/h1_decoder.h"
#include "proxy/http/h1_encoder.h"
#include "proxy/net/write_all.h"

namespace weft {
namespace {

absl::Status Broken(absl::string_view why) { return absl::UnavailableError(why); }

Buffer Encode(const HttpGetRequest& request) {
  RequestHead head;
  head.method = "GET";
  head.authority = request.authority;
  head.path = request.path;
  head.headers.Add("accept", "application/json");
  head.headers.Add(KnownHeader::kConnection, "close");
  head.headers.Add(KnownHeader::kUserAgent, "weftd");
  Buffer out;
  AppendRequestHead(head, BodyLength(), out);
  return out;
}

// An answer as it comes in.
class Answer {
 public:
  explicit Answer(size_t max_bytes) : max_bytes_(max_bytes) { decoder_.ExpectResponse("GET"); }

  Buffer& in() { return in_; }
  void OnEof() { decoder_.OnEof(); }
  std::string TakeBody() { return std::move(body_); }

  // Takes what has come. True once the body is complete.
  absl::StatusOr<bool> Advance() {
    while (true) {
      switch (decoder_.Next(in_)) {
        case H1Decoder::Event::kNeedMore:
          return false;
        case H1Decoder::Event::kHead:
          if (const int status = decoder_.response().status; status >= 200 && status != 200) {
            return Broken(absl::StrCat("answered with status ", status));
          }
          break;
        case H1Decoder::Event::kBody: {
          const size_t bytes = decoder_.body_size();
          if (body_.size() + bytes > max_bytes_) {
            return Broken(absl::StrCat("the answer is larger than ", max_bytes_, " bytes"));
          }
          body_.append(in_.data(), bytes);
          in_.Consume(bytes);
          decoder_.BodyTaken(bytes);
          break;
        }
        case H1Decoder::Event::kEnd:
          return true;
        case H1Decoder::Event::kClosed:
          return Broken("closed without an answer");
        case H1Decoder::Event::kError:
          return Broken("the answer is malformed");
      }
    }
  }

 private:
  const size_t max_bytes_;
  H1Decoder decoder_{H1Decoder::Role::kResponses};
  Buffer in_;
  std::string body_;
};

}  // namespace

Task<absl::StatusOr<std::string>> HttpGet(EventLoop& loop, ByteStream& stream,
                                          HttpGetRequest request, MonotonicTime deadline) {
  Buffer out = Encode(request);
  const bool sent = co_await WriteAll(loop, stream, out, deadline);
  if (!sent) co_return Broken("the request was not taken");
  Answer answer(request.max_bytes);
  while (true) {
    const IoResult got = stream.Read(answer.in(), Buffer::kBlockSize);
    if (got.status == IoStatus::kError) co_return Broken(stream.error());
    if (got.status == IoStatus::kBlocked) {
      const bool notified = co_await Wait(loop, {&stream.readable()}, deadline);
      if (!notified) co_return absl::DeadlineExceededError("timed out");
      continue;
    }
    if (got.status == IoStatus::kEof) answer.OnEof();
    const absl::StatusOr<bool> complete = answer.Advance();
    if (!complete.ok()) co_return complete.status();
    if (*complete) co_return answer.TakeBody();
    if (got.status == IoStatus::kEof) co_return Broken("the answer is cut short");
    // A peer that never lets us wait is not to take longer either.
    if (loop.Now() >= deadline) co_return absl::DeadlineExceededError("timed out");
  }
}

}  // namespace weft
