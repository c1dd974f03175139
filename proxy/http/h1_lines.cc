#include "proxy/http/h1_lines.h"

#include <array>
#include <cstring>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"

namespace weft {
namespace {

enum CharClass : uint8_t {
  kTokenChar = 1,   // RFC 9110, section 5.6.2
  kTargetChar = 2,  // visible ASCII but '#': a fragment is never sent (RFC 9112, section 3.2)
  kHostChar = 4,    // reg-name of RFC 3986, section 3.2.2
  kValueChar = 8,   // field-vchar, SP and HTAB (RFC 9110, section 5.5)
  kHexOrColon = 16,
};

constexpr bool Contains(const char* set, char c) {
  for (; *set != 0; ++set) {
    if (*set == c) return true;
  }
  return false;
}

constexpr std::array<uint8_t, 256> MakeCharClasses() {
  std::array<uint8_t, 256> classes = {};
  for (int i = 0; i < 256; ++i) {
    const char c = static_cast<char>(i);
    const bool alnum = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
    const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
    uint8_t bits = 0;
    if (alnum || Contains("!#$%&'*+-.^_`|~", c)) bits |= kTokenChar;
    if (i > 0x20 && i < 0x7f && c != '#') bits |= kTargetChar;
    if (alnum || Contains("-._~!$&'()*+,;=%", c)) bits |= kHostChar;
    if ((i >= 0x20 && i != 0x7f) || c == '\t') bits |= kValueChar;
    if (hex || c == ':' || c == '.') bits |= kHexOrColon;
    classes[i] = bits;
  }
  return classes;
}

constexpr std::array<uint8_t, 256> kCharClasses = MakeCharClasses();

inline bool Is(CharClass wanted, char c) {
  return (kCharClasses[static_cast<uint8_t>(c)] & wanted) != 0;
}

bool AllAre(CharClass wanted, absl::string_view text) {
  for (const char c : text) {
    if (!Is(wanted, c)) return false;
  }
  return true;
}

// Eight bytes at a time: whether any may be a control character. False alarms only cost time.
bool AllAreValueChars(const char* at, const char* end) {
  constexpr uint64_t kOnes = 0x0101010101010101u;
  constexpr uint64_t kTops = 0x8080808080808080u;
  for (; end - at >= 8; at += 8) {
    uint64_t word;
    std::memcpy(&word, at, 8);
    const uint64_t below_space = (word - kOnes * 0x20) & ~word & kTops;
    const uint64_t delete_char =
        ((word ^ (kOnes * 0x7f)) - kOnes) & ~(word ^ (kOnes * 0x7f)) & kTops;
    if ((below_space | delete_char) != 0 && !AllAre(kValueChar, {at, 8})) return false;
  }
  return AllAre(kValueChar, {at, static_cast<size_t>(end - at)});
}

inline bool IsBlank(char c) { return c == ' ' || c == '\t'; }

bool IsPort(absl::string_view text) {
  uint32_t port = 0;
  if (text.empty()) return true;  // "host:" is allowed (RFC 3986, section 3.2.3)
  if (text.size() > 5) return false;
  for (const char c : text) {
    if (!absl::ascii_isdigit(c)) return false;
    port = port * 10 + (c - '0');
  }
  return port <= 65535;
}

H1Error ParseVersion(absl::string_view text, HttpVersion& version) {
  if (text == "HTTP/1.1") {
    version = HttpVersion::kHttp11;
    return {};
  }
  if (text == "HTTP/1.0") {
    version = HttpVersion::kHttp10;
    return {};
  }
  const bool well_formed = text.size() == 8 && absl::StartsWith(text, "HTTP/") &&
                           absl::ascii_isdigit(text[5]) && text[6] == '.' &&
                           absl::ascii_isdigit(text[7]);
  if (well_formed) return {505, "unsupported_version"};
  return {400, "bad_version"};
}

void Assign(std::string& to, absl::string_view from) { to.assign(from.data(), from.size()); }

// RFC 9112, section 3.2: origin-, absolute-, authority- and asterisk-form.
H1Error ParseTarget(absl::string_view target, RequestHead& head) {
  constexpr H1Error kBad = {400, "bad_target"};
  if (target.empty() || !AllAre(kTargetChar, target)) return kBad;
  if (head.method == "CONNECT") {
    const size_t colon = target.rfind(':');
    if (colon == absl::string_view::npos || colon + 1 == target.size()) return kBad;
    if (!IsAuthority(target)) return kBad;
    Assign(head.authority, target);
    return {};
  }
  if (target[0] == '/') {
    Assign(head.path, target);
    return {};
  }
  if (target == "*") {
    if (head.method != "OPTIONS") return kBad;
    head.path = "*";
    return {};
  }
  const size_t scheme_end = target.find("://");
  if (scheme_end == absl::string_view::npos) return kBad;
  head.scheme = absl::AsciiStrToLower(target.substr(0, scheme_end));
  if (head.scheme != "http" && head.scheme != "https") return kBad;
  target.remove_prefix(scheme_end + 3);
  const size_t authority_end = std::min(target.find_first_of("/?"), target.size());
  const absl::string_view authority = target.substr(0, authority_end);
  if (authority.empty() || !IsAuthority(authority)) return kBad;
  Assign(head.authority, authority);
  target.remove_prefix(authority_end);
  if (target.empty()) {
    head.path = head.method == "OPTIONS" ? "*" : "/";  // RFC 9112, section 3.2.4
  } else {
    if (target[0] == '?') head.path = "/";
    head.path.append(target.data(), target.size());
  }
  return {};
}

}  // namespace

bool IsAuthority(absl::string_view text) {
  absl::string_view port;
  if (!text.empty() && text[0] == '[') {
    const size_t close = text.find(']');
    if (close == absl::string_view::npos || close < 3) return false;
    if (!AllAre(kHexOrColon, text.substr(1, close - 1))) return false;
    port = text.substr(close + 1);
    if (port.empty()) return true;
    if (port[0] != ':') return false;
    return IsPort(port.substr(1));
  }
  const size_t colon = text.find(':');
  if (colon == absl::string_view::npos) return AllAre(kHostChar, text);
  return colon > 0 && AllAre(kHostChar, text.substr(0, colon)) && IsPort(text.substr(colon + 1));
}

bool IsFieldName(absl::string_view name) { return !name.empty() && AllAre(kTokenChar, name); }

bool IsFieldValue(absl::string_view value) {
  return AllAreValueChars(value.data(), value.data() + value.size());
}

H1Error ParseRequestLine(absl::string_view line, RequestHead& head) {
  size_t method_end = 0;
  while (method_end < line.size() && Is(kTokenChar, line[method_end])) ++method_end;
  if (method_end == 0) return {400, "bad_method"};
  if (method_end == line.size() || line[method_end] != ' ') return {400, "bad_request_line"};
  Assign(head.method, line.substr(0, method_end));
  line.remove_prefix(method_end + 1);
  const size_t target_end = line.rfind(' ');
  if (target_end == absl::string_view::npos) return {400, "bad_request_line"};
  const H1Error error = ParseVersion(line.substr(target_end + 1), head.version);
  if (!error.ok()) return error;
  return ParseTarget(line.substr(0, target_end), head);
}

H1Error ParseStatusLine(absl::string_view line, ResponseHead& head) {
  constexpr H1Error kBad = {400, "bad_status_line"};
  const H1Error error = ParseVersion(line.substr(0, 8), head.version);
  if (!error.ok()) return error;
  if (line.size() < 12 || line[8] != ' ') return kBad;
  head.status = 0;
  for (const char c : line.substr(9, 3)) {
    if (!absl::ascii_isdigit(c)) return kBad;
    head.status = head.status * 10 + (c - '0');
  }
  if (head.status < 100) return kBad;
  line.remove_prefix(12);
  if (line.empty()) return {};  // servers leave out the space before an empty reason
  if (line[0] != ' ' || !AllAre(kValueChar, line)) return kBad;
  Assign(head.reason, line.substr(1));
  return {};
}

LineFinder::Result LineFinder::Find(absl::string_view bytes, size_t start, size_t limit) {
  if (scanned_ < start) scanned_ = start;
  const size_t reach = std::min(bytes.size(), limit);
  if (scanned_ < reach) {
    const void* found = std::memchr(bytes.data() + scanned_, '\n', reach - scanned_);
    if (found != nullptr) {
      const size_t at = static_cast<const char*>(found) - bytes.data();
      scanned_ = at + 1;
      return at > start && bytes[at - 1] == '\r' ? Result::kLine : Result::kBareLf;
    }
    scanned_ = reach;
  }
  return bytes.size() >= limit ? Result::kTooLong : Result::kNeedMore;
}

void FieldLineParser::Start(Headers* headers, HeadLimits limits) {
  headers_ = headers;
  headers_->Clear();
  limits_ = limits;
  line_start_ = 0;
  lines_.Restart();
  error_ = {};
  host_count_ = 0;
}

FieldLineParser::Result FieldLineParser::Fail(H1Error error) {
  error_ = error;
  headers_->Clear();
  return Result::kError;
}

FieldLineParser::Result FieldLineParser::Next(absl::string_view block) {
  for (;;) {
    switch (lines_.Find(block, line_start_, limits_.bytes)) {
      case LineFinder::Result::kNeedMore:
        return Result::kNeedMore;
      case LineFinder::Result::kTooLong:
        return Fail({431, "head_too_large"});
      case LineFinder::Result::kBareLf:
        return Fail({400, "bare_lf"});
      case LineFinder::Result::kLine:
        break;
    }
    const size_t start = line_start_;
    const size_t end = lines_.next() - 2;
    line_start_ = lines_.next();
    if (start == end) {
      headers_->bytes_.assign(block.data(), start);
      return Result::kDone;
    }
    const H1Error error = AddLine(block, start, end);
    if (!error.ok()) return Fail(error);
  }
}

// The line ends in CR, which is no token character: the scan for the name's end stops there.
H1Error FieldLineParser::AddLine(absl::string_view block, size_t start, size_t end) {
  const char* const bytes = block.data();
  const char* const line = bytes + start;
  const char* name_end = line;
  while (Is(kTokenChar, *name_end)) ++name_end;
  if (*name_end != ':' || name_end == line) {
    if (name_end == line && *line == ':') return {400, "empty_header_name"};
    // A line that starts with a blank: RFC 9112, sections 2.2 and 5.2.
    if (name_end == line && IsBlank(*line)) {
      const bool first = headers_->empty() && host_count_ == 0;
      return {400, first ? "space_before_first_header" : "folded_header"};
    }
    if (IsBlank(*name_end)) return {400, "space_before_colon"};  // section 5.1
    return {400, "bad_header_name"};
  }
  const char* value = name_end + 1;
  const char* value_end = bytes + end;
  while (value < value_end && IsBlank(*value)) ++value;
  while (value < value_end && IsBlank(value_end[-1])) --value_end;
  if (!AllAreValueChars(value, value_end)) return {400, "bad_header_value"};

  const size_t value_length = value_end - value;
  const KnownHeader known = IdentifyHeader({line, static_cast<size_t>(name_end - line)});
  if (known == KnownHeader::kHost) {
    ++host_count_;
    host_offset_ = value - bytes;
    host_length_ = value_length;
    return {};
  }
  if (headers_->size() >= limits_.fields) return {431, "too_many_headers"};
  Headers::Field field;
  field.name_offset = static_cast<uint32_t>(start);
  field.name_length = static_cast<uint32_t>(name_end - line);
  field.value_offset = static_cast<uint32_t>(value - bytes);
  field.value_length = static_cast<uint32_t>(value_length);
  field.known = known;
  headers_->Push(field);
  return {};
}

}  // namespace weft
