// Fuzzes the HTTP/1 decoder: it takes no more than it is given (Transcribe aborts), and bytes give
// the same events however they are split.
#include <cstddef>
#include <cstdint>
#include <cstdlib>

#include "absl/strings/string_view.h"
#include "proxy/http/h1_transcript.h"

// The first byte chooses the role and what a response answers, the second the distance of the cuts.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  weft::TranscriptInput input;
  if (data[0] & 1) input.role = weft::H1Decoder::Role::kResponses;
  if (data[0] & 2) input.response_to = "HEAD";
  if (data[0] & 4) input.response_to = "CONNECT";
  input.upgrade_requested = data[0] & 8;
  input.eof = data[0] & 16;
  const absl::string_view bytes(reinterpret_cast<const char*>(data) + 2, size - 2);
  const std::string whole = weft::Transcribe(bytes, input);
  for (size_t cut = 1 + data[1]; cut < bytes.size(); cut += 1 + data[1])
    input.splits.push_back(cut);
  if (weft::Transcribe(bytes, input) != whole) std::abort();
  return 0;
}
