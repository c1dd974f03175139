// What the proxy changes in a request's head on its way: forwarded-for, client certificate, request
// id, the route's own mutations. Pure functions over a head.
#ifndef WEFT_PROXY_SERVE_REQUEST_HEAD_H_
#define WEFT_PROXY_SERVE_REQUEST_HEAD_H_

#include <cstdint>
#include <string>

#include "proxy/config/listener_config.h"
#include "proxy/config/route_table.h"
#include "proxy/http/head.h"

namespace weft {

// What a connection says about its requests.
struct ClientFacts {
  std::string address;  // the client's IP
  bool tls = false;
  std::string own_uri;  // By= of x-forwarded-client-cert
  std::string peer_uri;
  std::string peer_subject;
  std::string peer_hash;
};

// "By=spiffe://…;Hash=…;Subject="…";URI=spiffe://…", as Envoy writes it; empty without a
// certificate.
std::string ForwardedClientCert(const ClientFacts& client, const ClientCertDetails& details);

// Everything that does not depend on the route. A header that a client may forge is removed unless
// the config trusts the hop.
void PrepareRequestHead(const HttpManagerConfig& config, const ClientFacts& client,
                        uint64_t random_high, uint64_t random_low, RequestHead& head);

void ApplyMutations(const HeaderMutations& mutations, Headers& headers);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_REQUEST_HEAD_H_
