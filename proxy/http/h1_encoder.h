// HTTP/1.1 messages into bytes: heads, chunks, and the replies the admin port makes.
//
// The framing fields are written from BodyLength alone, never from the Headers, so what a message
// says of its length is what the forwarder does. Call RemoveHopByHop (head.h) on what a peer sent,
// then add Connection and Upgrade as this connection needs them.
//
// Appends to a Buffer; pure.
#ifndef WEFT_PROXY_HTTP_H1_ENCODER_H_
#define WEFT_PROXY_HTTP_H1_ENCODER_H_

#include <cstddef>

#include "absl/strings/string_view.h"
#include "proxy/base/buffer.h"
#include "proxy/http/head.h"

namespace weft {

// In origin-form, Host first; authority-form for CONNECT.
void AppendRequestHead(const RequestHead& head, BodyLength body, Buffer& out);
// With BodyFraming::kNone a Content-Length among the headers stays: it answers HEAD, or is a 304's.
// `connection` stands for what the headers say as Connection, unless it is empty.
void AppendResponseHead(const ResponseHead& head, BodyLength body, Buffer& out,
                        absl::string_view connection = "");

// What stands before and after the bytes of a chunk, for writing them without a copy:
//   const ChunkPrefix prefix(body.size());
//   stream.Write({prefix.view(), body, kChunkSuffix});
class ChunkPrefix {
 public:
  explicit ChunkPrefix(size_t chunk_size);  // not 0: that ends the body
  absl::string_view view() const { return {text_ + start_, sizeof(text_) - start_}; }

 private:
  char text_[18];
  size_t start_;
};
inline constexpr absl::string_view kChunkSuffix = "\r\n";
inline constexpr absl::string_view kLastChunk = "0\r\n\r\n";

// A whole chunk; nothing for empty bytes.
void AppendChunk(absl::string_view bytes, Buffer& out);
void AppendLastChunk(const Headers& trailers, Buffer& out);

// "Not Found"; "" for a status without a registered phrase.
absl::string_view ReasonPhrase(int status);

// A reply of the proxy's own, with its body.
struct LocalReply {
  int status = 200;
  absl::string_view content_type = "text/plain";
  absl::string_view body;
  bool close = false;                // says Connection: close
  bool to_head = false;              // answers HEAD: the body is left out, its length is not
  const Headers* headers = nullptr;  // further ones, or none
};
void AppendLocalReply(const LocalReply& reply, Buffer& out);

}  // namespace weft

#endif  // WEFT_PROXY_HTTP_H1_ENCODER_H_
