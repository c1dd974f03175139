#include "proxy/serve/header_mutation_filter.h"

#include <variant>
#include <vector>

#include "proxy/serve/exchange.h"
#include "proxy/serve/format_input.h"

namespace weft {
namespace {

void Mutate(const std::vector<HeaderMutationConfig::Step>& steps, Exchange& x, Headers& headers,
            const ResponseHead* response) {
  for (const HeaderMutationConfig::Step& step : steps) {
    if (const auto* add = std::get_if<HeaderToAdd>(&step)) {
      ApplyAddition(*add, headers, [&] { return InputOf(x, response); });
    } else if (const auto* remove = std::get_if<HeaderMutationConfig::Remove>(&step)) {
      headers.Remove(remove->name);
    } else {
      const StringMatch& name = std::get<HeaderMutationConfig::RemoveMatching>(step).name;
      headers.RemoveIf([&](const HeaderView& header) { return name.Matches(header.name); });
    }
  }
}

const HeaderMutationConfig* AsMutation(const SharedFilterConfig* config) {
  return config != nullptr ? std::get_if<HeaderMutationConfig>(&**config) : nullptr;
}

}  // namespace

// The filter's own changes come first, then the route's.
void MutateRequest(Exchange& x, const ActiveFilter& active) {
  Mutate(std::get<HeaderMutationConfig>(*active.filter.config).request, x, x.head.headers, nullptr);
  const HeaderMutationConfig* route = AsMutation(active.over);
  if (route != nullptr) Mutate(route->request, x, x.head.headers, nullptr);
}

void MutateResponse(Exchange& x, const ActiveFilter& active, ResponseHead& head) {
  Mutate(std::get<HeaderMutationConfig>(*active.filter.config).response, x, head.headers, &head);
  const HeaderMutationConfig* route = AsMutation(active.over);
  if (route != nullptr) Mutate(route->response, x, head.headers, &head);
}

}  // namespace weft
