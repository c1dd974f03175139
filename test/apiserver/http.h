// The server's HTTP/1.1: requests out of a connection, and answers into it, whole or as a stream.
#ifndef WEFT_TEST_APISERVER_HTTP_H_
#define WEFT_TEST_APISERVER_HTTP_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proxy/base/buffer.h"
#include "proxy/http/h1_decoder.h"
#include "proxy/net/byte_stream.h"
#include "proxy/runtime/task.h"
#include "test/apiserver/request.h"

namespace weft::apiserver {

// The requests of one connection, one after the other.
class RequestReader {
 public:
  RequestReader(EventLoop& loop, ByteStream& stream)
      : loop_(loop), stream_(stream), decoder_(H1Decoder::Role::kRequests) {}

  // False when there will be none any more.
  Task<bool> Next(Request& request, std::string& authorization);
  bool keep_alive() const { return decoder_.keep_alive(); }
  // Whether the client has gone, as far as can be told without waiting. What it sent ahead is kept.
  bool Gone();

 private:
  Task<H1Decoder::Event> NextEvent();

  EventLoop& loop_;
  ByteStream& stream_;
  H1Decoder decoder_;
  Buffer in_;
  bool begun_ = false;
};

// The answer to one request. Every call is false once the connection is of no more use.
class ResponseWriter {
 public:
  ResponseWriter(EventLoop& loop, ByteStream& stream, const Request& request, bool keep_alive)
      : loop_(loop), stream_(stream), request_(request), keep_alive_(keep_alive) {}

  // What the answer suffers: it is cut after so many further bytes of its body; it is sent in
  // pieces of these sizes, over and over.
  void CutAfter(size_t bytes) { cut_after_ = bytes; }
  void SplitInto(std::vector<size_t> sizes) { sizes_ = std::move(sizes); }

  Task<bool> Respond(const Response& response);
  // A stream of JSON lines: Begin, Send any number of times, End.
  Task<bool> Begin();
  Task<bool> Send(absl::string_view text);
  Task<bool> End();
  int code() const { return code_; }  // answered so far; 0: nothing

 private:
  Task<bool> Body(absl::string_view text, bool chunked);
  Task<bool> Flush();
  void AppendHead(const Response& response, BodyLength length, bool gzip);

  EventLoop& loop_;
  ByteStream& stream_;
  const Request& request_;
  const bool keep_alive_;
  std::optional<size_t> cut_after_;
  std::vector<size_t> sizes_;
  size_t next_size_ = 0;
  int code_ = 0;
  Buffer out_;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_HTTP_H_
