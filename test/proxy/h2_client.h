// A client of HTTP/2 that writes and reads single frames, for tests of what curl and h2load hide:
// GOAWAY, RST_STREAM, heads that never end.
#ifndef WEFT_TEST_PROXY_H2_CLIENT_H_
#define WEFT_TEST_PROXY_H2_CLIENT_H_

#include <cstdint>
#include <string>

#include "test/proxy/harness.h"

namespace weft::test {

struct H2Frame {
  // RFC 9113, section 6; kNone: the connection has ended, or nothing came in time.
  enum Type : uint8_t {
    kData = 0,
    kHeaders = 1,
    kReset = 3,
    kSettings = 4,
    kPing = 6,
    kGoaway = 7,
    kWindowUpdate = 8,
    kNone = 0xff,
  };
  static constexpr uint8_t kEndStream = 1;
  static constexpr uint8_t kAck = 1;
  static constexpr uint8_t kEndHeaders = 4;
  static constexpr uint32_t kMostStreams = 0x7fffffff;

  Type type = kNone;
  uint8_t flags = 0;
  uint32_t stream = 0;
  std::string payload;

  // The number that begins the payload: of GOAWAY the last stream, of RST_STREAM the code.
  uint32_t number() const;
};

struct H2Response {
  int status = 0;  // 0: none came
  std::string body;
  bool complete = false;
  bool reset = false;
  uint32_t code = 0;  // of the reset
};

class H2Client {
 public:
  explicit H2Client(int port);

  Socket& socket() { return socket_; }
  // Pings of the proxy are answered as they come, unless this is called.
  void LeavePings() { answer_pings_ = false; }
  void Send(H2Frame::Type type, uint8_t flags, uint32_t stream, const std::string& payload);
  // Begins a request, which ends with its head unless a body is to follow.
  void Ask(uint32_t stream, const std::string& path, bool body_follows = false);
  // The head of one, in HPACK.
  static std::string Head(const std::string& method, const std::string& path);
  // The next frame but SETTINGS, which are acknowledged, and WINDOW_UPDATE.
  H2Frame Next();
  // The next of that type, those before it thrown away.
  H2Frame Await(H2Frame::Type type);
  // Reads until the stream has ended; frames of others are thrown away.
  H2Response Await(uint32_t stream);

 private:
  Socket socket_;
  bool answer_pings_ = true;
};

}  // namespace weft::test

#endif  // WEFT_TEST_PROXY_H2_CLIENT_H_
