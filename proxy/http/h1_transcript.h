// What a decoder made of some bytes, as text, however they were split; for tests and the fuzzer.
#ifndef WEFT_PROXY_HTTP_H1_TRANSCRIPT_H_
#define WEFT_PROXY_HTTP_H1_TRANSCRIPT_H_

#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "proxy/base/buffer.h"
#include "proxy/http/h1_decoder.h"

namespace weft {

struct TranscriptInput {
  H1Decoder::Role role = H1Decoder::Role::kRequests;
  std::string response_to = "GET";
  bool upgrade_requested = false;
  std::vector<size_t> splits;  // where the bytes are cut, ascending
  bool eof = true;             // after the last byte
};

inline void AppendHead(const RequestHead& head, std::string& to) {
  absl::StrAppend(&to, "[", head.method, " ", head.scheme, "|", head.authority, "|", head.path,
                  head.version == HttpVersion::kHttp10 ? " 1.0" : "");
}
inline void AppendHead(const ResponseHead& head, std::string& to) {
  absl::StrAppend(&to, "[", head.status, " ", head.reason);
}
inline void AppendFields(const Headers& headers, std::string& to) {
  for (const HeaderView header : headers) absl::StrAppend(&to, " ", header.name, "=", header.value);
}

// "[GET |host|/ name=value](body)." and so on for each message; then what came last: "..." (more is
// needed), "closed", or "!431 reason".
inline std::string Transcribe(absl::string_view bytes, const TranscriptInput& input) {
  using Event = H1Decoder::Event;
  H1Decoder decoder(input.role);
  decoder.ExpectResponse(input.response_to, input.upgrade_requested);
  std::string text, body;
  Buffer in;
  size_t given = 0;
  std::vector<size_t> splits = input.splits;
  splits.push_back(bytes.size());
  auto flush_body = [&] {
    if (!body.empty()) absl::StrAppend(&text, "(", body, ")");
    body.clear();
  };
  for (size_t split = 0; split < splits.size(); ++split) {
    in.Append(bytes.substr(given, splits[split] - given));
    given = splits[split];
    if (split + 1 == splits.size() && input.eof) decoder.OnEof();
    for (bool more = true; more;) {
      const size_t before = in.size();
      const Event event = decoder.Next(in);
      if (in.size() > before) std::abort();
      switch (event) {
        case Event::kNeedMore:
          more = false;
          break;
        case Event::kHead:
          flush_body();
          if (input.role == H1Decoder::Role::kRequests) {
            AppendHead(decoder.request(), text);
            AppendFields(decoder.request().headers, text);
          } else {
            AppendHead(decoder.response(), text);
            AppendFields(decoder.response().headers, text);
          }
          text += "]";
          break;
        case Event::kBody: {
          const size_t size = decoder.body_size();
          if (size == 0 || size > in.size()) std::abort();
          const absl::string_view piece = in.view().substr(0, size);
          body.append(piece.data(), piece.size());
          in.Consume(size);
          decoder.BodyTaken(size);
          break;
        }
        case Event::kEnd:
          flush_body();
          AppendFields(decoder.trailers(), text);
          text += ".";
          if (decoder.tunnel() || input.role == H1Decoder::Role::kResponses) {
            // The rest is not this message's.
            while (++split < splits.size()) {
              in.Append(bytes.substr(given, splits[split] - given));
              given = splits[split];
            }
            return absl::StrCat(text, in.empty() ? "" : "+", in.view());
          }
          decoder.NextMessage();
          break;
        case Event::kClosed:
          return text + "closed";
        case Event::kError:
          flush_body();
          return absl::StrCat(text, "!", decoder.error().status, " ", decoder.error().reason);
      }
    }
  }
  flush_body();
  return text + "...";
}

}  // namespace weft

#endif  // WEFT_PROXY_HTTP_H1_TRANSCRIPT_H_
