#include "proxy/config/runtime_values.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weft {

const std::string* RuntimeValues::Find(const std::string& key) const {
  const auto found = values.find(key);
  if (found == values.end()) return nullptr;
  for (auto it = found->second.rbegin(); it != found->second.rend(); ++it) {
    if (!it->empty()) return &*it;
  }
  return nullptr;
}

std::optional<double> RuntimeValues::Number(const std::string& key) const {
  const std::string* text = Find(key);
  double number;
  if (text == nullptr || !absl::SimpleAtod(*text, &number) || number < 0) return std::nullopt;
  return number;
}

std::optional<Fraction> RuntimeValues::Share(const std::string& key) const {
  if (key.empty()) return std::nullopt;
  const std::optional<double> percent = Number(key);
  if (percent.has_value()) return Fraction{static_cast<uint32_t>(std::min(*percent, 100.0)), 100};
  const std::string* denominator = Find(absl::StrCat(key, ".denominator"));
  Fraction share;
  share.denominator = denominator == nullptr           ? 100
                      : *denominator == "MILLION"      ? 1'000'000
                      : *denominator == "TEN_THOUSAND" ? 10'000
                                                       : 100;
  const std::optional<double> numerator = Number(absl::StrCat(key, ".numerator"));
  if (!numerator.has_value()) return std::nullopt;
  share.numerator = static_cast<uint32_t>(std::min<double>(*numerator, share.denominator));
  return share;
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

}  // namespace weft
