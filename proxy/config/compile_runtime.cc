// The layered_runtime of a bootstrap.
#include <google/protobuf/struct.pb.h>

#include <string>
#include <utility>
#include <vector>

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

void AddFields(const std::string& prefix, const Struct& from, size_t layer, RuntimeValues& to);

void AddValue(const std::string& key, const Value& from, size_t layer, RuntimeValues& to) {
  const auto set = [&](std::string text) {
    std::vector<std::string>& of_layers = to.values[key];
    of_layers.resize(to.layers.size());
    of_layers[layer] = std::move(text);
  };
  switch (from.kind_case()) {
    case Value::kNumberValue:
      return set(absl::StrCat(from.number_value()));
    case Value::kBoolValue:
      return set(from.bool_value() ? "true" : "false");
    case Value::kStringValue:
      if (!from.string_value().empty()) set(from.string_value());
      return;
    case Value::kStructValue:
      return AddFields(key, from.struct_value(), layer, to);
    default:
      return;
  }
}

void AddFields(const std::string& prefix, const Struct& from, size_t layer, RuntimeValues& to) {
  for (const auto& [name, value] : from.fields()) {
    AddValue(prefix.empty() ? name : absl::StrCat(prefix, ".", name), value, layer, to);
  }
}

}  // namespace

absl::StatusOr<RuntimeValues> CompileRuntime(const LayeredRuntime& from) {
  RuntimeValues to;
  for (const RuntimeLayer& layer : from.layers()) to.layers.push_back(layer.name());
  for (int i = 0; i < from.layers_size(); ++i) {
    const RuntimeLayer& layer = from.layers(i);
    switch (layer.layer_specifier_case()) {
      case RuntimeLayer::kStaticLayer:
        AddFields("", layer.static_layer(), static_cast<size_t>(i), to);
        break;
      case RuntimeLayer::kAdminLayer:  // says nothing by itself
      case RuntimeLayer::LAYER_SPECIFIER_NOT_SET:
        break;
      case RuntimeLayer::kDiskLayer:
        return Invalid(Index("layers", i), "disk_layer is not supported by this proxy; use static_layer");
      case RuntimeLayer::kRtdsLayer:
        return Invalid(Index("layers", i), "rtds_layer is not supported by this proxy; use static_layer");
    }
  }
  return to;
}

}  // namespace weft
