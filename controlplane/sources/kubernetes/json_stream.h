// JsonStream: cuts what an API server sends into objects while it comes: the items of a List, or
// the events of a watch. What is held is one object at a time, never the whole body; chunks may end
// anywhere. It looks at brackets and quotes only: whether an object is JSON its reader finds out.
//
// An object that is too large or nested too deeply is not handed out but counted, by name, and what
// comes behind it is read on. Pure; not thread-safe.
#ifndef WEFT_CONTROLPLANE_SOURCES_KUBERNETES_JSON_STREAM_H_
#define WEFT_CONTROLPLANE_SOURCES_KUBERNETES_JSON_STREAM_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft {

class JsonStream {
 public:
  enum class Shape {
    kList,   // one object; what is in its "items" is cut out
    kWatch,  // one object after the other
  };

  // etcd takes 1.5 MiB by default; nobody runs it with more than 8.
  static constexpr size_t kMaxObject = 8 << 20;
  // A List but for its items: kind, version and the continue token.
  static constexpr size_t kMaxEnvelope = 1 << 20;
  static constexpr int kMaxDepth = 100;  // of an object, as for files

  explicit JsonStream(Shape shape) : shape_(shape) {}

  // The objects that `chunk` completed. An error is about the stream as a whole, and is its end.
  absl::StatusOr<std::vector<std::string>> Feed(absl::string_view chunk);

  // Between two objects, so that the stream may end here; of a List, behind it.
  bool AtEnd() const { return depth_ == 0 && (shape_ == Shape::kWatch || ended_); }

  // Of a List that is AtEnd(): all of it but the items ("items":[]).
  const std::string& envelope() const { return envelope_; }

  // Objects that were left out since the last call, and why: "an object with more than 8388608
  // bytes, which begins: {"metadata":…".
  std::vector<std::string> TakeRefusals();

 private:
  absl::Status OnPlain(absl::string_view bytes);
  absl::Status OnOpen(char c);
  absl::Status OnClose(char c, std::vector<std::string>* out);
  // Whether an object may begin here.
  bool BetweenObjects() const;
  bool ItemsFollow() const;
  void Keep(absl::string_view bytes);
  void Refuse(absl::string_view why);

  const Shape shape_;
  int64_t depth_ = 0;
  int64_t base_ = 0;  // the depth that the object lies at, while in_object_
  bool in_string_ = false;
  bool escaped_ = false;   // the next byte follows a backslash
  bool in_items_ = false;  // between the brackets of a List's items
  bool in_object_ = false;
  bool refused_ = false;  // the object that comes is left out
  bool ended_ = false;    // the List is complete
  std::string object_;
  std::string envelope_;
  std::vector<std::string> refusals_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_KUBERNETES_JSON_STREAM_H_
