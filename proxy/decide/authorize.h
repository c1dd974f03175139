// Whether a request, or a connection, is allowed: RBAC. Pure; nothing is allocated for the usual
// request.
//
// An ALLOW filter lets through what one of its policies matches, a DENY filter what none matches, a
// LOG filter everything. A policy matches if one of its permissions and one of its principals do.
//
// Where a header comes in several lines, Envoy joins them by commas and compares the result, so
// that "x-role: guest" and "x-role: admin" pass a rule that denies "admin". Here each line counts,
// in whichever way makes the verdict the stricter one: where matching leads towards "allowed" every
// line has to match; where it leads towards "denied" (in a DENY, or below a not) one line is
// enough, or all of them joined. So nothing is allowed that Envoy would deny.
//
// The path is the one that routing uses, normalised already, without its query. Of one with
// parameters ("/a;v=1"), which some servers leave out, both readings count in the same way. The
// authority is compared as a host name is: in lower case; towards "denied" without its port too.
#ifndef WEFT_PROXY_DECIDE_AUTHORIZE_H_
#define WEFT_PROXY_DECIDE_AUTHORIZE_H_

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "proxy/config/rbac_config.h"
#include "proxy/http/head.h"

namespace weft {

// What a verified token says, under the key that the JWT filter's config gives it.
struct TokenMetadata {
  absl::string_view key;
  const nlohmann::json* value;
};

// All that a rule can ask about. Borrowed from the connection and the request, for the call.
struct RequestFacts {
  const RequestHead* head = nullptr;  // null: a connection without requests
  // IP addresses as bytes (Address::ip_bytes), empty: unknown, then no address rule matches.
  absl::string_view destination_ip;
  uint16_t destination_port = 0;
  absl::string_view source_ip;
  absl::string_view direct_remote_ip;
  absl::string_view remote_ip;
  absl::string_view server_name;
  // Whether the peer proved who it is by a certificate, and the names in it.
  bool authenticated = false;
  absl::Span<const std::string> peer_uris;
  absl::Span<const std::string> peer_dns_names;
  absl::string_view peer_subject;
  absl::Span<const TokenMetadata> metadata;
  const nlohmann::json* claims = nullptr;  // of the first token that was verified; null: none
};

struct Verdict {
  bool allowed = true;
  const RbacPolicy* policy = nullptr;  // the one that matched; null: none did
};

Verdict Authorize(const RbacRules& rules, const RequestFacts& facts);

// Of a denied request, for the access log: "rbac_access_denied_matched_policy[none]".
std::string DenialDetails(const Verdict& verdict);

}  // namespace weft

#endif  // WEFT_PROXY_DECIDE_AUTHORIZE_H_
