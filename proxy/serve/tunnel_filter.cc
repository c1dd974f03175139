#include "proxy/serve/tunnel_filter.h"

#include <string>
#include <utility>

#include "certs/spiffe_id.h"
#include "proxy/serve/connection.h"
#include "proxy/serve/exchange.h"

namespace weft {
namespace {

constexpr char kSource[] = "x-weft-source";
constexpr char kAvoid[] = "x-weft-avoid";
// A name is 16 characters; a client that has more pods to avoid than that gets any.
constexpr size_t kMaxAvoid = 16 * 1024;

// Another cluster's gateway speaks for those of its own trust domain, and for nobody else.
bool MaySpeakFor(const std::string& peer, const std::string& source,
                 const TunnelTerminationConfig& config) {
  const auto id = certs::SpiffeId::Parse(source);
  if (!id.ok()) return false;
  const auto gateway = config.gateways.find(id->trust_domain);
  return gateway != config.gateways.end() && gateway->second == peer;
}

}  // namespace

void RunTunnel(Exchange& x, const TunnelTerminationConfig& config) {
  const std::string& peer = x.connection.downstream.peer_uri;
  std::string source(x.head.headers.Get(kSource).value_or(""));
  if (!MaySpeakFor(peer, source, config)) source = peer;
  x.head.headers.Remove(kSource);
  if (!source.empty()) x.head.headers.Add(kSource, source);
  x.tunnel.source = std::move(source);
  x.tunnel.filter = &config;
  const absl::string_view avoid = x.head.headers.Get(kAvoid).value_or("");
  if (avoid.size() <= kMaxAvoid) x.tunnel.avoid = std::string(avoid);
}

}  // namespace weft
