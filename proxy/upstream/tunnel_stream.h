// Tunnels as streams of bytes, at either end of a gateway.
//
// TunnelStream is what a client has: the two directions of an accepted CONNECT as a ByteStream, for
// TLS, or whatever is spoken within, to go over. RawStream is what a gateway has: a connection of
// bytes as the endpoint's side of an exchange, which accepts the CONNECT at once and is a tunnel
// from then on; so that what ends a tunnel is forwarded, limited, retried and logged as any
// request.
#ifndef WEFT_PROXY_UPSTREAM_TUNNEL_STREAM_H_
#define WEFT_PROXY_UPSTREAM_TUNNEL_STREAM_H_

#include <memory>
#include <string>

#include "proxy/net/byte_stream.h"
#include "proxy/stream/http_stream.h"

namespace weft {

class TunnelStream final : public ByteStream {
 public:
  // `stream` has had its response of 2xx. The addresses are those of the connection beneath.
  TunnelStream(std::unique_ptr<HttpStream> stream, const Address& local, const Address& peer);
  ~TunnelStream() override;

  IoResult Read(Buffer& into, size_t at_most) override;
  IoResult Write(absl::Span<const absl::string_view> parts) override;
  using ByteStream::Write;
  void CloseWrite() override;
  void ResetOnClose() override { reset_ = true; }

  Signal& readable() override { return stream_->readable(); }
  Signal& writable() override { return stream_->writable(); }
  std::string error() const override;
  bool draining() const override { return stream_->draining(); }
  const Address& local_address() const override { return local_; }
  const Address& peer_address() const override { return peer_; }

 private:
  const std::unique_ptr<HttpStream> stream_;
  const Address local_;
  const Address peer_;
  bool closed_ = false;  // our side
  bool reset_ = false;
};

class RawStream final : public HttpStream {
 public:
  // `bytes` must outlive this. `pod`: what the response says under x-weft-pod; "": nothing.
  RawStream(ByteStream& bytes, std::string pod);

  Event Next() override;
  absl::string_view body() const override { return in_.view(); }
  void Take(size_t bytes) override { in_.Consume(bytes); }
  RequestHead& request() override { return request_; }
  ResponseHead& response() override { return response_; }
  BodyLength incoming() const override;
  Headers& trailers() override { return trailers_; }
  const StreamFailure& failure() const override { return failure_; }
  bool PeerGone() override { return false; }
  bool heard() const override { return accepted_; }

  void WriteHead(const RequestHead&, BodyLength) override {}
  void WriteHead(const ResponseHead&, BodyLength) override {}
  size_t Write(absl::string_view piece) override;
  void WriteEnd(const Headers&) override { bytes_.CloseWrite(); }
  Flushed Flush() override { return broken_ ? Flushed::kBroken : Flushed::kDone; }
  void Abort() override { bytes_.ResetOnClose(); }

  Signal& readable() override { return bytes_.readable(); }
  Signal& writable() override { return bytes_.writable(); }

 private:
  ByteStream& bytes_;
  RequestHead request_;
  ResponseHead response_;
  Headers trailers_;
  StreamFailure failure_;
  Buffer in_;
  bool accepted_ = false;
  bool ended_ = false;
  bool broken_ = false;
};

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_TUNNEL_STREAM_H_
