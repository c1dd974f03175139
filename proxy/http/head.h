// Headers, RequestHead and ResponseHead: what a message says before its body, the same for every
// version of HTTP. Codecs fill them, the request path reads and edits them, codecs write them.
//
// Headers lie in one block of bytes with a list of places in it, so a field costs no allocation,
// and Clear() keeps both, so a connection pays for them once. The spelling of names is kept as
// received; looking up ignores case. Names the request path asks for on every request are
// recognised while they are added, and finding them later is one array access.
//
// The name of the host is not among the headers: a codec takes Host (or :authority) out and puts it
// into RequestHead::authority, the only place to read or rewrite it; the encoder writes it back.
//
// Not thread-safe. Views are valid until the next call that is not const.
#ifndef WEFT_PROXY_HTTP_HEAD_H_
#define WEFT_PROXY_HTTP_HEAD_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"

namespace weft {

// Field names with a quick lookup; see kKnownHeaderNames in head.cc for the spelling.
enum class KnownHeader : uint8_t {
  kConnection,
  kContentLength,
  kContentType,
  kCookie,
  kDate,
  kExpect,
  kGrpcStatus,
  kHost,
  kKeepAlive,
  kProxyConnection,
  kServer,
  kTe,
  kTrailer,
  kTransferEncoding,
  kUpgrade,
  kUserAgent,
  kXEnvoyAttemptCount,
  kXEnvoyDecoratorOperation,
  kXEnvoyExpectedRequestTimeout,
  kXEnvoyMaxRetries,
  kXEnvoyPeerMetadata,
  kXEnvoyPeerMetadataId,
  kXEnvoyRetryOn,
  kXEnvoyUpstreamRequestTimeout,
  kXEnvoyUpstreamServiceTime,
  kXForwardedClientCert,
  kXForwardedFor,
  kXForwardedHost,
  kXForwardedProto,
  kXRequestId,
  kOther,  // everything else
};
inline constexpr size_t kKnownHeaders = static_cast<size_t>(KnownHeader::kOther);

// The known header of this name (in any case), or kOther.
KnownHeader IdentifyHeader(absl::string_view name);
// In lower case; "" for kOther.
absl::string_view KnownHeaderName(KnownHeader known);

// One field, as iterating gives it.
struct HeaderView {
  absl::string_view name;
  absl::string_view value;
  KnownHeader known;
};

class Headers {
 public:
  Headers() { first_.fill(kNone); }

  size_t size() const { return fields_.size(); }
  bool empty() const { return fields_.empty(); }
  HeaderView at(size_t index) const {
    const Field& field = fields_[index];
    const char* bytes = bytes_.data();
    return {{bytes + field.name_offset, field.name_length},
            {bytes + field.value_offset, field.value_length},
            field.known};
  }

  class Iterator {
   public:
    Iterator(const Headers* headers, size_t index) : headers_(headers), index_(index) {}
    HeaderView operator*() const { return headers_->at(index_); }
    Iterator& operator++() {
      ++index_;
      return *this;
    }
    bool operator!=(const Iterator& other) const { return index_ != other.index_; }

   private:
    const Headers* headers_;
    size_t index_;
  };
  Iterator begin() const { return {this, 0}; }
  Iterator end() const { return {this, fields_.size()}; }

  // The first value of the field; several fields of one name are kept apart, see GetAll.
  std::optional<absl::string_view> Get(KnownHeader known) const;
  std::optional<absl::string_view> Get(absl::string_view name) const;
  absl::InlinedVector<absl::string_view, 4> GetAll(absl::string_view name) const;
  bool Has(KnownHeader known) const { return first_[static_cast<size_t>(known)] != kNone; }
  bool Has(absl::string_view name) const { return Get(name).has_value(); }
  bool HasPrefix(absl::string_view prefix) const;  // "x-envoy-"

  // Name and value are taken as they are: whoever adds what a peer or a config said has checked it.
  // They may be views into these same Headers.
  void Add(absl::string_view name, absl::string_view value) {
    AddField(IdentifyHeader(name), name, value);
  }
  void Add(KnownHeader known, absl::string_view value) {
    AddField(known, KnownHeaderName(known), value);
  }
  // Replaces every field of that name by one, which keeps the place and spelling of the first.
  void Set(absl::string_view name, absl::string_view value) {
    SetField(IdentifyHeader(name), name, value);
  }
  void Set(KnownHeader known, absl::string_view value) {
    SetField(known, KnownHeaderName(known), value);
  }
  // Removes every field of that name; returns whether there was one.
  bool Remove(KnownHeader known);
  bool Remove(absl::string_view name);
  // Removes every field whose name starts with `prefix`: "x-envoy-".
  bool RemovePrefix(absl::string_view prefix);
  template <typename Predicate>  // bool(const HeaderView&)
  bool RemoveIf(Predicate predicate);

  // Keeps the memory.
  void Clear();
  // Bytes of all names and values.
  size_t byte_size() const;

 private:
  friend class FieldLineParser;

  struct Field {
    uint32_t name_offset;
    uint32_t name_length;
    uint32_t value_offset;
    uint32_t value_length;
    KnownHeader known;
  };
  static constexpr uint16_t kNone = 0xffff;

  // The index of the first field of that name, or kNone.
  size_t Find(KnownHeader known, absl::string_view name) const;
  void AddField(KnownHeader known, absl::string_view name, absl::string_view value);
  void SetField(KnownHeader known, absl::string_view name, absl::string_view value);
  void AppendBytes(absl::string_view a, absl::string_view b);
  void Push(const Field& field);
  void IndexKnown();

  std::string bytes_;
  std::vector<Field> fields_;
  std::array<uint16_t, kKnownHeaders> first_;  // index of the first field of a known name, or kNone
};

enum class HttpVersion : uint8_t { kHttp10, kHttp11, kHttp2 };

struct RequestHead {
  std::string method;
  std::string scheme;     // "http", "https"; empty if the peer did not say (origin-form)
  std::string authority;  // host and port as the client named them; empty if it named none
  std::string path;       // with the query; "*" for OPTIONS of the server; empty for CONNECT
  HttpVersion version = HttpVersion::kHttp11;
  Headers headers;

  void Clear();
};

struct ResponseHead {
  int status = 0;
  std::string reason;  // as the server phrased it; empty over HTTP/2
  HttpVersion version = HttpVersion::kHttp11;
  Headers headers;

  void Clear();
};

// How the end of a message's body is known.
enum class BodyFraming : uint8_t {
  kNone,        // no body
  kLength,      // a length given in advance
  kChunked,     // HTTP/1.1 chunks
  kUntilClose,  // the end of the connection; responses only
  kTunnel,      // a CONNECT or Upgrade: raw bytes, once it is accepted (stream/http_stream.h)
};
struct BodyLength {
  BodyFraming framing = BodyFraming::kNone;
  uint64_t length = 0;  // for kLength
};

// Whether the comma-separated list of `field` has `token`, in any case, in any of its lines.
bool ListHasToken(const Headers& headers, KnownHeader field, absl::string_view token);

// The protocol a message wants to switch to (Upgrade with Connection: upgrade), or "".
absl::string_view RequestedUpgrade(const Headers& headers);

// Removes the fields that concern one connection only, and those that Connection names
// (RFC 9110, section 7.6.1). Content-Length and Host are never removed by being named.
void RemoveHopByHop(Headers& headers);

// Implementation only below.

template <typename Predicate>
bool Headers::RemoveIf(Predicate predicate) {
  size_t kept = 0;
  for (size_t i = 0; i < fields_.size(); ++i) {
    if (predicate(at(i))) continue;
    if (kept != i) fields_[kept] = fields_[i];
    ++kept;
  }
  if (kept == fields_.size()) return false;
  fields_.resize(kept);
  IndexKnown();
  return true;
}

}  // namespace weft

#endif  // WEFT_PROXY_HTTP_HEAD_H_
