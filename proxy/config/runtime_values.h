// RuntimeValues: what the static layers of a bootstrap's layered_runtime say, found by key. Asked
// while config is compiled and never later: there is no layer that changes while the proxy runs.
#ifndef WEFT_PROXY_CONFIG_RUNTIME_VALUES_H_
#define WEFT_PROXY_CONFIG_RUNTIME_VALUES_H_

#include <map>
#include <optional>
#include <string>
#include <variant>

#include "proxy/config/fraction.h"

namespace weft {

struct RuntimeValues {
  // A number is a share of 100 where a fraction is asked for.
  using Value = std::variant<double, Fraction>;
  // "a.b.c", the levels joined by dots.
  std::map<std::string, Value> values;

  std::optional<double> Number(const std::string& key) const;
  std::optional<Fraction> Share(const std::string& key) const;
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_RUNTIME_VALUES_H_
