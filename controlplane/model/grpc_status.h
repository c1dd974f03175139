// The status codes of gRPC by the names that config uses.
#ifndef WEFT_CONTROLPLANE_MODEL_GRPC_STATUS_H_
#define WEFT_CONTROLPLANE_MODEL_GRPC_STATUS_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace weft {

// "UNAVAILABLE" → 14; a number of 0 to 16 is itself. Nothing for any other text.
std::optional<uint32_t> GrpcStatusNamed(absl::string_view name);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_GRPC_STATUS_H_
