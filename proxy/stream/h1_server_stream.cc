#include "proxy/stream/h1_server_stream.h"

#include "proxy/http/h1_encoder.h"

namespace weft {

using Event = HttpStream::Event;

Event H1ServerStream::Next() {
  // What follows a request for a tunnel is not looked at before that is accepted.
  if (incoming_.framing == BodyFraming::kTunnel && !answered_) return Event::kBlocked;
  const Event event = H1Stream::Next();
  if (event != Event::kHead) return event;
  const RequestHead& head = decoder_.request();
  incoming_ = decoder_.body();
  connect_ = head.method == "CONNECT";
  asked_head_ = head.method == "HEAD";
  http10_ = head.version == HttpVersion::kHttp10;
  const bool empty = incoming_.framing == BodyFraming::kNone || incoming_.length == 0;
  const bool upgrade = empty && incoming_.framing != BodyFraming::kChunked && !http10_ &&
                       !RequestedUpgrade(head.headers).empty();
  if (connect_ || upgrade) incoming_.framing = BodyFraming::kTunnel;
  return event;
}

BodyLength H1ServerStream::Framed(const ResponseHead& head, BodyLength body) const {
  switch (body.framing) {
    case BodyFraming::kNone: {
      // Over HTTP/2 a response may end with its head; here an end has to be told.
      const bool bodiless = asked_head_ || head.status == 204 || head.status == 304;
      return bodiless ? body : BodyLength{BodyFraming::kLength, 0};
    }
    case BodyFraming::kLength:
      return body;
    case BodyFraming::kChunked:
    case BodyFraming::kUntilClose:
    case BodyFraming::kTunnel:
      break;
  }
  return {http10_ ? BodyFraming::kUntilClose : BodyFraming::kChunked, 0};
}

void H1ServerStream::WriteHead(const ResponseHead& head, BodyLength body) {
  if (head.status < 200 && head.status != 101) {
    if (!http10_) AppendResponseHead(head, BodyLength(), writer_.queue());
    return;
  }
  answered_ = true;
  const bool accepts = head.status == 101 || (connect_ && head.status / 100 == 2);
  if (accepts && incoming_.framing == BodyFraming::kTunnel) {
    closing_ = true;
    AppendResponseHead(head, BodyLength{BodyFraming::kTunnel, 0}, writer_.queue());
    OpenTunnel();
    return;
  }
  body = Framed(head, body);
  // Who was refused a tunnel may have sent the first bytes for it: they are not a request.
  closing_ = closing_ || connect_ || !decoder_.keep_alive() ||
             body.framing == BodyFraming::kUntilClose ||
             ListHasToken(head.headers, KnownHeader::kConnection, "close");
  const absl::string_view connection = closing_ ? "close" : http10_ ? "keep-alive" : "";
  AppendResponseHead(head, body, writer_.queue(), connection);
  writer_.Begin(body.framing);
}

void H1ServerStream::NextRequest() {
  Restart();
  incoming_ = BodyLength();
  connect_ = asked_head_ = http10_ = answered_ = false;
}

bool H1ServerStream::HasMore() {
  return answered_ && (decoder_.Next(in_) != H1Decoder::Event::kEnd || !in_.empty());
}

}  // namespace weft
