#include "api/yaml/document.h"

namespace weft {

using Kind = YamlNode::Kind;

Kind YamlNode::kind() const {
  return document_ == nullptr ? Kind::kUndefined : document_->values_[index_].kind;
}

bool YamlNode::IsScalar() const {
  const Kind is = kind();
  return is == Kind::kString || is == Kind::kNumber || is == Kind::kBool;
}

absl::string_view YamlNode::Scalar() const {
  if (!IsScalar()) return "";
  const YamlDocument::Value& value = document_->values_[index_];
  return absl::string_view(document_->text_).substr(value.begin, value.size);
}

YamlNode YamlNode::operator[](absl::string_view name) const {
  if (!IsMap()) return {};
  for (const YamlItem& entry : *this) {
    if (entry.first.IsScalar() && entry.first.Scalar() == name) return entry.second;
  }
  return {};
}

int YamlNode::line() const {
  return document_ == nullptr ? 0 : static_cast<int>(document_->values_[index_].line);
}

YamlNode::Iterator YamlNode::begin() const {
  const bool container = IsMap() || IsSequence();
  return container ? Iterator(document_, index_ + 1, IsMap()) : end();
}

YamlNode::Iterator YamlNode::end() const {
  return {document_, document_ == nullptr ? 0 : document_->values_[index_].next, IsMap()};
}

YamlItem YamlNode::Iterator::operator*() const {
  YamlItem item;
  if (entries_) {
    item.first = document_->At(index_);
    item.second = document_->At(document_->values_[index_].next);
  } else {
    static_cast<YamlNode&>(item) = document_->At(index_);
  }
  return item;
}

YamlNode::Iterator& YamlNode::Iterator::operator++() {
  const auto& values = document_->values_;
  index_ = values[index_].next;
  if (entries_) index_ = values[index_].next;
  return *this;
}

}  // namespace weft
