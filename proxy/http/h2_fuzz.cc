// Fuzzes a server's H2Session: after the preface and one request, bytes of a peer's in pieces of
// any size. Each request is answered, or given up, by what the bytes say.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "proxy/http/h2_frames_for_test.h"
#include "proxy/http/h2_session.h"

namespace weft {
namespace {

void Answer(H2Session& session, H2StreamState& stream) {
  ResponseHead head;
  head.status = stream.failure.ok() ? 200 : stream.failure.status;
  session.WriteResponse(stream, head, {BodyFraming::kChunked, 0});
  session.Write(stream, stream.request.path);
}

// A promise of the head's: what an HTTP/1.1 hop gets cannot be read as anything else.
void CheckHead(const RequestHead& head) {
  for (const std::string* text : {&head.method, &head.path, &head.authority}) {
    if (text->find_first_of("\r\n ") != std::string::npos) std::abort();
  }
  for (const HeaderView header : head.headers) {
    if (header.value.find_first_of("\r\n") != absl::string_view::npos) std::abort();
  }
  if (head.headers.Has(KnownHeader::kTransferEncoding)) std::abort();
}

void Run(absl::string_view bytes, size_t piece) {
  H2Counters counters;
  Http2Options options;
  options.allow_connect = true;
  H2Session session(H2Session::Role::kServer, options, true, &counters);
  const std::string start = H2Preface() + H2Headers(1, H2RequestFields("POST"), kEndHeaders);
  std::vector<H2StreamState*> held;
  bool alive = session.Receive(start, absl::ZeroDuration());
  while (alive && !bytes.empty()) {
    alive = session.Receive(bytes.substr(0, piece), absl::ZeroDuration());
    bytes.remove_prefix(std::min(piece, bytes.size()));
    while (H2StreamState* stream = session.TakeRequest()) {
      if (stream->failure.ok()) CheckHead(stream->request);
      Answer(session, *stream);
      held.push_back(stream);
    }
    while (H2StreamState* stream = session.TakeChanged()) {
      if (!stream->in.empty()) session.Take(*stream, stream->in.size());
      if (stream->in_ended) session.WriteEnd(*stream, stream->trailers);
    }
    Buffer out;
    session.Fill(out, 16 * 1024);
    if (held.size() > 3) {
      session.Release(*held.back());
      held.pop_back();
    }
  }
  for (H2StreamState* stream : held) session.Release(*stream);
}

}  // namespace
}  // namespace weft

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 1) return 0;
  weft::Run({reinterpret_cast<const char*>(data) + 1, size - 1}, 1 + data[0]);
  return 0;
}
