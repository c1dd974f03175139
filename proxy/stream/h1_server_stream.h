// H1ServerStream: the client's side of HTTP/1: requests come in, responses go out. It lives as long
// as the client's connection, whose loop (serve/http_connection.cc) asks Next() for a head, has the
// request served, and calls NextRequest().
//
// It decides what a response's head has to say of the connection. A head with "Connection: close"
// (drain, a request that cannot be read to its end) makes the response the last one.
#ifndef WEFT_PROXY_STREAM_H1_SERVER_STREAM_H_
#define WEFT_PROXY_STREAM_H1_SERVER_STREAM_H_

#include <utility>

#include "absl/strings/match.h"
#include "proxy/stream/h1_stream.h"

namespace weft {

class H1ServerStream final : public H1Stream {
 public:
  explicit H1ServerStream(ByteStream& stream, HeadLimits limits = HeadLimits())
      : H1Stream(stream, H1Decoder::Role::kRequests, limits) {}

  Event Next() override;
  BodyLength incoming() const override { return incoming_; }
  // Interim responses do not go to HTTP/1.0; a body of unknown length is framed as the client's
  // version can.
  void WriteHead(const ResponseHead& head, BodyLength body) override;

  // --- For the connection's loop.
  // No byte of the next request has come.
  bool idle() const { return decoder_.at_start(in_); }
  // The exchange is over and the connection can carry another.
  bool Reusable() { return answered_ && !closing_ && MessagesEnded(); }
  void NextRequest();
  bool aborted() const { return aborted_; }
  // It was answered, but may still be sending, or has sent more than we are going to look at.
  bool HasMore();
  // What came first is how HTTP/2 begins (RFC 9113, section 3.4); TakeUnread() has it.
  bool AtHttp2Preface() const { return absl::StartsWith(in_.view(), "PRI * HTTP/2.0\r\n"); }
  Buffer TakeUnread() { return std::move(in_); }

 private:
  BodyLength Framed(const ResponseHead& head, BodyLength body) const;

  BodyLength incoming_;
  bool connect_ = false;
  bool asked_head_ = false;
  bool http10_ = false;
  bool answered_ = false;  // with more than an interim response
  bool closing_ = false;
};

}  // namespace weft

#endif  // WEFT_PROXY_STREAM_H1_SERVER_STREAM_H_
