// The hash that consistent balancing (ring hash, Maglev) keys a request by. Pure, and the same in
// every process, so that all sidecars send one key to one endpoint.
#ifndef WEFT_PROXY_DECIDE_REQUEST_HASH_H_
#define WEFT_PROXY_DECIDE_REQUEST_HASH_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proxy/config/route_table.h"
#include "proxy/http/head.h"

namespace weft {

// Nothing if no policy finds what it looks at; then the balancer chooses at random.
// A missing cookie that a policy wants made is made of `random`, and its Set-Cookie put into
// `set_cookie` (null: none is made).
std::optional<uint64_t> RequestHash(absl::Span<const HashPolicy> policies, const RequestHead& head,
                                    absl::string_view client_ip, uint64_t random = 0,
                                    std::string* set_cookie = nullptr);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_REQUEST_HASH_H_
