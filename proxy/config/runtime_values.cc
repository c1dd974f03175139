#include "proxy/config/runtime_values.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

std::optional<uint32_t> Share(const std::string* text, double most) {
  double number;
  if (text == nullptr || !absl::SimpleAtod(*text, &number) || number < 0) return std::nullopt;
  return static_cast<uint32_t>(std::min(number, most));
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

std::optional<Fraction> RuntimeValues::Share(const std::string& key) const {
  if (key.empty()) return std::nullopt;
  const std::optional<uint32_t> percent = weft::Share(Find(key), 100);
  if (percent.has_value()) return Fraction{*percent, 100};
  const std::string* denominator = Find(absl::StrCat(key, ".denominator"));
  Fraction share;
  share.denominator = denominator == nullptr           ? 100
                      : *denominator == "MILLION"      ? 1'000'000
                      : *denominator == "TEN_THOUSAND" ? 10'000
                                                       : 100;
  const std::optional<uint32_t> numerator =
      weft::Share(Find(absl::StrCat(key, ".numerator")), share.denominator);
  if (!numerator.has_value()) return std::nullopt;
  share.numerator = *numerator;
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
