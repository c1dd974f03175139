// FaultConfig: delays and aborts that are injected into a share of the requests.
// Immutable once compiled; any thread.
#ifndef WEFT_PROXY_CONFIG_FAULT_CONFIG_H_
#define WEFT_PROXY_CONFIG_FAULT_CONFIG_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "proxy/config/fraction.h"
#include "proxy/config/matchers.h"

namespace weft {

struct FaultConfig {
  absl::Duration delay;
  Fraction delay_share = Fraction::Never();
  int abort_status = 0;  // of HTTP; 0: `abort_grpc_status` is what is sent
  std::optional<int> abort_grpc_status;
  Fraction abort_share = Fraction::Never();
  std::string upstream_cluster;               // only requests that go there; "": all
  std::vector<HeaderMatch> headers;           // only requests that match all of them
  std::vector<std::string> downstream_nodes;  // only from these; none: all
  std::optional<uint32_t> max_active;         // of one worker at a time
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_FAULT_CONFIG_H_
