#include "controlplane/model/grpc_status.h"

#include <iterator>

#include "absl/strings/numbers.h"

namespace weft {

std::optional<uint32_t> GrpcStatusNamed(absl::string_view name) {
  constexpr absl::string_view kNames[] = {
      "OK",
      "CANCELLED",
      "UNKNOWN",
      "INVALID_ARGUMENT",
      "DEADLINE_EXCEEDED",
      "NOT_FOUND",
      "ALREADY_EXISTS",
      "PERMISSION_DENIED",
      "RESOURCE_EXHAUSTED",
      "FAILED_PRECONDITION",
      "ABORTED",
      "OUT_OF_RANGE",
      "UNIMPLEMENTED",
      "INTERNAL",
      "UNAVAILABLE",
      "DATA_LOSS",
      "UNAUTHENTICATED",
  };
  for (uint32_t code = 0; code < std::size(kNames); ++code) {
    if (kNames[code] == name) return code;
  }
  uint32_t number = 0;
  if (absl::SimpleAtoi(name, &number) && number < std::size(kNames)) return number;
  return std::nullopt;
}

}  // namespace weft
