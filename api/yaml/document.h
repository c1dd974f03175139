// YamlDocument: one document of YAML (read by libyaml) or JSON (RFC 8259), parsed into a flat list
// of values. YamlNode is a place in it.
//
// What is read here is files of users and ten thousand objects of an API server at once, so nothing
// is allocated for a single value. A document does not change once it is parsed: any thread may
// read it.
//
// Text comes from users and from other systems: nothing in it crashes or loops, depth and size are
// bounded, and what is neither YAML nor JSON is an error that names the line, or the byte.
#ifndef WEFT_API_YAML_DOCUMENT_H_
#define WEFT_API_YAML_DOCUMENT_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace weft {

// Longest text. A whole namespace of Kubernetes objects is some hundred kilobytes; the bootstrap of
// a large static proxy a few megabytes.
inline constexpr size_t kMaxYamlBytes = 32 << 20;
// Deepest nesting of a document. Envoy's own configuration stays below 40.
inline constexpr int kMaxYamlDepth = 100;
// Nodes that whoever walks a document visits at most, counting each use of an alias: what stops an
// alias bomb.
inline constexpr size_t kMaxYamlNodes = 1'000'000;

class YamlDocument;

class YamlNode {
 public:
  // A plain scalar of YAML is what the core schema of YAML 1.2 says, plus two forms of YAML 1.1
  // that Kubernetes' reader takes: yes/no/on/off as booleans, a leading 0 for octal numbers.
  enum class Kind : uint8_t { kUndefined, kNull, kBool, kNumber, kString, kSequence, kMap };
  class Iterator;

  YamlNode() = default;  // undefined: there is no such member

  Kind kind() const;
  bool IsDefined() const { return document_ != nullptr; }
  bool IsNull() const { return kind() == Kind::kNull; }
  bool IsMap() const { return kind() == Kind::kMap; }
  bool IsSequence() const { return kind() == Kind::kSequence; }
  bool IsScalar() const;  // null is none
  // Of a string what it says, of a number or a boolean its text; "" of all else.
  absl::string_view Scalar() const;
  // The first member of that name; undefined if this has none, or is no mapping.
  YamlNode operator[](absl::string_view name) const;
  // From 1, in the text that was parsed; 0 where that says nothing: in JSON from a server.
  int line() const;

  // Items of a sequence; entries of a mapping, as `first` and `second`. Nothing of a scalar.
  Iterator begin() const;
  Iterator end() const;

 private:
  friend class YamlDocument;
  YamlNode(const YamlDocument* document, uint32_t index) : document_(document), index_(index) {}

  const YamlDocument* document_ = nullptr;
  uint32_t index_ = 0;
};

struct YamlItem : YamlNode {
  YamlNode first;   // of a mapping's entry: its name
  YamlNode second;  // and its value
};

class YamlDocument {
 public:
  // JSON and no more than that, much faster than YAML. Its nodes know no lines.
  static absl::StatusOr<std::shared_ptr<const YamlDocument>> ParseJson(std::string text);

  // Borrows this document, as do the values in it.
  YamlNode root() const { return At(0); }

 private:
  friend class YamlNode;
  friend class JsonParser;
  friend class YamlParser;

  struct Value {
    uint32_t begin = 0;  // of a scalar, in text_; of an alias, the index of what it stands for
    uint32_t size = 0;
    uint32_t next = 0;  // the value after this one and all that is in it
    uint32_t line = 0;
    YamlNode::Kind kind = YamlNode::Kind::kNull;
    bool alias = false;
  };

  YamlDocument() = default;

  // What is at that index, behind the alias if it is one.
  YamlNode At(uint32_t index) const {
    return {this, values_[index].alias ? values_[index].begin : index};
  }

  std::string text_;
  // A container is followed by what is in it; an entry of a mapping is its name, then its value.
  std::vector<Value> values_;
};

class YamlNode::Iterator {
 public:
  Iterator(const YamlDocument* document, uint32_t index, bool entries)
      : document_(document), index_(index), entries_(entries) {}
  YamlItem operator*() const;
  Iterator& operator++();
  bool operator!=(const Iterator& other) const { return index_ != other.index_; }

 private:
  const YamlDocument* document_;
  uint32_t index_;
  bool entries_;
};

// Splits a stream of YAML documents, leaving out empty ones. The first broken document is the
// error, which names its line. JSON is YAML.
absl::StatusOr<std::vector<std::shared_ptr<const YamlDocument>>> ParseYamlDocuments(
    absl::string_view text);

// The same for a text of which one broken document must not spoil the others.
struct YamlStream {
  std::vector<std::shared_ptr<const YamlDocument>> documents;  // lines count from the text's start
  std::vector<absl::Status> errors;  // one for each broken document, in order
};
YamlStream ParseYamlStream(absl::string_view text);

}  // namespace weft

#endif  // WEFT_API_YAML_DOCUMENT_H_
