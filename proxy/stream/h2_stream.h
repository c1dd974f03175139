// H2Stream: an HttpStream over HTTP/2, on either side. Whoever holds it ends the exchange by
// destroying it: what was written to its end is still sent, and a stream that is not complete is
// reset. It may outlive its connection, and is kBroken then.
//
// A thin lease of an H2StreamState, which lives in the connection's H2Session. One worker's.
#ifndef WEFT_PROXY_STREAM_H2_STREAM_H_
#define WEFT_PROXY_STREAM_H2_STREAM_H_

#include <cstddef>

#include "absl/strings/string_view.h"
#include "proxy/http/h2_session.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/stream/http_stream.h"

namespace weft {

class H2Connection;

class H2Stream final : public HttpStream {
 public:
  // By the connection only; `state` is one that it holds.
  H2Stream(H2Connection* connection, H2StreamState* state);
  ~H2Stream() override;
  H2Stream(const H2Stream&) = delete;
  H2Stream& operator=(const H2Stream&) = delete;

  Event Next() override;
  absl::string_view body() const override { return state_->in.view(); }
  void Take(size_t bytes) override;
  RequestHead& request() override { return state_->request; }
  ResponseHead& response() override;
  BodyLength incoming() const override { return state_->incoming; }
  Headers& trailers() override { return state_->trailers; }
  const StreamFailure& failure() const override { return failure_; }
  bool PeerGone() override;
  bool heard() const override { return state_->head_done || !state_->interim.empty(); }
  bool draining() const override;

  void WriteHead(const RequestHead& head, BodyLength body) override;
  void WriteHead(const ResponseHead& head, BodyLength body) override;
  size_t Write(absl::string_view piece) override;
  void WriteEnd(const Headers& trailers) override;
  Flushed Flush() override;
  void Abort() override;

  Signal& readable() override { return readable_; }
  Signal& writable() override { return writable_; }

 private:
  friend class H2Connection;
  void OnNews();
  void OnConnectionGone();
  bool gone() const { return connection_ == nullptr; }
  void NoteFailure();
  bool AwaitsTunnel() const;

  H2Connection* connection_;  // null once it is gone
  H2StreamState* state_;      // this one's own then
  size_t heads_given_ = 0;    // interim ones
  bool final_head_given_ = false;
  bool ended_ = false;
  StreamFailure failure_;
  Signal readable_;
  Signal writable_;
};

}  // namespace weft

#endif  // WEFT_PROXY_STREAM_H2_STREAM_H_
