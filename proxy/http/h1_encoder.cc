#include "proxy/http/h1_encoder.h"

#include <cstring>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

// Room for the words between the parts: versions, separators, framing fields.
constexpr size_t kFixedText = 128;
constexpr size_t kPerField = 4;  // ": " and CRLF

// Writes into room reserved for the whole head at once.
class Writer {
 public:
  Writer(Buffer& out, size_t most) : out_(out), start_(out.Reserve(most)), at_(start_) {}
  ~Writer() { out_.Commit(at_ - start_); }

  Writer& Put(absl::string_view text) {
    if (!text.empty()) std::memcpy(at_, text.data(), text.size());
    at_ += text.size();
    return *this;
  }
  Writer& PutNumber(uint64_t number) {
    const absl::AlphaNum digits(number);
    return Put(digits.Piece());
  }
  Writer& PutField(absl::string_view name, absl::string_view value) {
    return Put(name).Put(": ").Put(value).Put("\r\n");
  }

 private:
  Buffer& out_;
  char* const start_;
  char* at_;
};

size_t FieldBytes(const Headers& headers) {
  return headers.byte_size() + headers.size() * kPerField;
}

void PutFields(const Headers& headers, bool keep_content_length, bool keep_connection,
               Writer& writer) {
  for (const HeaderView header : headers) {
    if (header.known == KnownHeader::kTransferEncoding || header.known == KnownHeader::kHost)
      continue;
    if (header.known == KnownHeader::kContentLength && !keep_content_length) continue;
    if (header.known == KnownHeader::kConnection && !keep_connection) continue;
    writer.PutField(header.name, header.value);
  }
}

void PutFraming(BodyLength body, Writer& writer) {
  if (body.framing == BodyFraming::kLength) {
    writer.Put("content-length: ").PutNumber(body.length).Put("\r\n");
  } else if (body.framing == BodyFraming::kChunked) {
    writer.Put("transfer-encoding: chunked\r\n");
  }
}

}  // namespace

void AppendRequestHead(const RequestHead& head, BodyLength body, Buffer& out) {
  Writer writer(out, kFixedText + head.method.size() + head.path.size() +
                         2 * head.authority.size() + FieldBytes(head.headers));
  const bool connect = head.method == "CONNECT";
  writer.Put(head.method).Put(" ").Put(connect ? head.authority : head.path).Put(" HTTP/1.1\r\n");
  writer.PutField("Host", head.authority);
  PutFields(head.headers, /*keep_content_length=*/false, /*keep_connection=*/true, writer);
  PutFraming(body, writer);
  writer.Put("\r\n");
}

void AppendResponseHead(const ResponseHead& head, BodyLength body, Buffer& out,
                        absl::string_view connection) {
  const absl::string_view reason =
      head.reason.empty() ? ReasonPhrase(head.status) : absl::string_view(head.reason);
  Writer writer(out, kFixedText + reason.size() + FieldBytes(head.headers));
  writer.Put("HTTP/1.1 ").PutNumber(head.status).Put(" ").Put(reason).Put("\r\n");
  PutFields(head.headers, body.framing == BodyFraming::kNone, connection.empty(), writer);
  if (!connection.empty()) writer.PutField("connection", connection);
  PutFraming(body, writer);
  writer.Put("\r\n");
}

ChunkPrefix::ChunkPrefix(size_t chunk_size) : start_(sizeof(text_)) {
  text_[--start_] = '\n';
  text_[--start_] = '\r';
  do {
    text_[--start_] = "0123456789abcdef"[chunk_size % 16];
    chunk_size /= 16;
  } while (chunk_size > 0);
}

void AppendChunk(absl::string_view bytes, Buffer& out) {
  if (bytes.empty()) return;
  const ChunkPrefix prefix(bytes.size());
  Writer writer(out, prefix.view().size() + bytes.size() + kChunkSuffix.size());
  writer.Put(prefix.view()).Put(bytes).Put(kChunkSuffix);
}

void AppendLastChunk(const Headers& trailers, Buffer& out) {
  Writer writer(out, kLastChunk.size() + FieldBytes(trailers));
  writer.Put("0\r\n");
  for (const HeaderView trailer : trailers) writer.PutField(trailer.name, trailer.value);
  writer.Put("\r\n");
}

absl::string_view ReasonPhrase(int status) {
  switch (status) {
    case 100:
      return "Continue";
    case 101:
      return "Switching Protocols";
    case 200:
      return "OK";
    case 201:
      return "Created";
    case 202:
      return "Accepted";
    case 204:
      return "No Content";
    case 206:
      return "Partial Content";
    case 301:
      return "Moved Permanently";
    case 302:
      return "Found";
    case 303:
      return "See Other";
    case 304:
      return "Not Modified";
    case 307:
      return "Temporary Redirect";
    case 308:
      return "Permanent Redirect";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 411:
      return "Length Required";
    case 413:
      return "Content Too Large";
    case 414:
      return "URI Too Long";
    case 415:
      return "Unsupported Media Type";
    case 417:
      return "Expectation Failed";
    case 421:
      return "Misdirected Request";
    case 422:
      return "Unprocessable Content";
    case 426:
      return "Upgrade Required";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 502:
      return "Bad Gateway";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "";
  }
}

void AppendLocalReply(const LocalReply& reply, Buffer& out) {
  ResponseHead head;
  head.status = reply.status;
  if (reply.headers != nullptr) head.headers = *reply.headers;
  // 1xx, 204 and 304 have no body (RFC 9110, section 6.4.1).
  const bool bodiless = reply.status < 200 || reply.status == 204 || reply.status == 304;
  if (!reply.body.empty() && !bodiless) head.headers.Set("content-type", reply.content_type);
  if (reply.close) head.headers.Set("connection", "close");
  BodyLength body;
  if (!bodiless) body = {BodyFraming::kLength, reply.body.size()};
  AppendResponseHead(head, body, out);
  if (!bodiless && !reply.to_head) out.Append(reply.body);
}

}  // namespace weft
