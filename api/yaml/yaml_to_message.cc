#include "api/yaml/yaml_to_message.h"

#include <algorithm>
#include <limits>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <type_traits>
#include <utility>

#include "absl/container/inlined_vector.h"
#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "api/yaml/scalar.h"
#include "api/yaml/suggestion.h"
#include "google/protobuf/any.pb.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/duration.pb.h"
#include "google/protobuf/io/coded_stream.h"
#include "google/protobuf/io/zero_copy_stream_impl_lite.h"
#include "google/protobuf/struct.pb.h"

namespace weft {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::EnumValueDescriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;
using google::protobuf::Reflection;

constexpr absl::string_view kTypeKey = "@type";
// The bounds of google.protobuf.Duration: about 10,000 years.
constexpr absl::Duration kMaxDuration = absl::Seconds(315'576'000'000);

// A field of a message, singular or repeated: where one parsed value goes.
class Slot {
 public:
  Slot(Message* message, const FieldDescriptor* field)
      : message_(message), reflection_(message->GetReflection()), field_(field) {}

  const FieldDescriptor* field() const { return field_; }

#define WEFT_PUT(Type, Name)                                                            \
  void Put##Name(Type value) {                                                          \
    field_->is_repeated() ? reflection_->Add##Name(message_, field_, std::move(value))  \
                          : reflection_->Set##Name(message_, field_, std::move(value)); \
  }
  WEFT_PUT(int32_t, Int32)
  WEFT_PUT(int64_t, Int64)
  WEFT_PUT(uint32_t, UInt32)
  WEFT_PUT(uint64_t, UInt64)
  WEFT_PUT(float, Float)
  WEFT_PUT(double, Double)
  WEFT_PUT(bool, Bool)
  WEFT_PUT(std::string, String)
  WEFT_PUT(int, EnumValue)
#undef WEFT_PUT

  Message* NewMessage() {
    return field_->is_repeated() ? reflection_->AddMessage(message_, field_)
                                 : reflection_->MutableMessage(message_, field_);
  }

 private:
  Message* message_;
  const Reflection* reflection_;
  const FieldDescriptor* field_;
};

// Finds fields by both names. A message's own loop runs over the YAML, which is the shorter side.
const FieldDescriptor* FindField(const Descriptor& type, absl::string_view name) {
  for (int i = 0; i < type.field_count(); ++i) {
    if (type.field(i)->json_name() == name) return type.field(i);
  }
  return type.FindFieldByName(std::string(name));
}

// "line 12" where a node knows its line.
std::string LineOf(const YamlNode& node) {
  return node.line() == 0 ? "" : absl::StrCat("line ", node.line());
}

// One conversion. Each Fill function takes one node; `path_` names it.
class Conversion {
 public:
  Conversion(UnknownFields unknown, absl::string_view path) : unknown_(unknown), path_(path) {}

  absl::Status Fill(const YamlNode& node, Message* message);

 private:
  // Extends the path and the depth for the time of one child.
  class Step {
   public:
    Step(Conversion* owner, absl::string_view name) : owner_(owner), length_(owner->path_.size()) {
      if (!owner->path_.empty()) absl::StrAppend(&owner->path_, ".");
      absl::StrAppend(&owner->path_, name.substr(0, 100));
    }
    Step(Conversion* owner, size_t index) : owner_(owner), length_(owner->path_.size()) {
      absl::StrAppend(&owner->path_, "[", index, "]");
    }
    Step(const Step&) = delete;
    Step& operator=(const Step&) = delete;
    ~Step() { owner_->path_.resize(length_); }

   private:
    Conversion* owner_;
    size_t length_;
  };

  absl::Status Error(const YamlNode& at, absl::string_view what) const;
  absl::Status Expected(const YamlNode& at, absl::string_view what) const;
  absl::Status CountNode(const YamlNode& node);

  absl::Status FillFields(const YamlNode& node, Message* message, bool is_any);
  absl::Status FillField(const YamlNode& node, Message* message, const FieldDescriptor* field);
  absl::Status FillList(const YamlNode& node, Message* message, const FieldDescriptor* field);
  absl::Status FillMap(const YamlNode& node, Message* message, const FieldDescriptor* field);
  absl::Status FillSlot(const YamlNode& node, Slot slot);

  absl::Status FillString(const YamlNode& node, Slot slot);
  absl::Status FillBytes(const YamlNode& node, Slot slot);
  absl::Status FillBool(const YamlNode& node, Slot slot);
  absl::Status FillFloat(const YamlNode& node, Slot slot);
  absl::Status FillEnum(const YamlNode& node, Slot slot);
  template <typename T>
  absl::StatusOr<T> ReadInteger(const YamlNode& node) const;

  absl::Status FillDuration(const YamlNode& node, google::protobuf::Duration* duration);
  absl::Status FillAny(const YamlNode& node, google::protobuf::Any* any);
  absl::Status FillStruct(const YamlNode& node, google::protobuf::Struct* fields);
  absl::Status FillListValue(const YamlNode& node, google::protobuf::ListValue* list);
  absl::Status FillValue(const YamlNode& node, google::protobuf::Value* value);

  const UnknownFields unknown_;
  std::string path_;
  int depth_ = 0;
  size_t nodes_ = 0;
};

absl::Status Conversion::Error(const YamlNode& at, absl::string_view what) const {
  const std::string line = LineOf(at);
  if (path_.empty()) {
    return absl::InvalidArgumentError(line.empty() ? std::string(what)
                                                   : absl::StrCat(line, ": ", what));
  }
  return absl::InvalidArgumentError(
      absl::StrCat(path_, line.empty() ? "" : absl::StrCat(" (", line, ")"), ": ", what));
}

absl::Status Conversion::Expected(const YamlNode& at, absl::string_view what) const {
  return Error(at, absl::StrCat("expected ", what, ", got ", Describe(at)));
}

absl::Status Conversion::CountNode(const YamlNode& node) {
  if (depth_ > kMaxYamlDepth) {
    return Error(node, absl::StrCat("nested deeper than ", kMaxYamlDepth, " levels"));
  }
  if (++nodes_ > kMaxYamlNodes) {
    return Error(node, absl::StrCat("the document has more than ", kMaxYamlNodes,
                                    " nodes, counting each use of an alias"));
  }
  return absl::OkStatus();
}

// ---- Messages.

absl::Status Conversion::Fill(const YamlNode& node, Message* message) {
  using google::protobuf::DynamicCastToGenerated;
  ++depth_;
  absl::Status status = CountNode(node);
  if (status.ok()) {
    const auto kind = message->GetDescriptor()->well_known_type();
    // Generated messages only: a dynamic one of these types is filled field by field.
    if (kind == Descriptor::WELLKNOWNTYPE_UNSPECIFIED) {
      status = FillFields(node, message, /*is_any=*/false);
    } else if (auto* duration = DynamicCastToGenerated<google::protobuf::Duration>(message)) {
      status = FillDuration(node, duration);
    } else if (auto* any = DynamicCastToGenerated<google::protobuf::Any>(message)) {
      status = FillAny(node, any);
    } else if (auto* fields = DynamicCastToGenerated<google::protobuf::Struct>(message)) {
      status = FillStruct(node, fields);
    } else if (auto* list = DynamicCastToGenerated<google::protobuf::ListValue>(message)) {
      status = FillListValue(node, list);
    } else if (auto* value = DynamicCastToGenerated<google::protobuf::Value>(message)) {
      status = FillValue(node, value);
    } else if (kind >= Descriptor::WELLKNOWNTYPE_DOUBLEVALUE &&
               kind <= Descriptor::WELLKNOWNTYPE_BOOLVALUE) {
      // A wrapper is written as the value it wraps.
      status = FillSlot(node, Slot(message, message->GetDescriptor()->FindFieldByNumber(1)));
    } else {
      status = FillFields(node, message, /*is_any=*/false);
    }
  }
  --depth_;
  return status;
}

absl::Status Conversion::FillFields(const YamlNode& node, Message* message, bool is_any) {
  if (!node.IsMap()) return Expected(node, "a mapping");
  const Descriptor& type = *message->GetDescriptor();
  absl::InlinedVector<const FieldDescriptor*, 16> seen;
  std::map<const OneofDescriptor*, const FieldDescriptor*> chosen;
  for (const auto& entry : node) {
    const YamlNode& key = entry.first;
    if (!key.IsScalar()) return Error(key, "the name of a field must be a string");
    const absl::string_view name = key.Scalar();
    if (is_any && name == kTypeKey) continue;
    const Step step(this, name);
    const FieldDescriptor* field = FindField(type, name);
    if (field == nullptr) {
      if (unknown_ == UnknownFields::kSkip) continue;
      return Error(key, absl::StrCat("unknown field", SuggestField(name, type)));
    }
    if (std::find(seen.begin(), seen.end(), field) != seen.end()) return Error(key, "set twice");
    seen.push_back(field);
    if (entry.second.IsNull()) continue;
    if (const OneofDescriptor* oneof = field->real_containing_oneof()) {
      const auto [other, first] = chosen.emplace(oneof, field);
      if (!first) {
        return Error(key, absl::StrCat("conflicts with '", other->second->name(),
                                       "': only one of the two may be set"));
      }
    }
    if (absl::Status status = FillField(entry.second, message, field); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Conversion::FillField(const YamlNode& node, Message* message,
                                   const FieldDescriptor* field) {
  if (field->is_map()) return FillMap(node, message, field);
  if (field->is_repeated()) return FillList(node, message, field);
  return FillSlot(node, Slot(message, field));
}

absl::Status Conversion::FillList(const YamlNode& node, Message* message,
                                  const FieldDescriptor* field) {
  if (!node.IsSequence()) return Expected(node, "a list");
  size_t index = 0;
  for (const auto& item : node) {
    const Step step(this, index++);
    if (item.IsNull()) return Error(item, "an item of a list must not be null");
    if (absl::Status status = FillSlot(item, Slot(message, field)); !status.ok()) return status;
  }
  return absl::OkStatus();
}

// A null value is the type's default: an empty string, an empty message.
absl::Status Conversion::FillMap(const YamlNode& node, Message* message,
                                 const FieldDescriptor* field) {
  if (!node.IsMap()) return Expected(node, "a mapping");
  std::set<std::string> seen;
  for (const auto& item : node) {
    if (!item.first.IsScalar()) return Error(item.first, "a key must be a string or number");
    const std::string key(item.first.Scalar());
    const Step step(this, key);
    if (!seen.insert(key).second) return Error(item.first, "set twice");
    Message* entry = message->GetReflection()->AddMessage(message, field);
    const FieldDescriptor* key_field = field->message_type()->map_key();
    const FieldDescriptor* value_field = field->message_type()->map_value();
    if (key_field->type() == FieldDescriptor::TYPE_STRING) {
      // An unquoted number is a good key: every key of a mapping in JSON is a string.
      if (!IsValidUtf8(key)) return Error(item.first, "the key is not valid UTF-8");
      entry->GetReflection()->SetString(entry, key_field, key);
    } else if (absl::Status status = FillSlot(item.first, Slot(entry, key_field)); !status.ok()) {
      return status;
    }
    if (item.second.IsNull()) continue;
    if (absl::Status status = FillSlot(item.second, Slot(entry, value_field)); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

// ---- Scalars.

absl::Status Conversion::FillSlot(const YamlNode& node, Slot slot) {
  const auto type = slot.field()->cpp_type();
  if (type == FieldDescriptor::CPPTYPE_MESSAGE) return Fill(node, slot.NewMessage());
  if (absl::Status status = CountNode(node); !status.ok()) return status;
  const auto put = [](auto value, auto setter) {
    if (value.ok()) setter(*value);
    return value.status();
  };
  switch (type) {
    case FieldDescriptor::CPPTYPE_INT32:
      return put(ReadInteger<int32_t>(node), [&](int32_t v) { slot.PutInt32(v); });
    case FieldDescriptor::CPPTYPE_INT64:
      return put(ReadInteger<int64_t>(node), [&](int64_t v) { slot.PutInt64(v); });
    case FieldDescriptor::CPPTYPE_UINT32:
      return put(ReadInteger<uint32_t>(node), [&](uint32_t v) { slot.PutUInt32(v); });
    case FieldDescriptor::CPPTYPE_UINT64:
      return put(ReadInteger<uint64_t>(node), [&](uint64_t v) { slot.PutUInt64(v); });
    case FieldDescriptor::CPPTYPE_DOUBLE:
    case FieldDescriptor::CPPTYPE_FLOAT:
      return FillFloat(node, slot);
    case FieldDescriptor::CPPTYPE_BOOL:
      return FillBool(node, slot);
    case FieldDescriptor::CPPTYPE_ENUM:
      return FillEnum(node, slot);
    case FieldDescriptor::CPPTYPE_STRING:
      return slot.field()->type() == FieldDescriptor::TYPE_BYTES ? FillBytes(node, slot)
                                                                 : FillString(node, slot);
    case FieldDescriptor::CPPTYPE_MESSAGE:
      break;  // Above.
  }
  return Error(node, "a field of this type cannot be read from YAML");
}

absl::Status Conversion::FillString(const YamlNode& node, Slot slot) {
  if (!node.IsScalar()) return Expected(node, "a string");
  if (node.kind() != YamlNode::Kind::kString) {
    return Error(node, absl::StrCat("expected a string, got ", Describe(node), "; quote it"));
  }
  if (!IsValidUtf8(node.Scalar())) return Error(node, "not valid UTF-8");
  slot.PutString(std::string(node.Scalar()));
  return absl::OkStatus();
}

absl::Status Conversion::FillBytes(const YamlNode& node, Slot slot) {
  std::string bytes;
  if (!node.IsScalar() || !(absl::Base64Unescape(node.Scalar(), &bytes) ||
                            absl::WebSafeBase64Unescape(node.Scalar(), &bytes))) {
    // The value may be a secret: it is not repeated.
    return Error(node, "expected bytes in base64");
  }
  slot.PutString(std::move(bytes));
  return absl::OkStatus();
}

absl::Status Conversion::FillBool(const YamlNode& node, Slot slot) {
  if (node.kind() != YamlNode::Kind::kBool) {
    return Expected(node, "true or false, unquoted");
  }
  slot.PutBool(*ParseBool(node.Scalar()));
  return absl::OkStatus();
}

absl::Status Conversion::FillFloat(const YamlNode& node, Slot slot) {
  const std::optional<double> value = node.IsScalar() ? ParseNumber(node.Scalar()) : std::nullopt;
  if (!value) return Expected(node, "a number");
  if (slot.field()->cpp_type() == FieldDescriptor::CPPTYPE_DOUBLE) {
    slot.PutDouble(*value);
  } else {
    slot.PutFloat(static_cast<float>(*value));
  }
  return absl::OkStatus();
}

absl::Status Conversion::FillEnum(const YamlNode& node, Slot slot) {
  const google::protobuf::EnumDescriptor& type = *slot.field()->enum_type();
  if (!node.IsScalar()) return Expected(node, "the name of a value");
  const absl::string_view text = node.Scalar();
  for (int i = 0; i < type.value_count(); ++i) {
    if (!absl::EqualsIgnoreCase(type.value(i)->name(), text)) continue;
    slot.PutEnumValue(type.value(i)->number());
    return absl::OkStatus();
  }
  if (ParseInteger(text)) {
    const absl::StatusOr<int32_t> number = ReadInteger<int32_t>(node);
    if (number.ok() && type.FindValueByNumber(*number) != nullptr) {
      slot.PutEnumValue(*number);
      return absl::OkStatus();
    }
  }
  std::string hint = SuggestValue(text, type);
  if (hint.empty()) {
    hint = "; expected one of";
    for (int i = 0; i < type.value_count(); ++i) {
      absl::StrAppend(&hint, i == 0 ? " " : ", ", type.value(i)->name());
    }
  }
  return Error(node, absl::StrCat("unknown value ", Describe(node), hint));
}

// Quoted numbers are taken too, as in protobuf's JSON, which writes 64-bit numbers so.
template <typename T>
absl::StatusOr<T> Conversion::ReadInteger(const YamlNode& node) const {
  const std::optional<Integer> value = node.IsScalar() ? ParseInteger(node.Scalar()) : std::nullopt;
  if (!value) return Expected(node, "an integer");
  using Limits = std::numeric_limits<T>;
  // The lowest value's magnitude is the highest's plus one, or 0 for unsigned types.
  const uint64_t highest = static_cast<uint64_t>(Limits::max());
  const uint64_t bound =
      !value->negative ? highest : (std::is_signed_v<T> ? highest + 1 : uint64_t{0});
  if (value->overflow || value->magnitude > bound) {
    return Error(node, absl::StrCat(node.Scalar().substr(0, 30), " is out of range (",
                                    Limits::min(), " to ", Limits::max(), ")"));
  }
  // Negation of an unsigned value is defined, and so is its conversion to T in C++20.
  return static_cast<T>(value->negative ? 0 - value->magnitude : value->magnitude);
}

// ---- Well-known types.

absl::Status Conversion::FillDuration(const YamlNode& node, google::protobuf::Duration* duration) {
  absl::Duration value;
  if (!node.IsScalar() || !absl::ParseDuration(node.Scalar(), &value) || value > kMaxDuration ||
      value < -kMaxDuration) {
    return Expected(node, "a duration such as '1.5s', '500ms' or '1h30m'");
  }
  duration->set_seconds(absl::IDivDuration(value, absl::Seconds(1), &value));
  duration->set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(value)));
  return absl::OkStatus();
}

// Equal configuration gives equal bytes, although maps have no order.
std::string SerializeDeterministically(const Message& message) {
  std::string bytes;
  google::protobuf::io::StringOutputStream stream(&bytes);
  google::protobuf::io::CodedOutputStream coded(&stream);
  coded.SetSerializationDeterministic(true);
  message.SerializePartialToCodedStream(&coded);
  coded.Trim();
  return bytes;
}

absl::Status Conversion::FillAny(const YamlNode& node, google::protobuf::Any* any) {
  if (!node.IsMap()) return Expected(node, "a mapping with \"@type\"");
  const YamlNode type_node = node[kTypeKey];
  if (!type_node.IsDefined() || !type_node.IsScalar()) {
    return Error(node, "\"@type\" is missing: which type of message this is");
  }
  const std::string url(type_node.Scalar());
  const size_t slash = url.rfind('/');
  const std::string name = slash == std::string::npos ? "" : url.substr(slash + 1);
  const Descriptor* type =
      google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(name);
  if (type == nullptr) {
    return Error(type_node, absl::StrCat("unknown type '", url.substr(0, 200), "'"));
  }
  const std::unique_ptr<Message> message(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  // Types with a JSON form of their own stand under "value".
  const bool special = type->well_known_type() != Descriptor::WELLKNOWNTYPE_UNSPECIFIED;
  absl::Status status;
  if (!special) {
    status = FillFields(node, message.get(), /*is_any=*/true);
  } else if (const YamlNode value = node["value"]; value.IsDefined()) {
    const Step step(this, "value");
    status = Fill(value, message.get());
  }
  if (!status.ok()) return status;
  any->set_type_url(url);
  any->set_value(SerializeDeterministically(*message));
  return absl::OkStatus();
}

absl::Status Conversion::FillStruct(const YamlNode& node, google::protobuf::Struct* fields) {
  if (!node.IsMap()) return Expected(node, "a mapping");
  for (const auto& entry : node) {
    if (!entry.first.IsScalar()) return Error(entry.first, "a key must be a string or number");
    const std::string key(entry.first.Scalar());
    const Step step(this, key);
    if (!IsValidUtf8(key)) return Error(entry.first, "the key is not valid UTF-8");
    if (fields->fields().contains(key)) return Error(entry.first, "set twice");
    if (absl::Status status = Fill(entry.second, &(*fields->mutable_fields())[key]); !status.ok()) {
      return status;
    }
  }
  return absl::OkStatus();
}

absl::Status Conversion::FillListValue(const YamlNode& node, google::protobuf::ListValue* list) {
  if (!node.IsSequence()) return Expected(node, "a list");
  size_t index = 0;
  for (const auto& item : node) {
    const Step step(this, index++);
    if (absl::Status status = Fill(item, list->add_values()); !status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status Conversion::FillValue(const YamlNode& node, google::protobuf::Value* value) {
  if (node.IsMap()) return FillStruct(node, value->mutable_struct_value());
  if (node.IsSequence()) return FillListValue(node, value->mutable_list_value());
  switch (node.kind()) {
    case YamlNode::Kind::kBool:
      value->set_bool_value(*ParseBool(node.Scalar()));
      return absl::OkStatus();
    case YamlNode::Kind::kNumber:
      // JSON has no infinity.
      if (const std::optional<double> number = ParseNumber(node.Scalar())) {
        value->set_number_value(*number);
        return absl::OkStatus();
      }
      return Expected(node, "a finite number");
    case YamlNode::Kind::kString:
      if (!IsValidUtf8(node.Scalar())) return Error(node, "not valid UTF-8");
      value->set_string_value(std::string(node.Scalar()));
      return absl::OkStatus();
    default:
      value->set_null_value(google::protobuf::NULL_VALUE);
      return absl::OkStatus();
  }
}

}  // namespace

absl::Status YamlToMessage(const YamlNode& node, UnknownFields unknown, Message* message,
                           absl::string_view path) {
  return Conversion(unknown, path).Fill(node, message);
}

}  // namespace weft
