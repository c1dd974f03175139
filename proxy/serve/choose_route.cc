#include "proxy/serve/choose_route.h"

#include <cstdint>
#include <string>
#include <variant>

#include "absl/strings/numbers.h"
#include "proxy/decide/match_route.h"
#include "proxy/serve/exchange.h"

namespace weft {
namespace {

// What decides between weighted clusters: chance, or a header that keeps a client with one.
uint64_t RandomFor(Exchange& x) {
  const std::string& name = x.forward->random_value_header;
  uint64_t value = 0;
  if (name.empty() || !absl::SimpleAtoi(x.head.headers.Get(name).value_or(""), &value)) {
    return x.worker().Random();
  }
  return value;
}

}  // namespace

void ChooseRoute(Exchange& x) {
  Worker& worker = x.worker();
  x.forward = nullptr;
  x.target = nullptr;
  x.routes = x.config->FindRoutes(x.connection.config);
  x.route = x.routes != nullptr ? MatchRoute(*x.routes, x.head, worker.Random()) : nullptr;
  if (x.route == nullptr) return;
  for (const std::string& name : x.routes->internal_only_headers) {
    if (!x.head.headers.Has(name)) continue;
    if (!OriginOfPrepared(x.connection.config, x.connection.client, x.head.headers).trusted) {
      x.head.headers.Remove(name);
    }
  }
  x.forward = std::get_if<ForwardAction>(&x.route->action);
  if (x.forward != nullptr) {
    x.target = ChooseTarget(x.forward->clusters, x.forward->total_weight, RandomFor(x));
  }
}

}  // namespace weft
