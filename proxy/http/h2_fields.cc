#include "proxy/http/h2_fields.h"

#include <algorithm>
#include <charconv>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "proxy/http/h1_framing.h"

namespace weft {
namespace {

// RFC 9113, section 6.5.2: what a field weighs beside its name and value.
constexpr size_t kFieldOverhead = 32;
// The key of a WebSocket handshake, which HTTP/2 has none of (RFC 8441, section 5) and a server
// behind HTTP/1.1 insists on. It proves nothing but that the peer speaks the protocol.
constexpr absl::string_view kWebSocketKey = "d2VmdC1vdmVyLWh0dHAvMg==";

// Visible ASCII but '#', as HTTP/1.1 takes it (RFC 9112, section 3.2): what no hop can misread.
bool IsTarget(absl::string_view text) {
  return std::all_of(text.begin(), text.end(),
                     [](char c) { return c > 0x20 && c < 0x7f && c != '#'; });
}

void Assign(std::string& to, absl::string_view from) { to.assign(from.data(), from.size()); }

// Fields that are no one else's business, or said by other means.
bool StaysBehind(KnownHeader known) {
  switch (known) {
    case KnownHeader::kConnection:
    case KnownHeader::kHost:
    case KnownHeader::kKeepAlive:
    case KnownHeader::kProxyConnection:
    case KnownHeader::kTransferEncoding:
    case KnownHeader::kUpgrade:
      return true;
    default:
      return false;
  }
}

// How a message goes on whose head does not end it.
BodyLength OpenBody(const Headers& headers) {
  BodyLength body;
  const bool known = FrameByFields(headers, HttpVersion::kHttp2, body).ok() &&
                     body.framing == BodyFraming::kLength && body.length > 0;
  // A length of 0 that does not end the message: trailers may follow.
  if (!known) body = {BodyFraming::kChunked, 0};
  return body;
}

}  // namespace

void H2FieldReader::Start() {
  bytes_ = 0;
  fields_ = 0;
  error_ = {};
  cookie_.clear();
  host_.clear();
  protocol_.clear();
}

// False once the block is too much; what follows is then dropped, as HPACK needs it read on.
bool H2FieldReader::Count(absl::string_view name, absl::string_view value) {
  bytes_ += name.size() + value.size() + kFieldOverhead;
  if (bytes_ > max_bytes_ && error_.ok()) error_ = {431, "head_too_large"};
  return error_.ok();
}

void H2FieldReader::AddField(absl::string_view name, absl::string_view value, Headers& headers) {
  if (fields_ == max_fields_) {
    error_ = {431, "too_many_headers"};
    return;
  }
  ++fields_;
  headers.Add(name, absl::StripAsciiWhitespace(value));
}

void H2FieldReader::AddToRequest(absl::string_view name, absl::string_view value,
                                 RequestHead& head) {
  if (!Count(name, value)) return;
  if (!name.empty() && name[0] == ':') {
    if (name == ":method") return Assign(head.method, value);
    if (name == ":path") return Assign(head.path, value);
    if (name == ":authority") return Assign(head.authority, value);
    if (name == ":scheme") return Assign(head.scheme, value);
    if (name == ":protocol") return Assign(protocol_, value);
    return;
  }
  value = absl::StripAsciiWhitespace(value);
  if (name == "cookie") {  // section 8.2.3
    if (!cookie_.empty()) cookie_ += "; ";
    cookie_.append(value.data(), value.size());
    return;
  }
  if (name == "host") return Assign(host_, value);
  AddField(name, value, head.headers);
}

void H2FieldReader::AddToResponse(absl::string_view name, absl::string_view value,
                                  ResponseHead& head) {
  if (!Count(name, value)) return;
  if (name == ":status") {
    head.status = 0;
    for (const char c : value) head.status = head.status * 10 + (c - '0');
    return;
  }
  AddField(name, value, head.headers);
}

void H2FieldReader::AddToTrailers(absl::string_view name, absl::string_view value,
                                  Headers& trailers) {
  if (!Count(name, value)) return;
  if (ForbiddenInTrailers(name)) return;
  AddField(name, value, trailers);
}

// Host stands in for :authority, and must not contradict it (section 8.3.1).
H1Error H2FieldReader::SettleAuthority(RequestHead& head) const {
  if (!host_.empty()) {
    if (head.authority.empty()) {
      head.authority = host_;
    } else if (!absl::EqualsIgnoreCase(head.authority, host_)) {
      return {400, "host_differs_from_authority"};
    }
  }
  if (head.authority.empty() || !IsAuthority(head.authority)) return {400, "bad_authority"};
  return {};
}

void H2FieldReader::ShowUpgrade(RequestHead& head) const {
  head.method = "GET";
  head.headers.Add(KnownHeader::kConnection, "Upgrade");
  head.headers.Add(KnownHeader::kUpgrade, protocol_);
  if (!absl::EqualsIgnoreCase(protocol_, "websocket")) return;
  if (!head.headers.Has("sec-websocket-key")) head.headers.Add("sec-websocket-key", kWebSocketKey);
}

H1Error H2FieldReader::FinishRequest(bool ends, RequestHead& head, BodyLength& body,
                                     H2Asked& asked) {
  head.version = HttpVersion::kHttp2;
  if (!error_.ok()) return error_;
  H1Error error = SettleAuthority(head);
  if (!error.ok()) return error;
  if (!cookie_.empty()) head.headers.Add(KnownHeader::kCookie, cookie_);
  const bool connect = head.method == "CONNECT";
  if (connect && protocol_.empty()) {
    if (head.authority.back() == ':' || head.authority.find(':') == std::string::npos) {
      return {400, "bad_authority"};
    }
    asked = H2Asked::kConnect;
    body = {BodyFraming::kTunnel, 0};
    return {};
  }
  absl::AsciiStrToLower(&head.scheme);
  if (head.scheme != "http" && head.scheme != "https") return {400, "bad_scheme"};
  const bool path_ok = !head.path.empty() && IsTarget(head.path) &&
                       (head.path[0] == '/' || (head.path == "*" && head.method == "OPTIONS"));
  if (!path_ok) return {400, "bad_target"};
  if (connect) {
    if (!IsFieldName(protocol_)) return {400, "bad_protocol"};
    ShowUpgrade(head);
    asked = H2Asked::kUpgrade;
    body = {BodyFraming::kTunnel, 0};
    return {};
  }
  if (head.method == "HEAD") asked = H2Asked::kHead;
  if (!ends) {
    body = OpenBody(head.headers);
  } else if (head.headers.Has(KnownHeader::kContentLength)) {
    body = {BodyFraming::kLength, 0};  // nghttp2 refuses any other value here
  }
  return {};
}

H1Error H2FieldReader::FinishResponse(bool ends, H2Asked asked, absl::string_view protocol,
                                      ResponseHead& head, BodyLength& body) {
  head.version = HttpVersion::kHttp2;
  if (!error_.ok()) return error_;
  if (head.status < 100 || head.status == 101) return {502, "bad_status"};  // section 8.6
  if (head.status < 200) return ends ? H1Error{502, "bad_status"} : H1Error{};
  const bool success = head.status < 300;
  if (success && asked == H2Asked::kUpgrade) {
    head.status = 101;
    head.headers.Set(KnownHeader::kConnection, "Upgrade");
    head.headers.Set(KnownHeader::kUpgrade, protocol);
    body = {BodyFraming::kTunnel, 0};
  } else if (success && asked == H2Asked::kConnect) {
    body = {BodyFraming::kTunnel, 0};
  } else if (asked == H2Asked::kHead || head.status == 204 || head.status == 304) {
    body = {};
  } else if (ends) {
    body = {BodyFraming::kLength, 0};
  } else {
    body = OpenBody(head.headers);
  }
  return {};
}

void H2FieldList::Add(absl::string_view name, absl::string_view value, uint8_t flags) {
  fields_.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(name.data())),
                     reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), name.size(),
                     value.size(), flags});
}

void H2FieldList::AddRequest(const RequestHead& head, BodyLength body, absl::string_view scheme) {
  const absl::string_view protocol = RequestedUpgrade(head.headers);
  const bool tunnel = head.method == "CONNECT";
  if (!head.scheme.empty()) scheme = head.scheme;
  const auto add = [this](absl::string_view name, absl::string_view value) {
    Add(name, value, NGHTTP2_NV_FLAG_NO_COPY_NAME);
  };
  add(":method", protocol.empty() ? absl::string_view(head.method) : "CONNECT");
  if (!protocol.empty()) add(":protocol", protocol);
  if (!tunnel) {
    add(":scheme", scheme);
    add(":path", head.path.empty() ? absl::string_view("/") : head.path);
  }
  if (!head.authority.empty()) add(":authority", head.authority);
  AddHeaders(head.headers, body);
  // Servers of gRPC insist on it, and RemoveHopByHop took it. It is true of this hop.
  const bool grpc = absl::StartsWith(head.headers.Get(KnownHeader::kContentType).value_or(""),
                                     "application/grpc");
  if (grpc && !head.headers.Has(KnownHeader::kTe)) add("te", "trailers");
}

void H2FieldList::AddResponse(int status, const ResponseHead& head, BodyLength body) {
  std::to_chars(status_, status_ + sizeof(status_), status);
  Add(":status", {status_, sizeof(status_)}, NGHTTP2_NV_FLAG_NO_COPY_NAME);
  AddHeaders(head.headers, body);
}

void H2FieldList::AddHeaders(const Headers& headers, BodyLength body) {
  for (const HeaderView header : headers) {
    if (StaysBehind(header.known)) continue;
    if (header.known == KnownHeader::kTe && !absl::EqualsIgnoreCase(header.value, "trailers")) {
      continue;
    }
    // What Write() will be given counts; but without a body it answers HEAD, or is a 304's.
    if (header.known == KnownHeader::kContentLength && body.framing != BodyFraming::kNone) continue;
    Add(header.name, header.value);
  }
  if (body.framing != BodyFraming::kLength) return;
  // A length of 0 is said by the end; a peer that said it may want it said.
  if (body.length == 0 && !headers.Has(KnownHeader::kContentLength)) return;
  const char* end = std::to_chars(length_, length_ + sizeof(length_), body.length).ptr;
  Add("content-length", {length_, static_cast<size_t>(end - length_)},
      NGHTTP2_NV_FLAG_NO_COPY_NAME);
}

void H2FieldList::AddTrailers(const Headers& trailers) {
  for (const HeaderView header : trailers) {
    if (!StaysBehind(header.known)) Add(header.name, header.value);
  }
}

}  // namespace weft
