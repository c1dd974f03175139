#include "proxy/http/h1_framing.h"

#include <limits>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_split.h"

namespace weft {
namespace {

// 1*DIGIT (RFC 9110, section 8.6); a list of equal values is refused as well.
bool ParseContentLength(absl::string_view text, uint64_t& length) {
  constexpr uint64_t kMost = std::numeric_limits<int64_t>::max();
  if (text.empty()) return false;
  length = 0;
  for (const char c : text) {
    if (!absl::ascii_isdigit(c)) return false;
    const uint64_t digit = c - '0';
    if (length > (kMost - digit) / 10) return false;
    length = length * 10 + digit;
  }
  return true;
}

// Only `chunked`, once, is understood (section 6.1).
H1Error CheckTransferEncoding(const Headers& headers) {
  bool ends_chunked = false;
  int codings = 0;
  for (const HeaderView header : headers) {
    if (header.known != KnownHeader::kTransferEncoding) continue;
    for (absl::string_view coding : absl::StrSplit(header.value, ',')) {
      coding = absl::StripAsciiWhitespace(coding);
      if (coding.empty() || ends_chunked) return {400, "bad_transfer_encoding"};
      ends_chunked = absl::EqualsIgnoreCase(coding, "chunked");
      ++codings;
    }
  }
  if (!ends_chunked) return {400, "bad_transfer_encoding"};
  if (codings > 1) return {501, "unsupported_transfer_coding"};
  return {};
}

// In lower case. Beside these, everything that starts with "if-", "x-forwarded-" or "x-envoy-".
constexpr absl::string_view kForbiddenTrailers[] = {
    "age",
    "authorization",
    "cache-control",
    "connection",
    "content-encoding",
    "content-length",
    "content-range",
    "content-type",
    "cookie",
    "date",
    "expect",
    "expires",
    "host",
    "keep-alive",
    "location",
    "max-forwards",
    "pragma",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "range",
    "retry-after",
    "set-cookie",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
    "vary",
    "via",
    "warning",
    "www-authenticate",
    "x-request-id",
};

}  // namespace

H1Error FrameByFields(const Headers& headers, HttpVersion version, BodyLength& body) {
  body = {};
  const bool has_length = headers.Has(KnownHeader::kContentLength);
  if (headers.Has(KnownHeader::kTransferEncoding)) {
    if (has_length) return {400, "content_length_and_transfer_encoding"};
    if (version == HttpVersion::kHttp10) return {400, "transfer_encoding_in_http_1_0"};
    body.framing = BodyFraming::kChunked;
    return CheckTransferEncoding(headers);
  }
  if (!has_length) return {};
  int lines = 0;
  for (const HeaderView header : headers) lines += header.known == KnownHeader::kContentLength;
  if (lines > 1) return {400, "several_content_lengths"};
  body.framing = BodyFraming::kLength;
  if (!ParseContentLength(*headers.Get(KnownHeader::kContentLength), body.length)) {
    return {400, "bad_content_length"};
  }
  return {};
}

bool Persists(const Headers& headers, HttpVersion version) {
  if (!headers.Has(KnownHeader::kConnection)) return version != HttpVersion::kHttp10;
  if (ListHasToken(headers, KnownHeader::kConnection, "close")) return false;
  return version != HttpVersion::kHttp10 ||
         ListHasToken(headers, KnownHeader::kConnection, "keep-alive");
}

bool ForbiddenInTrailers(absl::string_view name) {
  for (absl::string_view prefix : {"if-", "x-forwarded-", "x-envoy-"}) {
    if (absl::StartsWithIgnoreCase(name, prefix)) return true;
  }
  for (absl::string_view forbidden : kForbiddenTrailers) {
    if (absl::EqualsIgnoreCase(name, forbidden)) return true;
  }
  return false;
}

}  // namespace weft
