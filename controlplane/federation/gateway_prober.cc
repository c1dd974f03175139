#include "controlplane/federation/gateway_prober.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/federation/control_plane_id.h"
#include "controlplane/federation/peer_dial.h"
#include "proxy/base/log.h"
#include "proxy/net/byte_stream.h"
#include "proxy/net/tcp.h"

namespace weft {
namespace {

// What a gateway has sent.
struct Answer {
  bool bytes = false;
  bool closed = false;  // in good order
};

// A connection whose other end is looked at.
class Observed final : public ByteStream {
 public:
  // `answer` outlives this.
  Observed(std::unique_ptr<ByteStream> inner, Answer& answer)
      : inner_(std::move(inner)), answer_(answer) {}

  IoResult Read(Buffer& into, size_t at_most) override {
    const IoResult result = inner_->Read(into, at_most);
    answer_.bytes |= result.ok();
    answer_.closed |= result.status == IoStatus::kEof;
    return result;
  }
  IoResult Write(absl::Span<const absl::string_view> parts) override {
    return inner_->Write(parts);
  }
  void CloseWrite() override { inner_->CloseWrite(); }
  void ResetOnClose() override { inner_->ResetOnClose(); }
  Signal& readable() override { return inner_->readable(); }
  Signal& writable() override { return inner_->writable(); }
  std::string error() const override { return inner_->error(); }
  const Address& local_address() const override { return inner_->local_address(); }
  const Address& peer_address() const override { return inner_->peer_address(); }

 private:
  const std::unique_ptr<ByteStream> inner_;
  Answer& answer_;
};

}  // namespace

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
    added.task.Spawn(Probe(added));
  }
}

Task<> GatewayProber::Probe(Probed& probed) {
  MonotonicTime next = loop_.Now() + kPeriod;
  while (true) {
    co_await Sleep(loop_, next - loop_.Now());
    const MonotonicTime begun = loop_.Now();
    next = begun + kPeriod;
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
  Answer answer;
  auto observed = std::make_unique<Observed>(*std::move(connected), answer);
  // Whom it is with counts for nothing here: the roots may be on their way to others.
  (void)co_await TlsStream::Connect(loop_, std::move(observed), *context, deadline);
  co_return answer.bytes || (answer.closed && !tunnels);
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
