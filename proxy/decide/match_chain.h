// Which listener, and which of its filter chains, serves a connection. Steps 2 and 3 of a request's
// way. Pure; the results point into the Snapshot.
#ifndef WEFT_PROXY_DECIDE_MATCH_CHAIN_H_
#define WEFT_PROXY_DECIDE_MATCH_CHAIN_H_

#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proxy/config/snapshot.h"
#include "proxy/net/address.h"

namespace weft {

// The listener that a connection taken by another one (use_original_dst) is handed to: that of
// exactly its original destination, else that of the wildcard address with its port. Null: it stays
// where it was taken. Only listeners that do not bind a port of their own are looked at.
const ListenerConfig* MatchListener(const Snapshot& snapshot, const Address& original_destination);

// What the first bytes of a connection show.
struct ConnectionFacts {
  Address destination;            // the original one, if the connection was redirected
  Address source;                 // the client: the peer, or whom a PROXY header names
  Address direct_source;          // the peer itself
  absl::string_view server_name;  // SNI in any case; empty if none
  absl::Span<const std::string> application_protocols;  // ALPN as offered; or found in plain HTTP
  bool tls = false;                                     // starts with a ClientHello
};

// Envoy's order: each criterion in turn narrows the chains down to those that name the most
// specific value which fits, or, if none does, to those that name none; there is no way back to a
// less specific one when a later criterion fails. Destination port, longest address prefix, server
// name (exact, then longest suffix), transport protocol, application protocol, longest prefix of
// the peer's address, source type, longest prefix of the client's address, source port. If nothing
// is left, the default chain; null if there is none, and the connection is to be closed.
const FilterChainConfig* MatchChain(const ListenerConfig& listener, const ConnectionFacts& facts);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_MATCH_CHAIN_H_
