// HTTP/2 frames made by hand and taken apart, for tests that send what no library would.
#ifndef WEFT_PROXY_HTTP_H2_FRAMES_FOR_TEST_H_
#define WEFT_PROXY_HTTP_H2_FRAMES_FOR_TEST_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"

namespace weft {

enum H2FrameType : uint8_t {
  kDataFrame = 0,
  kHeadersFrame = 1,
  kPriorityFrame = 2,
  kResetFrame = 3,
  kSettingsFrame = 4,
  kPingFrame = 6,
  kGoawayFrame = 7,
  kWindowUpdateFrame = 8,
  kContinuationFrame = 9,
};
inline constexpr uint8_t kEndStream = 1;
inline constexpr uint8_t kAck = 1;
inline constexpr uint8_t kEndHeaders = 4;

inline std::string Number(uint64_t value, int bytes) {
  std::string text;
  for (int i = bytes - 1; i >= 0; --i) text.push_back(static_cast<char>(value >> (8 * i)));
  return text;
}

inline std::string H2Frame(uint8_t type, uint8_t flags, uint32_t stream,
                           absl::string_view payload = "") {
  return absl::StrCat(Number(payload.size(), 3), Number(type, 1), Number(flags, 1),
                      Number(stream, 4), payload);
}

// A literal of HPACK, never indexed unless asked: 0x40 adds it to the table.
inline std::string HpackLength(size_t length) {
  if (length < 127) return std::string(1, static_cast<char>(length));
  std::string text(1, 127);
  for (length -= 127; length >= 128; length /= 128) {
    text.push_back(static_cast<char>(length % 128 + 128));
  }
  text.push_back(static_cast<char>(length));
  return text;
}
inline std::string H2Field(absl::string_view name, absl::string_view value, char kind = 0) {
  return absl::StrCat(std::string(1, kind), HpackLength(name.size()), name,
                      HpackLength(value.size()), value);
}

inline std::string H2RequestFields(absl::string_view method = "GET", absl::string_view path = "/",
                                   absl::string_view authority = "a.test") {
  return absl::StrCat(H2Field(":method", method), H2Field(":scheme", "http"),
                      H2Field(":path", path), H2Field(":authority", authority));
}

inline std::string H2Headers(uint32_t stream, absl::string_view fields,
                             uint8_t flags = kEndHeaders | kEndStream) {
  return H2Frame(kHeadersFrame, flags, stream, fields);
}
inline std::string H2Reset(uint32_t stream, uint32_t code = 8) {
  return H2Frame(kResetFrame, 0, stream, Number(code, 4));
}
inline std::string H2WindowUpdate(uint32_t stream, uint32_t by) {
  return H2Frame(kWindowUpdateFrame, 0, stream, Number(by, 4));
}
inline std::string H2Setting(uint16_t id, uint32_t value) {
  return absl::StrCat(Number(id, 2), Number(value, 4));
}
inline std::string H2Preface(absl::string_view settings = "") {
  return absl::StrCat("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", H2Frame(kSettingsFrame, 0, 0, settings));
}

struct H2FrameView {
  uint8_t type = 0;
  uint8_t flags = 0;
  uint32_t stream = 0;
  std::string payload;

  // Of RST_STREAM; of GOAWAY.
  uint32_t code() const {
    const size_t at = type == kGoawayFrame ? 4 : 0;
    uint32_t value = 0;
    for (size_t i = at; i < at + 4 && i < payload.size(); ++i) {
      value = value << 8 | static_cast<uint8_t>(payload[i]);
    }
    return value;
  }
};

// Takes the complete frames off the front of `bytes`.
inline std::vector<H2FrameView> TakeH2Frames(std::string& bytes) {
  std::vector<H2FrameView> frames;
  size_t at = 0;
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(uint8_t(bytes[at + i])); };
  while (bytes.size() - at >= 9) {
    const size_t size = byte(0) << 16 | byte(1) << 8 | byte(2);
    if (bytes.size() - at < 9 + size) break;
    H2FrameView frame;
    frame.type = byte(3);
    frame.flags = byte(4);
    frame.stream = byte(5) << 24 | byte(6) << 16 | byte(7) << 8 | byte(8);
    frame.payload = bytes.substr(at + 9, size);
    frames.push_back(frame);
    at += 9 + size;
  }
  bytes.erase(0, at);
  return frames;
}

}  // namespace weft

#endif  // WEFT_PROXY_HTTP_H2_FRAMES_FOR_TEST_H_
