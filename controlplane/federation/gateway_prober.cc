#include "controlplane/federation/gateway_prober.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/federation/control_plane_id.h"
#include "controlplane/federation/peer_dial.h"
#include "proxy/base/log.h"
#include "proxy/net/tcp.h"

namespace weft {

GatewayProber::GatewayProber(EventLoop& loop, CurrentPeer peer, OwnCertificate own,
                             std::function<void()> on_change)
    : loop_(loop), peer_(std::move(peer)), own_(std::move(own)), on_change_(std::move(on_change)) {
  Follow();
}

void GatewayProber::Follow() {
  const std::shared_ptr<const Peer> peer = peer_();
  const auto wanted = [&](const GatewayAddress& gateway) {
    return !peer->outbound_only &&
           std::find(peer->gateways.begin(), peer->gateways.end(), gateway) != peer->gateways.end();
  };
  probed_.remove_if([&](const Probed& one) { return !wanted(one.status.gateway); });
  for (const GatewayAddress& gateway : peer->gateways) {
    const bool known = std::any_of(probed_.begin(), probed_.end(), [&](const Probed& one) {
      return one.status.gateway == gateway;
    });
    if (known || !wanted(gateway)) continue;
    Probed& added = probed_.emplace_back();
    added.status.gateway = gateway;
    added.heard = -absl::InfiniteDuration();
    added.task.Spawn(Probe(added));
  }
}

void GatewayProber::Heard(const GatewayAddress& gateway) {
  for (Probed& one : probed_) {
    if (!(one.status.gateway == gateway)) continue;
    one.heard = loop_.Now();
  }
}

Task<> GatewayProber::Probe(Probed& probed) {
  while (true) {
    co_await Sleep(loop_, kPeriod);
    // It has just shown that it is there.
    if (loop_.Now() - probed.heard < kPeriod + kPatience) {
      Note(probed, true);
      continue;
    }
    const MonotonicTime begun = loop_.Now();
    const bool answered = co_await Ask(probed.status.gateway);
    if (answered) probed.status.latency = loop_.Now() - begun;
    Note(probed, answered);
  }
}

Task<bool> GatewayProber::Ask(const GatewayAddress& gateway) {
  const bool tunnels = gateway.tunnel_port != 0;
  const std::shared_ptr<const Peer> peer = peer_();
  const certs::SpiffeId server =
      tunnels ? GatewayId(peer->trust_domain) : ControlPlaneId(peer->trust_domain);
  auto context = PeerTlsContext(*peer, server, own_());
  auto address = Address::Ip(gateway.address, tunnels ? gateway.tunnel_port : gateway.port);
  if (!context.ok() || !address.ok()) co_return false;
  const MonotonicTime deadline = loop_.Now() + kPatience;
  ConnectOptions options;
  options.deadline = deadline;
  auto connected = co_await Connect(loop_, *address, options);
  if (!connected.ok()) co_return false;
  auto secured = co_await TlsStream::Connect(loop_, *std::move(connected), *context, deadline);
  if (secured.ok() || absl::IsUnauthenticated(secured.status())) co_return true;
  co_return !tunnels && !absl::IsDeadlineExceeded(secured.status());
}

void GatewayProber::Note(Probed& probed, bool answered) {
  const bool before = probed.status.answers();
  probed.status.failures = answered ? 0 : probed.status.failures + 1;
  if (probed.status.answers() == before) return;
  Log(answered ? LogLevel::kInfo : LogLevel::kWarning,
      answered ? "gateway_answers" : "gateway_dead",
      {{"peer", peer_()->cluster},
       {"gateway", absl::StrCat(probed.status.gateway.address, ":", probed.status.gateway.port)}});
  on_change_();
}

std::vector<GatewayProber::Status> GatewayProber::statuses() const {
  std::vector<Status> statuses;
  for (const Probed& one : probed_) statuses.push_back(one.status);
  return statuses;
}

std::vector<GatewayAddress> GatewayProber::dead() const {
  std::vector<GatewayAddress> dead;
  for (const Probed& one : probed_) {
    if (!one.status.answers()) dead.push_back(one.status.gateway);
  }
  return dead;
}

}  // namespace weft
