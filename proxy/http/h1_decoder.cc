#include "proxy/http/h1_decoder.h"

#include <algorithm>
#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "proxy/http/h1_framing.h"

namespace weft {

using Event = H1Decoder::Event;

void H1Decoder::NextMessage() {
  state_ = State::kStart;
  tunnel_ = false;
  asked_head_ = asked_connect_ = asked_upgrade_ = false;
  empty_lines_ = interim_responses_ = 0;
  ClearHead();
  trailers_.Clear();
}

void H1Decoder::ClearHead() {
  start_line_size_ = 0;
  body_size_ = 0;
  chunk_extensions_ = 0;
  body_ = {};
  keep_alive_ = true;
  expects_continue_ = false;
  lines_.Restart();
  role_ == Role::kRequests ? request_.Clear() : response_.Clear();
}

void H1Decoder::ExpectResponse(absl::string_view method, bool upgrade_requested) {
  asked_head_ = method == "HEAD";
  asked_connect_ = method == "CONNECT";
  asked_upgrade_ = upgrade_requested;
}

Event H1Decoder::Fail(H1Error error) {
  error_ = error;
  keep_alive_ = false;
  state_ = State::kError;
  return Event::kError;
}

Event H1Decoder::NeedMore() {
  if (!eof_) return Event::kNeedMore;
  return Fail({400, "cut_short"});
}

Event H1Decoder::Next(Buffer& in) {
  switch (state_) {
    case State::kInterim:
      ClearHead();
      state_ = State::kStart;
      [[fallthrough]];
    case State::kStart:
      return NextStart(in);
    case State::kStartLine:
      return NextStartLine(in);
    case State::kFields:
      return NextFields(in);
    case State::kLengthBody:
    case State::kChunkData:
      return NextBody(in, remaining_);
    case State::kUntilClose:
      if (in.empty() && eof_) {
        state_ = State::kEnd;
        return Event::kEnd;
      }
      return NextBody(in, std::numeric_limits<uint64_t>::max());
    case State::kChunkSize:
      return NextChunkSize(in);
    case State::kChunkEnd:
      return NextChunkEnd(in);
    case State::kTrailers:
      return NextTrailers(in);
    case State::kEnd:
      return Event::kEnd;
    case State::kError:
      break;
  }
  return Event::kError;
}

Event H1Decoder::NextStart(Buffer& in) {
  while (role_ == Role::kRequests && absl::StartsWith(in.view(), "\r\n")) {
    if (++empty_lines_ > kMaxEmptyLines) return Fail({400, "bad_request_line"});
    in.Consume(2);
  }
  if (in.empty()) {
    if (!eof_) return Event::kNeedMore;
    return interim_responses_ == 0 ? Event::kClosed : NeedMore();
  }
  if (in.view() == "\r") return NeedMore();
  state_ = State::kStartLine;
  return NextStartLine(in);
}

Event H1Decoder::NextStartLine(Buffer& in) {
  const absl::string_view bytes = in.view();
  switch (lines_.Find(bytes, 0, limits_.bytes)) {
    case LineFinder::Result::kNeedMore:
      return NeedMore();
    case LineFinder::Result::kTooLong:
      return Fail({431, "head_too_large"});
    case LineFinder::Result::kBareLf:
      return Fail({400, "bare_lf"});
    case LineFinder::Result::kLine:
      break;
  }
  start_line_size_ = lines_.next();
  const absl::string_view line = bytes.substr(0, start_line_size_ - 2);
  const H1Error error = role_ == Role::kRequests ? ParseRequestLine(line, request_)
                                                 : ParseStatusLine(line, response_);
  if (!error.ok()) return Fail(error);
  fields_.Start(&headers(), {limits_.bytes - start_line_size_, limits_.fields});
  state_ = State::kFields;
  return NextFields(in);
}

Event H1Decoder::NextFields(Buffer& in) {
  const absl::string_view block = in.view().substr(start_line_size_);
  switch (fields_.Next(block)) {
    case FieldLineParser::Result::kNeedMore:
      return NeedMore();
    case FieldLineParser::Result::kError:
      return Fail(fields_.error());
    case FieldLineParser::Result::kDone:
      break;
  }
  const H1Error error = role_ == Role::kRequests ? FinishRequestHead(block) : FinishResponseHead();
  if (!error.ok()) return Fail(error);
  in.Consume(start_line_size_ + fields_.size());
  return Event::kHead;
}

// Sets how the message goes on after its head.
H1Error H1Decoder::FinishRequestHead(absl::string_view block) {
  // RFC 9112, section 3.2: exactly one Host, which an absolute-form target overrides (3.2.2).
  const int hosts = fields_.host_count();
  if (hosts > 1) return {400, "several_hosts"};
  if (hosts == 0 && request_.version == HttpVersion::kHttp11) return {400, "no_host"};
  const absl::string_view host = hosts == 1 ? fields_.host(block) : "";
  if (!IsAuthority(host)) return {400, "bad_host"};
  if (request_.authority.empty()) request_.authority.assign(host.data(), host.size());

  const H1Error error = FrameByFields(request_.headers, request_.version, body_);
  if (!error.ok()) return error;
  const bool has_body = body_.framing == BodyFraming::kChunked || body_.length > 0;
  // What follows a CONNECT is the tunnel's, not a body (RFC 9110, section 9.3.6).
  if (has_body && request_.method == "CONNECT") return {400, "body_in_connect"};
  keep_alive_ = Persists(request_.headers, request_.version);
  const auto expect = request_.headers.Get(KnownHeader::kExpect);
  expects_continue_ = expect.has_value() && has_body && request_.version == HttpVersion::kHttp11 &&
                      absl::EqualsIgnoreCase(*expect, "100-continue");
  remaining_ = body_.length;
  if (body_.framing == BodyFraming::kChunked) {
    state_ = State::kChunkSize;
    lines_.Restart();
  } else {
    state_ = has_body ? State::kLengthBody : State::kEnd;
  }
  return {};
}

// RFC 9112, section 6.3, in its order.
H1Error H1Decoder::FinishResponseHead() {
  const int status = response_.status;
  if (status < 200 && status != 101) {
    if (++interim_responses_ > kMaxInterimResponses) return {400, "too_many_interim_responses"};
    state_ = State::kInterim;
    return {};
  }
  state_ = State::kEnd;
  if (status == 101 && !asked_upgrade_) return {400, "unexpected_101"};
  tunnel_ = status == 101 || (asked_connect_ && status / 100 == 2);
  if (tunnel_) return {};
  const H1Error error = FrameByFields(response_.headers, response_.version, body_);
  if (!error.ok()) return error;
  keep_alive_ = Persists(response_.headers, response_.version);
  if (asked_head_ || status == 204 || status == 304) {
    body_ = {};
    return {};
  }
  remaining_ = body_.length;
  switch (body_.framing) {
    case BodyFraming::kChunked:
      state_ = State::kChunkSize;
      lines_.Restart();
      break;
    case BodyFraming::kLength:
      state_ = body_.length > 0 ? State::kLengthBody : State::kEnd;
      break;
    case BodyFraming::kNone:
    case BodyFraming::kUntilClose:
    case BodyFraming::kTunnel:
      body_.framing = BodyFraming::kUntilClose;
      keep_alive_ = false;
      state_ = State::kUntilClose;
      break;
  }
  return {};
}

Event H1Decoder::NextBody(Buffer& in, uint64_t at_most) {
  if (in.empty()) return NeedMore();
  body_size_ = static_cast<size_t>(std::min<uint64_t>(in.size(), at_most));
  return Event::kBody;
}

void H1Decoder::BodyTaken(size_t bytes) {
  body_size_ -= bytes;
  if (state_ == State::kUntilClose) return;
  remaining_ -= bytes;
  if (remaining_ > 0) return;
  state_ = state_ == State::kChunkData ? State::kChunkEnd : State::kEnd;
}

Event H1Decoder::NextChunkSize(Buffer& in) {
  const absl::string_view bytes = in.view();
  switch (lines_.Find(bytes, 0, kMaxChunkLine)) {
    case LineFinder::Result::kNeedMore:
      return NeedMore();
    case LineFinder::Result::kTooLong:
      return Fail({400, "chunk_line_too_long"});
    case LineFinder::Result::kBareLf:
      return Fail({400, "bare_lf_in_chunk"});
    case LineFinder::Result::kLine:
      break;
  }
  const H1Error error = ReadChunkSize(bytes.substr(0, lines_.next() - 2));
  if (!error.ok()) return Fail(error);
  in.Consume(lines_.next());
  lines_.Restart();
  if (remaining_ > 0) {
    state_ = State::kChunkData;
    return NextBody(in, remaining_);
  }
  state_ = State::kTrailers;
  fields_.Start(&trailers_, {kMaxTrailerBytes, limits_.fields});
  return NextTrailers(in);
}

// chunk-size [ chunk-ext ], RFC 9112, section 7.1: hexadecimal digits alone, then nothing or an
// extension, which is dropped.
H1Error H1Decoder::ReadChunkSize(absl::string_view line) {
  size_t digits = 0;
  remaining_ = 0;
  while (digits < line.size() && absl::ascii_isxdigit(line[digits])) {
    const char c = line[digits++];
    if (digits > 16) return {400, "bad_chunk_size"};
    remaining_ = remaining_ * 16 + (absl::ascii_isdigit(c) ? c - '0' : (c | 0x20) - 'a' + 10);
  }
  if (digits == 0 || remaining_ > std::numeric_limits<int64_t>::max()) {
    return {400, "bad_chunk_size"};
  }
  line.remove_prefix(digits);
  if (line.empty()) return {};
  const size_t extension = line.find_first_not_of(" \t");
  if (extension == absl::string_view::npos || line[extension] != ';') {
    return {400, "bad_chunk_size"};
  }
  if (!IsFieldValue(line)) return {400, "bad_chunk_extension"};
  chunk_extensions_ += line.size();
  if (chunk_extensions_ > kMaxChunkExtensions) return {400, "chunk_extensions_too_large"};
  return {};
}

Event H1Decoder::NextChunkEnd(Buffer& in) {
  const absl::string_view bytes = in.view();
  if (!absl::StartsWith("\r\n", bytes.substr(0, 2))) return Fail({400, "chunk_spill"});
  if (bytes.size() < 2) return NeedMore();
  in.Consume(2);
  state_ = State::kChunkSize;
  return NextChunkSize(in);
}

Event H1Decoder::NextTrailers(Buffer& in) {
  switch (fields_.Next(in.view())) {
    case FieldLineParser::Result::kNeedMore:
      return NeedMore();
    case FieldLineParser::Result::kError:
      return Fail(fields_.error());
    case FieldLineParser::Result::kDone:
      break;
  }
  in.Consume(fields_.size());
  trailers_.RemoveIf([](const HeaderView& header) { return ForbiddenInTrailers(header.name); });
  state_ = State::kEnd;
  return Event::kEnd;
}

}  // namespace weft
