// HeaderMutationConfig: the header mutation filter: changes of heads in the order they are listed.
// Immutable once compiled; any thread.
#ifndef WEFT_PROXY_CONFIG_HEADER_MUTATION_CONFIG_H_
#define WEFT_PROXY_CONFIG_HEADER_MUTATION_CONFIG_H_

#include <string>
#include <variant>
#include <vector>

#include "proxy/config/header_mutations.h"
#include "proxy/config/matchers.h"

namespace weft {

struct HeaderMutationConfig {
  struct Remove {
    std::string name;
  };
  struct RemoveMatching {
    StringMatch name;
  };
  using Step = std::variant<HeaderToAdd, Remove, RemoveMatching>;

  std::vector<Step> request;
  std::vector<Step> response;
  bool most_specific_wins = false;  // of the filter: overrides of routes come last
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_HEADER_MUTATION_CONFIG_H_
