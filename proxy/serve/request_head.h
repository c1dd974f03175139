// What the proxy changes in a request's head on its way: forwarded-for, client certificate, request
// id, the route's own mutations. Pure functions over a head.
#ifndef WEFT_PROXY_SERVE_REQUEST_HEAD_H_
#define WEFT_PROXY_SERVE_REQUEST_HEAD_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "proxy/config/listener_config.h"
#include "proxy/config/route_table.h"
#include "proxy/http/head.h"
#include "proxy/telemetry/format.h"

namespace weft {

// What a connection says about its requests.
struct ClientFacts {
  std::string address;      // the client's IP
  uint16_t local_port = 0;  // that it connected to
  bool tls = false;
  std::string own_uri;  // By= of x-forwarded-client-cert
  std::string peer_uri;
  std::string peer_subject;
  std::string peer_hash;
};

// "By=spiffe://…;Hash=…;Subject="…";URI=spiffe://…", as Envoy writes it; empty without a
// certificate.
std::string ForwardedClientCert(const ClientFacts& client, const ClientCertDetails& details);

// Whose request it is, as far as the config believes what x-forwarded-for says.
struct RequestOrigin {
  std::string address;  // the client's IP
  // It comes from our own network (internal_address_config), straight, or over a hop whose
  // certificate was verified: such a request may say how it is to be served (x-envoy-*).
  bool trusted = false;
};
RequestOrigin OriginOf(const HttpManagerConfig& config, const ClientFacts& client,
                       const Headers& headers);
// The same, of the headers that PrepareRequestHead left, which may end with the client's address.
RequestOrigin OriginOfPrepared(const HttpManagerConfig& config, const ClientFacts& client,
                               const Headers& headers);

// Everything that does not depend on the route. A header that a client may forge is removed unless
// the config trusts the hop.
void PrepareRequestHead(const HttpManagerConfig& config, const ClientFacts& client,
                        uint64_t random_high, uint64_t random_low, RequestHead& head);

// Why a head must be refused (status 400); null: it need not.
const char* HeadProblem(const HttpManagerConfig& config, const RequestHead& head);

// One element more in a field that is a list, be it of several lines: Via.
void AppendToList(absl::string_view name, absl::string_view value, Headers& headers);

// `input` is asked for only if something has to be evaluated.
using FormatInputs = absl::FunctionRef<FormatInput()>;
void ApplyAddition(const HeaderToAdd& header, Headers& headers, FormatInputs input);
void ApplyMutations(const HeaderMutations& mutations, Headers& headers, FormatInputs input);

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_REQUEST_HEAD_H_
