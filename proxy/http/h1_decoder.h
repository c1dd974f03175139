// H1Decoder: HTTP/1.x messages out of bytes (RFC 9112). It pulls: the caller reads into a Buffer
// and asks for the next event; nothing is called back, nothing is copied but the head.
//
//   for (;;) switch (decoder.Next(in)) {
//     case kNeedMore: read more into `in`;
//     case kHead:     look at decoder.request();
//     case kBody:     move decoder.body_size() bytes, or fewer, off the front of `in`, then
//                     decoder.BodyTaken(n);
//     case kEnd:      decoder.trailers(); then NextMessage() when the exchange is over;
//   }
//
// Between kEnd and NextMessage() no byte is looked at, so what follows a CONNECT or an Upgrade
// stays in the buffer until it is known what it is, and a pipelined request waits its turn.
//
// The same bytes give the same events however they are split (kBody pieces aside). Framing that two
// parsers could read differently is an error, never guessed at. After kError there is no next
// message: answer error().status (a client) or 502 (an upstream broke), and close.
//
// No sockets, no clock: deadlines are the caller's. Not thread-safe.
#ifndef WEFT_PROXY_HTTP_H1_DECODER_H_
#define WEFT_PROXY_HTTP_H1_DECODER_H_

#include <cstddef>
#include <cstdint>

#include "absl/strings/string_view.h"
#include "proxy/base/buffer.h"
#include "proxy/http/h1_lines.h"
#include "proxy/http/head.h"

namespace weft {

class H1Decoder {
 public:
  enum class Role : uint8_t { kRequests, kResponses };
  enum class Event : uint8_t {
    kNeedMore,
    kHead,    // request() or response(); a response with a status of 1xx but 101 is an interim one
              // and the next event is the next head
    kBody,    // body_size() bytes of the body are at the front of the buffer
    kEnd,     // the message is complete
    kClosed,  // the peer ended between messages
    kError,
  };

  // Empty lines tolerated before a request (RFC 9112, section 2.2).
  static constexpr int kMaxEmptyLines = 4;
  // A chunk's size with its extensions, and all extensions of one message: nobody uses them, and
  // each byte of body could drag kilobytes of them.
  static constexpr size_t kMaxChunkLine = 4 * 1024;
  static constexpr size_t kMaxChunkExtensions = 16 * 1024;
  static constexpr size_t kMaxTrailerBytes = 16 * 1024;
  // 1xx responses before the final one.
  static constexpr int kMaxInterimResponses = 16;

  explicit H1Decoder(Role role, HeadLimits limits = HeadLimits()) : role_(role), limits_(limits) {}

  Event Next(Buffer& in);
  // The peer ended its side; whether that was in order, the following Next() says.
  void OnEof() { eof_ = true; }

  // After kEnd: begins the next message. The head's memory is reused.
  void NextMessage();
  // Before the response's first byte: what was asked, which decides whether it has a body.
  void ExpectResponse(absl::string_view method, bool upgrade_requested = false);

  // From kHead until NextMessage(); the caller may change them.
  RequestHead& request() { return request_; }
  ResponseHead& response() { return response_; }
  // How the body is framed; with kLength, a body of 0 bytes was announced as such.
  BodyLength body() const { return body_; }
  // Whether the connection can be used after this message (RFC 9112, section 9.3).
  bool keep_alive() const { return keep_alive_; }
  // The client waits for 100 Continue before it sends the body.
  bool expects_continue() const { return expects_continue_; }
  // What follows kEnd is not HTTP: a response of 101, or of 2xx to CONNECT.
  bool tunnel() const { return tunnel_; }
  // No byte of the message has been seen, so that closing now loses nothing.
  bool at_start(const Buffer& in) const { return state_ == State::kStart && in.empty(); }

  size_t body_size() const { return body_size_; }
  // After the caller consumed `bytes` of the buffer; at most body_size().
  void BodyTaken(size_t bytes);

  // Those a recipient can trust to be harmless: framing, routing and credentials are left out.
  Headers& trailers() { return trailers_; }

  const H1Error& error() const { return error_; }

 private:
  enum class State : uint8_t {
    kStart,
    kStartLine,
    kFields,
    kInterim,
    kLengthBody,
    kChunkSize,
    kChunkData,
    kChunkEnd,
    kTrailers,
    kUntilClose,
    kEnd,
    kError,
  };

  Event Fail(H1Error error);
  Event NeedMore();
  void ClearHead();
  Event NextStart(Buffer& in);
  Event NextStartLine(Buffer& in);
  Event NextFields(Buffer& in);
  Event NextBody(Buffer& in, uint64_t at_most);
  Event NextChunkSize(Buffer& in);
  Event NextChunkEnd(Buffer& in);
  Event NextTrailers(Buffer& in);

  H1Error FinishRequestHead(absl::string_view block);
  H1Error FinishResponseHead();
  H1Error ReadChunkSize(absl::string_view line);
  Headers& headers() { return role_ == Role::kRequests ? request_.headers : response_.headers; }

  const Role role_;
  const HeadLimits limits_;
  State state_ = State::kStart;
  bool eof_ = false;
  bool keep_alive_ = true;
  bool expects_continue_ = false;
  bool tunnel_ = false;
  bool asked_head_ = false;
  bool asked_connect_ = false;
  bool asked_upgrade_ = false;
  int empty_lines_ = 0;
  int interim_responses_ = 0;
  size_t start_line_size_ = 0;
  size_t chunk_extensions_ = 0;
  size_t body_size_ = 0;
  uint64_t remaining_ = 0;  // of the body, or of the chunk
  BodyLength body_;
  LineFinder lines_;
  FieldLineParser fields_;
  H1Error error_;
  RequestHead request_;
  ResponseHead response_;
  Headers trailers_;
};

}  // namespace weft

#endif  // WEFT_PROXY_HTTP_H1_DECODER_H_
