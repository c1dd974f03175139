// HeaderMutations: what a route, a virtual host or a filter changes in a message's headers.
// Immutable once compiled; any thread.
#ifndef WEFT_PROXY_CONFIG_HEADER_MUTATIONS_H_
#define WEFT_PROXY_CONFIG_HEADER_MUTATIONS_H_

#include <string>
#include <vector>

#include "proxy/config/format_string.h"

namespace weft {

struct HeaderToAdd {
  enum class Action { kAppend, kAddIfAbsent, kOverwriteOrAdd, kOverwriteIfExists };
  std::string name;
  std::string value;    // where `format` is empty
  FormatString format;  // what is to be evaluated for each message; empty: nothing is
  Action action = Action::kAppend;
  bool keep_empty_value = false;  // else a value that comes out empty adds nothing
};

// Removals come first, then additions in their order.
struct HeaderMutations {
  std::vector<HeaderToAdd> add;
  std::vector<std::string> remove;

  bool empty() const { return add.empty() && remove.empty(); }
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_HEADER_MUTATIONS_H_
