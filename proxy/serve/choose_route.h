// The route of a request, and which of its clusters.
#ifndef WEFT_PROXY_SERVE_CHOOSE_ROUTE_H_
#define WEFT_PROXY_SERVE_CHOOSE_ROUTE_H_

namespace weft {

struct Exchange;

// Sets x.routes, x.route, x.forward and x.target by the head as it is now; x.route is null if there
// is none. May be called again when the head has changed.
void ChooseRoute(Exchange& x);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_CHOOSE_ROUTE_H_
