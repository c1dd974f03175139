#include "test/proxy/h2_client.h"

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weft::test {
namespace {

constexpr size_t kHeaderSize = 9;

std::string Big(uint32_t number, int bytes) {
  std::string text;
  while (bytes-- > 0) text.push_back(static_cast<char>(number >> (8 * bytes) & 0xff));
  return text;
}

uint32_t BigAt(const std::string& bytes, size_t at, size_t size) {
  uint32_t number = 0;
  for (size_t i = at; i < at + size && i < bytes.size(); ++i) {
    number = number << 8 | static_cast<uint8_t>(bytes[i]);
  }
  return number;
}

// A literal field that is not indexed; its name is that of the static table's entry `index`.
std::string Literal(int index, const std::string& value) {
  return absl::StrCat(std::string(1, static_cast<char>(index)),
                      std::string(1, static_cast<char>(value.size())), value);
}

// Of a head that begins with it: an entry of the static table, or a literal with its name
// (RFC 7541, appendix A and section 6).
int StatusOf(const std::string& head) {
  static constexpr int kStatic[] = {200, 204, 206, 304, 400, 404, 500};
  const int first = head.empty() ? 0 : static_cast<uint8_t>(head[0]);
  if (first >= 0x88 && first <= 0x8e) return kStatic[first - 0x88];
  int status = 0;
  const bool literal = first == 0x48 || first == 0x08 || first == 0x18;
  return literal && absl::SimpleAtoi(head.substr(2, 3), &status) ? status : 0;
}

}  // namespace

uint32_t H2Frame::number() const { return BigAt(payload, 0, 4); }

H2Client::H2Client(int port) : socket_(Socket::Connect(port)) {
  socket_.Send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
  Send(H2Frame::kSettings, 0, 0, "");
}

void H2Client::Send(H2Frame::Type type, uint8_t flags, uint32_t stream,
                    const std::string& payload) {
  socket_.Send(absl::StrCat(Big(static_cast<uint32_t>(payload.size()), 3), Big(type, 1),
                            Big(flags, 1), Big(stream, 4), payload));
}

std::string H2Client::Head(const std::string& method, const std::string& path) {
  // :scheme http, :method, :path and :authority.
  return absl::StrCat("\x86", Literal(2, method), Literal(4, path), Literal(1, "h"));
}

void H2Client::Ask(uint32_t stream, const std::string& path, bool body_follows) {
  const uint8_t flags = H2Frame::kEndHeaders | (body_follows ? 0 : H2Frame::kEndStream);
  Send(H2Frame::kHeaders, flags, stream, Head(body_follows ? "POST" : "GET", path));
}

H2Frame H2Client::Next() {
  while (true) {
    const std::string header = socket_.Read(kHeaderSize);
    if (header.size() < kHeaderSize) return {};
    H2Frame frame;
    frame.type = static_cast<H2Frame::Type>(header[3]);
    frame.flags = static_cast<uint8_t>(header[4]);
    frame.stream = BigAt(header, 5, 4);
    frame.payload = socket_.Read(BigAt(header, 0, 3));
    const bool ack = frame.flags & H2Frame::kAck;
    if (frame.type == H2Frame::kSettings) {
      if (!ack) Send(H2Frame::kSettings, H2Frame::kAck, 0, "");
    } else if (frame.type != H2Frame::kWindowUpdate) {
      if (frame.type == H2Frame::kPing && !ack && answer_pings_) {
        Send(H2Frame::kPing, H2Frame::kAck, 0, frame.payload);
      }
      return frame;
    }
  }
}

H2Frame H2Client::Await(H2Frame::Type type) {
  while (true) {
    H2Frame frame = Next();
    if (frame.type == type || frame.type == H2Frame::kNone) return frame;
  }
}

H2Response H2Client::Await(uint32_t stream) {
  H2Response response;
  while (true) {
    const H2Frame frame = Next();
    if (frame.type == H2Frame::kNone) return response;
    if (frame.stream != stream) continue;
    if (frame.type == H2Frame::kReset) {
      response.reset = true;
      response.code = frame.number();
      return response;
    }
    if (frame.type == H2Frame::kHeaders && response.status == 0) {
      response.status = StatusOf(frame.payload);
    }
    if (frame.type == H2Frame::kData) response.body += frame.payload;
    const bool carries_end = frame.type == H2Frame::kHeaders || frame.type == H2Frame::kData;
    if (carries_end && (frame.flags & H2Frame::kEndStream)) {
      response.complete = true;
      return response;
    }
  }
}

}  // namespace weft::test
