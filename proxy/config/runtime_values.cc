#include "proxy/config/runtime_values.h"

#include <google/protobuf/any.pb.h>
#include <google/protobuf/descriptor.h>
#include <google/protobuf/message.h>
#include <google/protobuf/struct.pb.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <utility>

#include "absl/strings/numbers.h"
#include "api/envoy/bootstrap.pb.h"
#include "api/envoy/core.pb.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

namespace core = envoy::config::core::v3;
using google::protobuf::DynamicCastToGenerated;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr int kMaxNesting = 100;

// A fraction may be written as {numerator: 5, denominator: HUNDRED}: then its numerator is kept
// under the key, its denominator under key.denominator.
void Flatten(const std::string& prefix, const google::protobuf::Struct& from,
             std::map<std::string, std::string>& to) {
  for (const auto& [name, value] : from.fields()) {
    const std::string key = prefix.empty() ? name : absl::StrCat(prefix, ".", name);
    switch (value.kind_case()) {
      case google::protobuf::Value::kStructValue:
        Flatten(key, value.struct_value(), to);
        break;
      case google::protobuf::Value::kNumberValue:
        to[key] = absl::StrCat(value.number_value());
        break;
      case google::protobuf::Value::kBoolValue:
        to[key] = value.bool_value() ? "true" : "false";
        break;
      case google::protobuf::Value::kStringValue:
        to[key] = value.string_value();
        break;
      default:
        break;
    }
  }
}

absl::Status WrongKind(const std::string& key, const std::string& value, absl::string_view kind) {
  return absl::InvalidArgumentError(
      absl::StrCat("runtime key '", key, "': '", value, "' is not ", kind));
}

absl::StatusOr<double> Number(const std::string& key, const std::string& value) {
  double number;
  if (!absl::SimpleAtod(value, &number) || number < 0) return WrongKind(key, value, "a number");
  return number;
}

// A plain number is a percentage.
absl::Status OverrideFraction(const RuntimeValues& runtime, core::RuntimeFractionalPercent& to) {
  const std::string& key = to.runtime_key();
  const std::string* percent = runtime.Find(key);
  const std::string* numerator = runtime.Find(key + ".numerator");
  if (percent == nullptr && numerator == nullptr) return absl::OkStatus();
  auto& fraction = *to.mutable_default_value();
  absl::StatusOr<double> number = Number(key, percent != nullptr ? *percent : *numerator);
  if (!number.ok()) return number.status();
  fraction.set_numerator(static_cast<uint32_t>(*number));
  fraction.set_denominator(envoy::type::v3::FractionalPercent::HUNDRED);
  const std::string* denominator = runtime.Find(key + ".denominator");
  if (percent != nullptr || denominator == nullptr) return absl::OkStatus();
  envoy::type::v3::FractionalPercent::DenominatorType parsed;
  if (!envoy::type::v3::FractionalPercent::DenominatorType_Parse(*denominator, &parsed)) {
    return WrongKind(key + ".denominator", *denominator, "HUNDRED, TEN_THOUSAND or MILLION");
  }
  fraction.set_denominator(parsed);
  return absl::OkStatus();
}

template <typename To>
absl::Status OverrideNumber(const RuntimeValues& runtime, To& to) {
  const std::string* value = runtime.Find(to.runtime_key());
  if (value == nullptr) return absl::OkStatus();
  absl::StatusOr<double> number = Number(to.runtime_key(), *value);
  if (!number.ok()) return number.status();
  to.set_default_value(static_cast<decltype(to.default_value())>(*number));
  return absl::OkStatus();
}

absl::Status Override(const RuntimeValues& runtime, Message* message, int depth);

absl::Status OverrideWithin(const RuntimeValues& runtime, google::protobuf::Any* any, int depth) {
  const auto* type = google::protobuf::DescriptorPool::generated_pool()->FindMessageTypeByName(
      std::string(TypeOf(*any)));
  if (type == nullptr) return absl::OkStatus();
  std::unique_ptr<Message> packed(
      google::protobuf::MessageFactory::generated_factory()->GetPrototype(type)->New());
  if (!packed->ParseFromString(any->value())) return absl::OkStatus();
  absl::Status status = Override(runtime, packed.get(), depth + 1);
  if (status.ok()) any->set_value(packed->SerializeAsString());
  return status;
}

absl::Status Override(const RuntimeValues& runtime, Message* message, int depth) {
  if (depth > kMaxNesting) return Invalid("", "is nested too deeply");
  if (auto* any = DynamicCastToGenerated<google::protobuf::Any>(message)) {
    return OverrideWithin(runtime, any, depth);
  }
  if (auto* fraction = DynamicCastToGenerated<core::RuntimeFractionalPercent>(message)) {
    return OverrideFraction(runtime, *fraction);
  }
  if (auto* number = DynamicCastToGenerated<core::RuntimeUInt32>(message)) {
    return OverrideNumber(runtime, *number);
  }
  if (auto* number = DynamicCastToGenerated<core::RuntimeDouble>(message)) {
    return OverrideNumber(runtime, *number);
  }
  const auto& reflection = *message->GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection.ListFields(*message, &fields);
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) continue;
    const int count = field->is_repeated() ? reflection.FieldSize(*message, field) : 1;
    for (int i = 0; i < count; ++i) {
      Message* child = field->is_repeated() ? reflection.MutableRepeatedMessage(message, field, i)
                                            : reflection.MutableMessage(message, field);
      absl::Status status = Override(runtime, child, depth + 1);
      if (!status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

}  // namespace

const std::string* RuntimeValues::Find(const std::string& key) const {
  const auto found = values.find(key);
  if (found == values.end()) return nullptr;
  for (auto it = found->second.rbegin(); it != found->second.rend(); ++it) {
    if (!it->empty()) return &*it;
  }
  return nullptr;
}

std::string RuntimeValues::ToJson() const {
  nlohmann::ordered_json json;
  json["layers"] = layers;
  json["entries"] = nlohmann::ordered_json::object();
  for (const auto& [key, of_layers] : values) {
    json["entries"][key] = {{"final_value", *Find(key)}, {"layer_values", of_layers}};
  }
  return json.dump(1, ' ', false, nlohmann::ordered_json::error_handler_t::replace) + "\n";
}

absl::StatusOr<RuntimeValues> CompileRuntime(
    const envoy::config::bootstrap::v3::LayeredRuntime& from) {
  using envoy::config::bootstrap::v3::RuntimeLayer;
  RuntimeValues to;
  for (int i = 0; i < from.layers_size(); ++i) {
    const RuntimeLayer& layer = from.layers(i);
    std::map<std::string, std::string> flat;
    switch (layer.layer_specifier_case()) {
      case RuntimeLayer::kStaticLayer:
        Flatten("", layer.static_layer(), flat);
        break;
      case RuntimeLayer::kAdminLayer:  // empty: nothing here changes runtime values
        break;
      default:
        return Invalid(Index("layers", i),
                       "only static_layer and admin_layer are supported by this proxy");
    }
    to.layers.push_back(layer.name());
    for (const auto& [key, value] : flat) {
      to.values[key].resize(static_cast<size_t>(from.layers_size()));
      to.values[key][static_cast<size_t>(i)] = value;
    }
  }
  return to;
}

absl::Status ApplyRuntime(const RuntimeValues& runtime, Message* message) {
  return runtime.values.empty() ? absl::OkStatus() : Override(runtime, message, 0);
}

}  // namespace weft
