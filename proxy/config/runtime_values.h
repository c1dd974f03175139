// RuntimeValues: what the static layers of a bootstrap's layered_runtime say, found by key. Asked
// while config is compiled and never later: there is no layer that changes while the proxy runs.
#ifndef WEFT_PROXY_CONFIG_RUNTIME_VALUES_H_
#define WEFT_PROXY_CONFIG_RUNTIME_VALUES_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "proxy/config/fraction.h"

namespace weft {

struct RuntimeValues {
  std::vector<std::string> layers;  // names, the lowest first
  // By key ("a.b.c", the levels joined by dots), a value for each layer as text; "" where a layer
  // says nothing.
  std::map<std::string, std::vector<std::string>> values;

  // The highest layer's; null if none has the key.
  const std::string* Find(const std::string& key) const;
  // Nullopt: there is none, or it is no number that is at least 0.
  std::optional<double> Number(const std::string& key) const;
  // As a fraction: a number is a share of 100, and {numerator, denominator} below the key is what
  // it says. Nullopt: there is none, or it is neither.
  std::optional<Fraction> Share(const std::string& key) const;
  // As /runtime shows it.
  std::string ToJson() const;
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_RUNTIME_VALUES_H_
