#include "proxy/serve/authorization.h"

#include "proxy/base/log.h"
#include "proxy/tls/tls_stream.h"

namespace weft {
namespace {

const PeerCertificate* PeerOf(const Downstream& downstream) {
  return downstream.tls != nullptr ? downstream.tls->peer() : nullptr;
}

}  // namespace

RequestFacts FactsOf(const Downstream& downstream) {
  RequestFacts facts;
  facts.destination_ip = downstream.destination.ip_bytes();
  facts.destination_port = downstream.destination.port();
  const Address& client = downstream.stream->peer_address();
  facts.source_ip = facts.remote_ip = client.ip_bytes();
  facts.direct_remote_ip = downstream.direct_peer.ip_bytes();
  facts.server_name = downstream.server_name;
  if (const PeerCertificate* peer = PeerOf(downstream)) {
    facts.authenticated = true;
    facts.peer_uris = peer->names.uris;
    facts.peer_dns_names = peer->names.dns;
    facts.peer_subject = peer->subject;
  }
  return facts;
}

Authorization AuthorizeBy(const RbacConfig& config, const RequestFacts& facts) {
  Authorization result;
  result.enforced = config.rules.has_value();
  result.shadow_enforced = config.shadow_rules.has_value();
  if (result.shadow_enforced) result.shadow = Authorize(*config.shadow_rules, facts);
  if (result.enforced) result.verdict = Authorize(*config.rules, facts);
  return result;
}

bool AuthorizeConnection(const Downstream& downstream) {
  if (downstream.chain->authorization.empty()) return true;
  const RequestFacts facts = FactsOf(downstream);
  for (const auto& config : downstream.chain->authorization) {
    const Authorization result = AuthorizeBy(*config, facts);
    if (result.verdict.allowed) continue;
    Log(LogLevel::kDebug, "connection_denied",
        {{"listener", downstream.listener->name},
         {"chain", downstream.chain->name},
         {"details", DenialDetails(result.verdict)}});
    return false;
  }
  return true;
}

}  // namespace weft
