#include "controlplane/federation/peer_dial.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "certs/trust_bundle.h"
#include "controlplane/federation/control_plane_id.h"
#include "proxy/net/tcp.h"

namespace weft {

absl::StatusOr<std::shared_ptr<const ClientTlsContext>> PeerTlsContext(
    const Peer& peer, const certs::SpiffeId& server, TlsCertificate own) {
  auto bundles = std::make_shared<certs::TrustBundles>();
  absl::Status set = bundles->Set(peer.trust_domain, peer.roots_pem);
  if (!set.ok()) return set;
  ClientTlsOptions options;
  if (!own.chain_pem.empty()) options.certificate = std::move(own);
  options.server_trust.bundles = std::move(bundles);
  SanMatch name;
  name.type = SanMatch::Type::kUri;
  name.value = server.ToString();
  options.server_trust.sans = {name};
  options.sni = PeerServerName(peer.cluster);
  options.alpn = {"h2"};
  options.tls13_only = true;
  return ClientTlsContext::Create(std::move(options));
}

Task<absl::StatusOr<std::unique_ptr<TlsStream>>> DialPeer(
    EventLoop& loop, Address address, std::shared_ptr<const ClientTlsContext> context,
    MonotonicTime deadline) {
  ConnectOptions options;
  options.deadline = deadline;
  auto connected = co_await Connect(loop, address, options);
  if (!connected.ok()) co_return connected.status();
  auto stream = co_await TlsStream::Connect(loop, *std::move(connected), context, deadline);
  if (!stream.ok()) {
    co_return absl::Status(stream.status().code(), absl::StrCat("TLS with ", address.ToString(),
                                                                ": ", stream.status().message()));
  }
  co_return stream;
}

}  // namespace weft
