// H1ClientStream: the endpoint's side of HTTP/1: requests go out, responses come in. It lives as
// long as the connection to the endpoint; the pool calls NextRequest() when one exchange has ended.
#ifndef WEFT_PROXY_STREAM_H1_CLIENT_STREAM_H_
#define WEFT_PROXY_STREAM_H1_CLIENT_STREAM_H_

#include "proxy/stream/h1_stream.h"

namespace weft {

class H1ClientStream final : public H1Stream {
 public:
  explicit H1ClientStream(ByteStream& stream) : H1Stream(stream, H1Decoder::Role::kResponses) {}

  BodyLength incoming() const override { return decoder_.body(); }
  void WriteHead(const RequestHead& head, BodyLength body) override;

  // --- For the pool.
  // The exchange is over and the connection can carry another.
  bool Reusable() { return decoder_.keep_alive() && MessagesEnded(); }
  void NextRequest() { Restart(); }
  // Nothing may come on an idle connection: bytes would be an answer nobody asked for, the end
  // means that the peer closed. Costs no system call unless something did come.
  bool StillQuiet();
};

}  // namespace weft

#endif  // WEFT_PROXY_STREAM_H1_CLIENT_STREAM_H_
