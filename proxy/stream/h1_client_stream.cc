#include "proxy/stream/h1_client_stream.h"

#include "proxy/http/h1_encoder.h"

namespace weft {

void H1ClientStream::WriteHead(const RequestHead& head, BodyLength body) {
  const bool tunnel = body.framing == BodyFraming::kTunnel;
  // RFC 9110, section 8.6: methods that mean a body say that there is none.
  const bool means_body = head.method == "POST" || head.method == "PUT" || head.method == "PATCH";
  if (body.framing == BodyFraming::kNone && means_body) body = {BodyFraming::kLength, 0};
  AppendRequestHead(head, body, writer_.queue());
  decoder_.ExpectResponse(head.method, tunnel && head.method != "CONNECT");
  // Until it is accepted, a tunnel is a message without a body.
  writer_.Begin(tunnel ? BodyFraming::kNone : body.framing);
}

bool H1ClientStream::StillQuiet() {
  if (!in_.empty()) return false;
  Buffer unexpected;
  return stream_.Read(unexpected, 1).status == IoStatus::kBlocked;
}

}  // namespace weft
