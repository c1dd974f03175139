// Fuzzes the way from the text of a bootstrap to what a proxy does: whatever it says is taken or
// refused with a reason, and what is taken makes a Snapshot.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "api/envoy/bootstrap.pb.h"
#include "proxy/config/bootstrap.h"
#include "proxy/config/config_state.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const absl::string_view text(reinterpret_cast<const char*>(data), size);
  // It would read the files that the text names.
  const std::string lower = absl::AsciiStrToLower(text);
  if (absl::StrContains(lower, "filename") || absl::StrContains(lower, "path:")) return 0;
  const auto bootstrap = weft::ParseBootstrap(text, "fuzz.yaml");
  if (!bootstrap.ok()) {
    if (bootstrap.status().message().empty()) std::abort();
    return 0;
  }
  weft::ConfigState state;
  const absl::Status added = state.AddStatic(*bootstrap);
  if (!added.ok() && added.message().empty()) std::abort();
  if (state.snapshot() == nullptr) std::abort();
  return 0;
}
