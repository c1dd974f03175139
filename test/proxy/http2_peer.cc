#include "test/proxy/http2_peer.h"

#include <nghttp2/nghttp2.h>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/time/clock.h"

namespace weft::test {
namespace {

constexpr char kPreface[] = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

}  // namespace

std::string Http2Stream::Field(const std::string& name) const {
  for (const auto& [key, value] : fields) {
    if (key == name) return value;
  }
  return "";
}

int Http2Stream::status() const {
  int status = 0;
  return absl::SimpleAtoi(Field(":status"), &status) ? status : 0;
}

void Http2Peer::InflaterEnd::operator()(nghttp2_hd_inflater* inflater) const {
  nghttp2_hd_inflate_del(inflater);
}

Http2Peer::Http2Peer(Socket socket) : socket_(std::move(socket)), preface_(true) {
  nghttp2_hd_inflater* inflater;
  nghttp2_hd_inflate_new(&inflater);
  inflater_.reset(inflater);
}

Http2Peer::~Http2Peer() = default;

Http2Peer Http2Peer::Client(int port, const std::string& settings) {
  Http2Peer peer(Socket::Connect(port));
  peer.preface_ = false;
  peer.Send(H2Preface(settings));
  return peer;
}

bool Http2Peer::ReadUntil(const std::function<bool()>& done, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (!done()) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration() || ended_) return false;
    const std::string more = socket_.ReadSome(left);
    if (more.empty()) {
      ended_ = socket_.at_end();
      continue;
    }
    held_ += more;
    if (preface_) {
      if (held_.size() < sizeof(kPreface) - 1) continue;
      held_.erase(0, sizeof(kPreface) - 1);
      preface_ = false;
    }
    for (const H2FrameView& frame : TakeH2Frames(held_)) Take(frame);
  }
  return true;
}

const Http2Stream& Http2Peer::Await(uint32_t id) {
  ReadUntil([&] { return streams_[id].over(); });
  return streams_[id];
}

bool Http2Peer::Ended() {
  ReadUntil([] { return false; });
  return ended_;
}

void Http2Peer::TakeFields(Http2Stream& stream, const H2FrameView& frame) {
  // The proxy sends heads in one frame, without padding or priority, but for large ones, which no
  // test makes.
  const auto* at = reinterpret_cast<const uint8_t*>(frame.payload.data());
  size_t left = frame.payload.size();
  while (true) {
    nghttp2_nv field;
    int flags = 0;
    const ssize_t used = nghttp2_hd_inflate_hd2(inflater_.get(), &field, &flags, at, left, 1);
    if (used < 0) return;
    at += used;
    left -= static_cast<size_t>(used);
    if (flags & NGHTTP2_HD_INFLATE_EMIT) {
      stream.fields.emplace_back(std::string(reinterpret_cast<char*>(field.name), field.namelen),
                                 std::string(reinterpret_cast<char*>(field.value), field.valuelen));
    }
    if (flags & NGHTTP2_HD_INFLATE_FINAL) break;
    if (used == 0 && left == 0 && !(flags & NGHTTP2_HD_INFLATE_EMIT)) break;
  }
  nghttp2_hd_inflate_end_headers(inflater_.get());
}

void Http2Peer::Take(const H2FrameView& frame) {
  const bool ends = frame.flags & kEndStream;
  switch (frame.type) {
    case kHeadersFrame:
      TakeFields(streams_[frame.stream], frame);
      streams_[frame.stream].ended |= ends;
      break;
    case kDataFrame:
      streams_[frame.stream].body += frame.payload;
      streams_[frame.stream].ended |= ends;
      if (!opens_windows || frame.payload.empty()) break;
      Send(H2WindowUpdate(0, static_cast<uint32_t>(frame.payload.size())));
      if (!ends) Send(H2WindowUpdate(frame.stream, static_cast<uint32_t>(frame.payload.size())));
      break;
    case kResetFrame:
      streams_[frame.stream].reset = frame.code();
      break;
    case kSettingsFrame:
      if (acknowledges && !(frame.flags & kAck)) Send(H2Frame(kSettingsFrame, kAck, 0));
      break;
    case kPingFrame:
      if (acknowledges && !(frame.flags & kAck)) {
        Send(H2Frame(kPingFrame, kAck, 0, frame.payload));
      }
      break;
    case kGoawayFrame:
      goaway_ = frame.code();
      break;
    default:
      break;
  }
}

}  // namespace weft::test
