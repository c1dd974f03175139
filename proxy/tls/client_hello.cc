#include "proxy/tls/client_hello.h"

#include <arpa/inet.h>

#include <algorithm>
#include <cstdint>
#include <optional>
#include <utility>

#include "absl/strings/ascii.h"

namespace weft {
namespace {

constexpr uint8_t kHandshakeRecord = 22;      // RFC 8446 section 5.1
constexpr uint8_t kClientHelloMessage = 1;    // RFC 8446 section 4
constexpr uint16_t kServerNameExtension = 0;  // RFC 6066 section 3
constexpr uint16_t kAlpnExtension = 16;       // RFC 7301 section 3.1
constexpr size_t kRecordHeader = 5;
constexpr size_t kMaxRecord = 16 << 10;
constexpr size_t kMessageHeader = 4;
constexpr size_t kMaxServerName = 255;

// Reads big-endian fields off the front; after a short read everything fails.
class Reader {
 public:
  explicit Reader(absl::string_view bytes) : left_(bytes) {}

  std::optional<size_t> Number(size_t bytes) {
    if (left_.size() < bytes) return std::nullopt;
    size_t value = 0;
    for (size_t i = 0; i < bytes; ++i) value = value << 8 | static_cast<uint8_t>(left_[i]);
    left_.remove_prefix(bytes);
    return value;
  }

  // A vector with a length prefix of `length_bytes` (RFC 8446 section 3.4).
  std::optional<absl::string_view> Vector(size_t length_bytes) {
    std::optional<size_t> length = Number(length_bytes);
    if (!length.has_value() || left_.size() < *length) return std::nullopt;
    absl::string_view value = left_.substr(0, *length);
    left_.remove_prefix(*length);
    return value;
  }

  bool Skip(size_t bytes) {
    if (left_.size() < bytes) return false;
    left_.remove_prefix(bytes);
    return true;
  }

  bool empty() const { return left_.empty(); }

 private:
  absl::string_view left_;
};

ClientHello Answer(ClientHelloState state, const char* error = "") {
  ClientHello hello;
  hello.state = state;
  hello.error = error;
  return hello;
}

ClientHello Invalid(const char* error) { return Answer(ClientHelloState::kInvalid, error); }

size_t At(absl::string_view bytes, size_t i) { return static_cast<uint8_t>(bytes[i]); }

// Joins the handshake bytes of the records at hand into `message`, as far as the first handshake
// message goes. kClientHello means it is complete.
ClientHello Reassemble(absl::string_view bytes, std::string& message) {
  size_t wanted = kMessageHeader;
  while (message.size() < wanted) {
    if (!bytes.empty() && At(bytes, 0) != kHandshakeRecord) {
      return message.empty() ? Answer(ClientHelloState::kNotTls)
                             : Invalid("not a handshake record");
    }
    if (bytes.size() >= 2 && At(bytes, 1) != 3) {
      return message.empty() ? Answer(ClientHelloState::kNotTls) : Invalid("bad record version");
    }
    if (bytes.size() < kRecordHeader) return Answer(ClientHelloState::kNeedMore);
    const size_t length = At(bytes, 3) << 8 | At(bytes, 4);
    if (length == 0 || length > kMaxRecord) return Invalid("record of a forbidden length");
    const absl::string_view body = bytes.substr(kRecordHeader, length);
    message.append(body.data(), body.size());
    if (!message.empty() && At(message, 0) != kClientHelloMessage) {
      return Invalid("handshake does not start with a ClientHello");
    }
    if (message.size() >= kMessageHeader) {
      wanted = kMessageHeader + (At(message, 1) << 16 | At(message, 2) << 8 | At(message, 3));
      if (wanted > kMaxClientHello) return Invalid("ClientHello larger than 16 KiB");
    }
    if (body.size() < length && message.size() < wanted) {
      return Answer(ClientHelloState::kNeedMore);
    }
    bytes.remove_prefix(std::min(bytes.size(), kRecordHeader + length));
  }
  message.resize(wanted);
  return Answer(ClientHelloState::kClientHello);
}

bool IsIpLiteral(const std::string& name) {
  unsigned char address[sizeof(in6_addr)];
  return inet_pton(AF_INET, name.c_str(), address) == 1 ||
         inet_pton(AF_INET6, name.c_str(), address) == 1;
}

bool IsPrintable(char c) { return absl::ascii_isgraph(c); }

// RFC 6066 section 3: a list that holds one host_name.
const char* ReadServerName(absl::string_view extension, ClientHello& hello) {
  Reader reader(extension);
  std::optional<absl::string_view> list = reader.Vector(2);
  if (!list.has_value() || !reader.empty()) return "malformed server name list";
  Reader names(*list);
  std::optional<size_t> type = names.Number(1);
  std::optional<absl::string_view> name = names.Vector(2);
  if (!type.has_value() || *type != 0 || !name.has_value()) return "malformed server name";
  if (!names.empty()) return "several server names";
  if (name->empty()) return "empty server name";
  if (name->size() > kMaxServerName) return "server name longer than 255 bytes";
  if (!std::all_of(name->begin(), name->end(), IsPrintable)) {
    return "server name with a control character, space or non-ASCII byte";
  }
  std::string text = absl::AsciiStrToLower(*name);
  if (!IsIpLiteral(text)) hello.server_name = std::move(text);
  return nullptr;
}

// RFC 7301 section 3.1: a list of non-empty names.
const char* ReadAlpn(absl::string_view extension, ClientHello& hello) {
  Reader reader(extension);
  std::optional<absl::string_view> list = reader.Vector(2);
  if (!list.has_value() || list->empty() || !reader.empty()) return "malformed ALPN list";
  Reader names(*list);
  while (!names.empty()) {
    std::optional<absl::string_view> name = names.Vector(1);
    if (!name.has_value() || name->empty()) return "malformed ALPN name";
    hello.alpn.emplace_back(*name);
  }
  return nullptr;
}

const char* ReadExtensions(absl::string_view bytes, ClientHello& hello) {
  bool seen_server_name = false;
  bool seen_alpn = false;
  Reader reader(bytes);
  while (!reader.empty()) {
    std::optional<size_t> type = reader.Number(2);
    std::optional<absl::string_view> body = reader.Vector(2);
    if (!type.has_value() || !body.has_value()) return "malformed extension";
    const char* error = nullptr;
    if (*type == kServerNameExtension) {
      if (std::exchange(seen_server_name, true)) return "server name sent twice";
      error = ReadServerName(*body, hello);
    } else if (*type == kAlpnExtension) {
      if (std::exchange(seen_alpn, true)) return "ALPN sent twice";
      error = ReadAlpn(*body, hello);
    }
    if (error != nullptr) return error;
  }
  return nullptr;
}

// RFC 8446 section 4.1.2, the same in all versions of TLS.
ClientHello ReadHello(absl::string_view message) {
  Reader reader(message.substr(kMessageHeader));
  const bool fixed = reader.Skip(2 + 32) &&           // legacy_version, random
                     reader.Vector(1).has_value() &&  // legacy_session_id
                     reader.Vector(2).has_value() &&  // cipher_suites
                     reader.Vector(1).has_value();    // legacy_compression_methods
  if (!fixed) return Invalid("malformed ClientHello");
  ClientHello hello = Answer(ClientHelloState::kClientHello);
  if (reader.empty()) return hello;  // TLS 1.2 without extensions
  std::optional<absl::string_view> extensions = reader.Vector(2);
  if (!extensions.has_value() || !reader.empty()) return Invalid("malformed extensions");
  if (const char* error = ReadExtensions(*extensions, hello); error != nullptr) {
    return Invalid(error);
  }
  return hello;
}

}  // namespace

ClientHello ParseClientHello(absl::string_view bytes) {
  std::string message;
  ClientHello hello = Reassemble(bytes, message);
  if (hello.state == ClientHelloState::kNeedMore && bytes.size() >= kMaxSniffedBytes) {
    return Invalid("no complete ClientHello in 24 KiB");
  }
  if (hello.state != ClientHelloState::kClientHello) return hello;
  return ReadHello(message);
}

}  // namespace weft
