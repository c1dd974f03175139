// What proxies refuse (NACK), and of which object that was made. Pure.
#ifndef WEFT_CONTROLPLANE_MODEL_PROXY_REFUSAL_H_
#define WEFT_CONTROLPLANE_MODEL_PROXY_REFUSAL_H_

#include <cstddef>
#include <string>
#include <vector>

#include "api/yaml/document.h"
#include "controlplane/model/world.h"

namespace weft {

// A proxy that refused what it was sent, and has accepted nothing since.
struct ProxyRefusal {
  std::string proxy;  // its node id
  std::string text;

  friend bool operator==(const ProxyRefusal&, const ProxyRefusal&) = default;
};

// By which proxies speak of what was made of an object of Istio's kinds: its hosts in full, its
// policy, its place in a route table.
std::vector<std::string> NamesToProxies(const ObjectKey& key, const YamlNode& spec);

// Those whose text has one of the names, not as a part of a longer one.
std::vector<ProxyRefusal> RefusalsOf(const std::vector<std::string>& names,
                                     const std::vector<ProxyRefusal>& refusals);

// Proxies that QuoteOf() names.
inline constexpr size_t kMostProxiesQuoted = 3;
// How many, and what the first of them say.
std::string QuoteOf(const std::vector<ProxyRefusal>& refusals);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_MODEL_PROXY_REFUSAL_H_
