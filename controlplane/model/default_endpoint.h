// Where a Sidecar's ingress listener leads: the text of `defaultEndpoint`. Pure.
#ifndef WEFT_CONTROLPLANE_MODEL_DEFAULT_ENDPOINT_H_
#define WEFT_CONTROLPLANE_MODEL_DEFAULT_ENDPOINT_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace weft {

struct DefaultEndpoint {
  std::string ip;  // loopback; empty: the workload's own address
  uint16_t port = 0;
  std::string path;  // of a Unix socket, instead of the above
};

// "127.0.0.1:PORT", "0.0.0.0:PORT", "[::1]:PORT", "[::]:PORT" or "unix:///PATH"; nothing if it is
// none of these.
std::optional<DefaultEndpoint> ParseDefaultEndpoint(absl::string_view text);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_DEFAULT_ENDPOINT_H_
