// "Did you mean": the name a user most likely meant by a misspelt one.
#ifndef WEFT_API_YAML_SUGGESTION_H_
#define WEFT_API_YAML_SUGGESTION_H_

#include <string>

#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"

namespace weft {

// Both return "; did you mean 'weight'?", or "" where nothing is near.
std::string SuggestField(absl::string_view misspelt, const google::protobuf::Descriptor& type);
std::string SuggestValue(absl::string_view misspelt, const google::protobuf::EnumDescriptor& type);

}  // namespace weft

#endif  // WEFT_API_YAML_SUGGESTION_H_
