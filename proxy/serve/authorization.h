// What RBAC asks about, out of a connection and a request; and the network filter's own question,
// before a connection is served.
#ifndef WEFT_PROXY_SERVE_AUTHORIZATION_H_
#define WEFT_PROXY_SERVE_AUTHORIZATION_H_

#include <memory>
#include <string>
#include <vector>

#include "proxy/config/rbac_config.h"
#include "proxy/decide/authorize.h"
#include "proxy/serve/connection.h"

namespace weft {

// Views into `downstream`, without head, remote address behind proxies, and tokens.
RequestFacts FactsOf(const Downstream& downstream);

// One filter's verdict, with what is to be counted.
struct Authorization {
  Verdict verdict;               // of its rules; allowed if it has none
  bool enforced = false;         // it has rules
  bool shadow_enforced = false;  // it has shadow rules
  Verdict shadow;
};
Authorization AuthorizeBy(const RbacConfig& config, const RequestFacts& facts);

// False: one of the chain's RBAC filters denies it; it is to be closed. Logged.
bool AuthorizeConnection(const Downstream& downstream);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_AUTHORIZATION_H_
