// H1Stream: what both ends of an HTTP/1 exchange do alike: reading and decoding, tunnels, writing.
// H1ServerStream and H1ClientStream add what heads mean at their end. Both live as long as their
// connection and serve its exchanges one after the other.
//
// `stream` is borrowed and must outlive it. One worker's.
#ifndef WEFT_PROXY_STREAM_H1_STREAM_H_
#define WEFT_PROXY_STREAM_H1_STREAM_H_

#include "proxy/base/buffer.h"
#include "proxy/http/h1_decoder.h"
#include "proxy/net/byte_stream.h"
#include "proxy/stream/h1_writer.h"
#include "proxy/stream/http_stream.h"

namespace weft {

class H1Stream : public HttpStream {
 public:
  // What a peer may send ahead (pipelined requests, the first bytes of a tunnel) that is held.
  static constexpr size_t kMostHeld = 64 * 1024;

  Event Next() override;
  absl::string_view body() const final;
  void Take(size_t bytes) final;
  RequestHead& request() final { return decoder_.request(); }
  ResponseHead& response() final { return decoder_.response(); }
  Headers& trailers() final { return decoder_.trailers(); }
  const StreamFailure& failure() const final { return failure_; }
  bool PeerGone() final;
  bool heard() const final { return heard_; }

  // A head of the other side's kind is never written here.
  void WriteHead(const RequestHead&, BodyLength) override {}
  void WriteHead(const ResponseHead&, BodyLength) override {}
  size_t Write(absl::string_view piece) final { return writer_.Write(piece); }
  void WriteEnd(const Headers& trailers) final { writer_.WriteEnd(trailers); }
  Flushed Flush() final { return writer_.Flush(); }
  void Abort() final;

  Signal& readable() final { return stream_.readable(); }
  Signal& writable() final { return stream_.writable(); }

 protected:
  H1Stream(ByteStream& stream, H1Decoder::Role role, HeadLimits limits = HeadLimits())
      : stream_(stream), decoder_(role, limits), writer_(stream) {}

  // From here on both directions carry raw bytes.
  void OpenTunnel();
  // Both messages are complete, and nothing forbids another.
  bool MessagesEnded();
  // Forgets the exchange; the connection stays.
  void Restart();

  ByteStream& stream_;
  H1Decoder decoder_;
  H1Writer writer_;
  Buffer in_;
  StreamFailure failure_;
  bool heard_ = false;  // a byte of this exchange has come
  bool tunnel_ = false;
  bool aborted_ = false;

 private:
  IoStatus Read();
  Event NextOfTunnel();
  Event Fail(StreamFailure::Kind kind, int status, const char* reason);

  bool eof_ = false;
};

}  // namespace weft

#endif  // WEFT_PROXY_STREAM_H1_STREAM_H_
