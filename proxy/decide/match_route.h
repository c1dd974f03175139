// Which route a request takes, and which cluster of it. Pure: randomness is an argument. Results
// point into the RouteTable.
#ifndef WEFT_PROXY_DECIDE_MATCH_ROUTE_H_
#define WEFT_PROXY_DECIDE_MATCH_ROUTE_H_

#include <cstdint>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proxy/config/route_table.h"
#include "proxy/http/head.h"

namespace weft {

// The virtual host of an authority: its exact domain, the longest "*.suffix", the longest
// "prefix.*", then "*", in any case, as Envoy searches. Ports count as part of the name unless the
// table says otherwise. Null: none.
const VirtualHost* MatchVirtualHost(const RouteTable& table, absl::string_view authority);

// Whether a request fits one match; the path and `random` as below.
bool MatchesRequest(const RouteMatch& match, const RequestHead& request, uint64_t random);

// Whether all of them fit the request's headers, pseudo-headers included.
bool HeadersMatch(absl::Span<const HeaderMatch> wanted, const RequestHead& request);

// Where a request goes that chose `target`; "" if its cluster_header is not there.
absl::string_view ClusterNameOf(const ForwardAction& action, const WeightedTarget& target,
                                const RequestHead& request);

// The first route that fits, of the virtual host of the request's authority. The path is expected
// to be normalised already (normalise_path.h). `random` decides on routes for a share of requests.
const Route* MatchRoute(const RouteTable& table, const RequestHead& request, uint64_t random);

// One of the targets, each with its share of the total weight. Null only if there are none.
const WeightedTarget* ChooseTarget(absl::Span<const WeightedTarget> targets, uint64_t total_weight,
                                   uint64_t random);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_MATCH_ROUTE_H_
