// HTTP/2 by hand at either end of a running proxy: a client or an endpoint that sends whatever
// frames it is told, and tells what came on each stream.
#ifndef WEFT_TEST_PROXY_HTTP2_PEER_H_
#define WEFT_TEST_PROXY_HTTP2_PEER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "proxy/http/h2_frames_for_test.h"
#include "test/proxy/harness.h"

struct nghttp2_hd_inflater;

namespace weft::test {

// What came on one stream.
struct Http2Stream {
  std::vector<std::pair<std::string, std::string>> fields;  // of all heads, trailers too
  std::string body;
  bool ended = false;
  std::optional<uint32_t> reset;  // its code

  std::string Field(const std::string& name) const;  // the first of that name, or ""
  int status() const;                                // of a response; 0 if there is none
  bool over() const { return ended || reset.has_value(); }
};

class Http2Peer {
 public:
  // A client, connected, that has sent its preface.
  static Http2Peer Client(int port, const std::string& settings = "");
  // An endpoint that was connected to. Says nothing by itself: send it H2Frame(kSettingsFrame, …).
  explicit Http2Peer(Socket socket);
  ~Http2Peer();
  Http2Peer(Http2Peer&&) = default;

  bool Send(const std::string& frames) { return socket_.Send(frames); }
  // Takes what comes until `done`; false if the connection ends or time runs out before. SETTINGS
  // and PINGs are acknowledged, and windows opened for what came, unless told otherwise.
  bool ReadUntil(const std::function<bool()>& done, absl::Duration patience = kPatience);
  // The stream is over, one way or the other.
  const Http2Stream& Await(uint32_t id);
  // What is there already.
  void Poll() {
    ReadUntil([] { return false; }, absl::Milliseconds(1));
  }
  // The proxy ends the connection in time; what it said before is read.
  bool Ended();
  bool ended() const { return ended_; }  // as far as was read

  Http2Stream& stream(uint32_t id) { return streams_[id]; }
  const std::map<uint32_t, Http2Stream>& streams() const { return streams_; }
  const std::optional<uint32_t>& goaway() const { return goaway_; }  // its code
  Socket& socket() { return socket_; }

  bool opens_windows = true;
  bool acknowledges = true;

 private:
  struct InflaterEnd {
    void operator()(nghttp2_hd_inflater* inflater) const;
  };

  void Take(const H2FrameView& frame);
  void TakeFields(Http2Stream& stream, const H2FrameView& frame);

  Socket socket_;
  bool preface_ = false;  // one is still to come
  bool ended_ = false;
  std::string held_;
  std::map<uint32_t, Http2Stream> streams_;
  std::optional<uint32_t> goaway_;
  std::unique_ptr<nghttp2_hd_inflater, InflaterEnd> inflater_;
};

}  // namespace weft::test

#endif  // WEFT_TEST_PROXY_HTTP2_PEER_H_
