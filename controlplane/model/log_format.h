// Whether a text is an access-log format: Envoy's command operators, as far as weft-proxy knows
// them.
//
// A format stands in every listener; one that proxies refuse would hold all of them at their last
// state, so it is looked at before. Pure.
#ifndef WEFT_CONTROLPLANE_MODEL_LOG_FORMAT_H_
#define WEFT_CONTROLPLANE_MODEL_LOG_FORMAT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace google::protobuf {
class Struct;
}

namespace weft {

// The error names the operator.
absl::Status CheckLogFormat(absl::string_view format);

// The format of a JSON log, an object, as `accessLogFormat` has it in a text. What its texts say is
// not looked at.
absl::StatusOr<google::protobuf::Struct> ParseJsonLogFormat(absl::string_view text);

// One use of each operator there is ("%REQ(x)%"), for the test that proxies know all of them.
std::vector<std::string> LogOperators();

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_LOG_FORMAT_H_
