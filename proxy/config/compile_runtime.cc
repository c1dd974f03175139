// The layered_runtime of a bootstrap.
#include <google/protobuf/struct.pb.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "api/envoy/bootstrap.pb.h"
#include "proxy/config/compile.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

using envoy::config::bootstrap::v3::LayeredRuntime;
using envoy::config::bootstrap::v3::RuntimeLayer;
using google::protobuf::Struct;
using google::protobuf::Value;

// {numerator: 5, denominator: TEN_THOUSAND} is a fraction, not a level of keys.
bool AsFraction(const Struct& from, Fraction* to) {
  const auto numerator = from.fields().find("numerator");
  if (numerator == from.fields().end()) return false;
  to->numerator = static_cast<uint32_t>(numerator->second.number_value());
  const auto denominator = from.fields().find("denominator");
  const std::string name =
      denominator == from.fields().end() ? "" : denominator->second.string_value();
  to->denominator = name == "MILLION" ? 1'000'000 : name == "TEN_THOUSAND" ? 10'000 : 100;
  return true;
}

void AddValue(const std::string& key, const Value& from, RuntimeValues& to);

void AddFields(const std::string& prefix, const Struct& from, RuntimeValues& to) {
  for (const auto& [name, value] : from.fields()) {
    AddValue(prefix.empty() ? name : absl::StrCat(prefix, ".", name), value, to);
  }
}

void AddValue(const std::string& key, const Value& from, RuntimeValues& to) {
  Fraction fraction;
  switch (from.kind_case()) {
    case Value::kNumberValue:
      to.values[key] = from.number_value();
      break;
    case Value::kBoolValue:
      to.values[key] = from.bool_value() ? 1.0 : 0.0;
      break;
    case Value::kStructValue:
      if (AsFraction(from.struct_value(), &fraction)) {
        to.values[key] = fraction;
      } else {
        AddFields(key, from.struct_value(), to);
      }
      break;
    default:
      break;  // texts are of features this proxy does not have
  }
}

}  // namespace

absl::StatusOr<RuntimeValues> CompileRuntime(const LayeredRuntime& from) {
  RuntimeValues to;
  for (int i = 0; i < from.layers_size(); ++i) {
    const RuntimeLayer& layer = from.layers(i);
    switch (layer.layer_specifier_case()) {
      case RuntimeLayer::kStaticLayer:
        AddFields("", layer.static_layer(), to);
        break;
      case RuntimeLayer::kAdminLayer:  // says nothing by itself
      case RuntimeLayer::LAYER_SPECIFIER_NOT_SET:
        break;
      case RuntimeLayer::kDiskLayer:
        return Invalid(Index("layers", i), "disk_layer is not supported by this proxy");
      case RuntimeLayer::kRtdsLayer:
        return Invalid(Index("layers", i), "rtds_layer is not supported by this proxy");
    }
  }
  return to;
}

}  // namespace weft
