// RuntimeValues: what layered_runtime of a bootstrap says. Its static layers never change while the
// proxy runs, so that a value can be put in the place of the default it overrides before a resource
// is compiled, and no compiler has to know of runtime keys. Pure.
#ifndef WEFT_PROXY_CONFIG_RUNTIME_VALUES_H_
#define WEFT_PROXY_CONFIG_RUNTIME_VALUES_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"

namespace google::protobuf {
class Message;
}
namespace envoy::config::bootstrap::v3 {
class LayeredRuntime;
}

namespace weft {

struct RuntimeValues {
  std::vector<std::string> layers;  // names, the first is the lowest
  // By key ("a.b"), a value a layer, as text; "" where a layer does not say.
  std::map<std::string, std::vector<std::string>> values;

  // The highest layer's; null if none has the key.
  const std::string* Find(const std::string& key) const;
  // As /runtime shows it.
  std::string ToJson() const;
};

// The error names the layer that is not static.
absl::StatusOr<RuntimeValues> CompileRuntime(
    const envoy::config::bootstrap::v3::LayeredRuntime& from);

// Overrides the defaults within `message`, and within what is packed in it. The error names the key
// whose value is not of the kind that is needed.
absl::Status ApplyRuntime(const RuntimeValues& runtime, google::protobuf::Message* message);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_RUNTIME_VALUES_H_
