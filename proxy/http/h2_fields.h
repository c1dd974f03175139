// The fields of HTTP/2 messages: what a decoded header block becomes a head by, and heads become a
// block's fields by (RFC 9113, section 8). Part of H2Session; pure.
//
// nghttp2 checks the letter of the RFC before a field comes here: characters, the order of
// pseudo-header fields and which of them there must be, connection-specific fields, and
// Content-Length against DATA. Here is what it leaves open and a next hop could read differently.
#ifndef WEFT_PROXY_HTTP_H2_FIELDS_H_
#define WEFT_PROXY_HTTP_H2_FIELDS_H_

#include <nghttp2/nghttp2.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "proxy/http/h1_lines.h"
#include "proxy/http/head.h"

namespace weft {

// What the request asked for, as far as it changes what the response means.
enum class H2Asked : uint8_t {
  kOther,
  kHead,
  kConnect,
  kUpgrade,  // extended CONNECT (RFC 8441); the heads show an Upgrade
};

// Reads one block of fields after another, bounding what they decode to: a byte on the wire may
// stand for kilobytes, and crumbs of cookies for a field of any length.
class H2FieldReader {
 public:
  H2FieldReader(size_t max_bytes, size_t max_fields)
      : max_bytes_(max_bytes), max_fields_(max_fields) {}

  void Start();
  void AddToRequest(absl::string_view name, absl::string_view value, RequestHead& head);
  void AddToResponse(absl::string_view name, absl::string_view value, ResponseHead& head);
  void AddToTrailers(absl::string_view name, absl::string_view value, Headers& trailers);

  // When the block is complete. `body` is how the message goes on.
  H1Error FinishRequest(bool ends, RequestHead& head, BodyLength& body, H2Asked& asked);
  H1Error FinishResponse(bool ends, H2Asked asked, absl::string_view protocol, ResponseHead& head,
                         BodyLength& body);
  H1Error FinishTrailers() const { return error_; }

 private:
  bool Count(absl::string_view name, absl::string_view value);
  void AddField(absl::string_view name, absl::string_view value, Headers& headers);
  H1Error SettleAuthority(RequestHead& head) const;
  void ShowUpgrade(RequestHead& head) const;

  const size_t max_bytes_;
  const size_t max_fields_;
  size_t bytes_ = 0;
  size_t fields_ = 0;
  H1Error error_;
  std::string cookie_;
  std::string host_;
  std::string protocol_;
};

// The fields of a block that goes out. Names may be in any case: nghttp2 lowers them as it copies.
// Borrows from the head, and from itself: fill it in place and submit it before either changes.
class H2FieldList {
 public:
  H2FieldList() = default;
  H2FieldList(const H2FieldList&) = delete;
  H2FieldList& operator=(const H2FieldList&) = delete;

  // `scheme` stands in for one the head does not name.
  void AddRequest(const RequestHead& head, BodyLength body, absl::string_view scheme);
  void AddResponse(int status, const ResponseHead& head, BodyLength body);
  void AddTrailers(const Headers& trailers);

  const nghttp2_nv* data() const { return fields_.data(); }
  size_t size() const { return fields_.size(); }

 private:
  void Add(absl::string_view name, absl::string_view value, uint8_t flags = NGHTTP2_NV_FLAG_NONE);
  void AddHeaders(const Headers& headers, BodyLength body);

  char status_[3];
  char length_[20];
  absl::InlinedVector<nghttp2_nv, 40> fields_;
};

// Whether a message of that length is over with its head.
inline bool EndsWithHead(BodyLength body) {
  return body.framing == BodyFraming::kNone ||
         (body.framing == BodyFraming::kLength && body.length == 0);
}

}  // namespace weft

#endif  // WEFT_PROXY_HTTP_H2_FIELDS_H_
