#include "proxy/config/runtime_values.h"

namespace weft {

std::optional<double> RuntimeValues::Number(const std::string& key) const {
  const auto found = values.find(key);
  if (key.empty() || found == values.end()) return std::nullopt;
  const double* number = std::get_if<double>(&found->second);
  return number != nullptr ? std::optional<double>(*number) : std::nullopt;
}

std::optional<Fraction> RuntimeValues::Share(const std::string& key) const {
  const auto found = values.find(key);
  if (key.empty() || found == values.end()) return std::nullopt;
  if (const auto* share = std::get_if<Fraction>(&found->second)) return *share;
  const double number = std::get<double>(found->second);
  if (number < 0) return std::nullopt;
  return Fraction{static_cast<uint32_t>(number < 100 ? number : 100), 100};
}

}  // namespace weft
