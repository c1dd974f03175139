// Deterministic bytes for resources: equal messages give equal bytes, so that "did it change?" is a
// comparison of bytes. Protobuf leaves the order of map fields open; these functions fix it.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_ENCODE_H_
#define WEFT_CONTROLPLANE_TRANSLATE_ENCODE_H_

#include <memory>
#include <string>

namespace google::protobuf {
class Any;
class Message;
}  // namespace google::protobuf

namespace weft {

// A message inside another one. Not Any::PackFrom, which does not order maps.
google::protobuf::Any PackAny(const google::protobuf::Message& message);

// A whole resource: the serialized Any.
std::shared_ptr<const std::string> EncodeResource(const google::protobuf::Message& message);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_ENCODE_H_
