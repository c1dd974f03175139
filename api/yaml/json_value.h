// JsonDocument: one JSON text (RFC 8259), parsed into a flat list of places in that text.
//
// For what an API server sends, ten thousand objects at once: nothing is allocated for a value, and
// strings are unescaped where they lie. JsonValue, a place in it, has the part of YAML::Node's
// interface that reading messages needs, so that one walker (yaml_to_message.cc) serves both.
//
// Text comes from other systems: depth and size are bounded, and what is not JSON is an error that
// names the byte. Immutable once parsed, any thread.
#ifndef WEFT_API_YAML_JSON_VALUE_H_
#define WEFT_API_YAML_JSON_VALUE_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft {

class JsonDocument;

class JsonValue {
 public:
  enum class Kind : uint8_t { kUndefined, kNull, kBool, kNumber, kString, kSequence, kMap };
  class Iterator;

  JsonValue() = default;  // undefined: there is no such member

  Kind kind() const;
  bool IsDefined() const { return document_ != nullptr; }
  bool IsNull() const { return kind() == Kind::kNull; }
  bool IsMap() const { return kind() == Kind::kMap; }
  bool IsSequence() const { return kind() == Kind::kSequence; }
  bool IsScalar() const;
  // Of a string what it says, of a number or a boolean its text.
  absl::string_view Scalar() const;
  // The first member of that name; undefined if this has none, or is no mapping.
  JsonValue operator[](absl::string_view name) const;

  // Items of a sequence; entries of a mapping, as `first` and `second`. Nothing of a scalar.
  Iterator begin() const;
  Iterator end() const;

 private:
  friend class JsonDocument;
  JsonValue(const JsonDocument* document, uint32_t index) : document_(document), index_(index) {}

  const JsonDocument* document_ = nullptr;
  uint32_t index_ = 0;
};

struct JsonItem : JsonValue {
  JsonValue first;   // of a mapping's entry: its name
  JsonValue second;  // and its value
};

class JsonDocument {
 public:
  // Longest text, and deepest nesting, as for YAML (yaml_to_message.h).
  static constexpr size_t kMaxBytes = 32 << 20;
  static constexpr int kMaxDepth = 100;

  static absl::StatusOr<std::shared_ptr<const JsonDocument>> Parse(std::string text);

  // Borrows this document, as do the values in it.
  JsonValue root() const { return {this, 0}; }

 private:
  friend class JsonValue;
  friend class JsonParser;

  struct Node {
    uint32_t begin = 0;  // of a scalar, in text_
    uint32_t size = 0;
    uint32_t next = 0;  // the node after this one and all that is in it
    JsonValue::Kind kind = JsonValue::Kind::kNull;
  };

  JsonDocument() = default;

  std::string text_;
  // A container is followed by what is in it; an entry of a mapping is its name, then its value.
  std::vector<Node> nodes_;
};

class JsonValue::Iterator {
 public:
  Iterator(const JsonDocument* document, uint32_t index, bool entries)
      : document_(document), index_(index), entries_(entries) {}
  JsonItem operator*() const;
  Iterator& operator++();
  bool operator!=(const Iterator& other) const { return index_ != other.index_; }

 private:
  const JsonDocument* document_;
  uint32_t index_;
  bool entries_;
};

}  // namespace weft

#endif  // WEFT_API_YAML_JSON_VALUE_H_
