#include "controlplane/federation/link_probe.h"

#include <memory>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "api/weft/link.pb.h"
#include "controlplane/federation/control_plane_id.h"
#include "controlplane/federation/peer_dial.h"
#include "proxy/grpc/grpc_client.h"
#include "proxy/net/tcp.h"

namespace weft {
namespace {

using admin::v1::Hop;
using admin::v1::TestResponse;

// The hops of one gateway, as they are timed.
class Hops {
 public:
  Hops(EventLoop& loop, const std::string& gateway, TestResponse& to)
      : loop_(loop), gateway_(gateway), to_(to), began_(loop.Now()) {}

  MonotonicTime Begin() {
    began_ = loop_.Now();
    return began_ + kHopPatience;
  }
  // Whether to go on.
  bool End(absl::string_view name, const absl::Status& status, size_t bytes = 0) {
    const absl::Duration took = loop_.Now() - began_;
    Hop& hop = *to_.add_hops();
    hop.set_name(absl::StrCat("gateway ", gateway_, ": ", name));
    hop.set_ok(status.ok());
    hop.set_milliseconds(absl::ToDoubleMilliseconds(took));
    if (!status.ok()) hop.set_error(std::string(status.message()));
    if (status.ok() && bytes > 0 && took > absl::ZeroDuration()) {
      hop.set_bytes_per_second(static_cast<double>(bytes) / absl::ToDoubleSeconds(took));
    }
    return status.ok();
  }

 private:
  EventLoop& loop_;
  const std::string gateway_;
  TestResponse& to_;
  MonotonicTime began_;
};

Task<absl::StatusOr<std::unique_ptr<TcpStream>>> ConnectTo(EventLoop& loop, Address address,
                                                           MonotonicTime deadline) {
  ConnectOptions options;
  options.deadline = deadline;
  co_return co_await Connect(loop, address, options);
}

Task<absl::Status> EchoOf(GrpcConnection& connection, size_t bytes, MonotonicTime deadline) {
  peer::v1::EchoMessage said;
  said.set_payload(std::string(bytes, 'w'));
  GrpcMetadata none;
  auto heard = co_await UnaryCall(connection, "/weft.peer.v1.Links/Echo", std::move(none),
                                  said.SerializeAsString(), deadline);
  if (!heard.ok()) co_return heard.status();
  peer::v1::EchoMessage back;
  const bool same = back.ParseFromString(*heard) && back.payload() == said.payload();
  co_return same ? absl::OkStatus() : absl::DataLossError("other bytes came back");
}

Task<> ProbeWeftd(EventLoop& loop, std::string cluster, std::unique_ptr<TlsStream> bytes,
                  Hops& hops) {
  GrpcConnection::Options options;
  options.authority = PeerServerName(cluster);
  options.scheme = "https";
  options.max_message = kMaxPeerMessage;
  GrpcConnection connection(loop, std::move(bytes), options);
  // The first one waits for the beginnings of TLS and HTTP/2 as well, and is not counted.
  MonotonicTime deadline = hops.Begin();
  absl::Status status = co_await EchoOf(connection, 1, deadline);
  if (status.ok()) {
    deadline = hops.Begin();
    status = co_await EchoOf(connection, 1, deadline);
  }
  if (!hops.End("round trip", status)) co_return;
  deadline = hops.Begin();
  status = co_await EchoOf(connection, kProbeBytes, deadline);
  hops.End("1 MiB there and back", status, 2 * kProbeBytes);
}

Task<> ProbeGateway(EventLoop& loop, const Peer& peer, GatewayAddress gateway,
                    std::shared_ptr<const ClientTlsContext> context, TestResponse& response) {
  const Address address = *Address::Ip(gateway.address, gateway.port);
  Hops hops(loop, address.ToString(), response);
  MonotonicTime deadline = hops.Begin();
  auto tcp = co_await ConnectTo(loop, address, deadline);
  if (!hops.End("TCP", tcp.status())) co_return;
  deadline = hops.Begin();
  auto tls = co_await TlsStream::Connect(loop, *std::move(tcp), context, deadline);
  if (!hops.End("TLS with weftd", tls.status())) co_return;
  co_await ProbeWeftd(loop, peer.cluster, *std::move(tls), hops);
  if (gateway.tunnel_port == 0) co_return;
  deadline = hops.Begin();
  auto tunnel = co_await ConnectTo(loop, address.WithPort(gateway.tunnel_port), deadline);
  hops.End(absl::StrCat("TCP of tunnels, port ", gateway.tunnel_port), tunnel.status());
}

}  // namespace

Task<TestResponse> ProbeLink(EventLoop& loop, Peer peer, TlsCertificate own) {
  TestResponse response;
  const auto context = PeerTlsContext(peer, ControlPlaneId(peer.trust_domain), std::move(own));
  for (const GatewayAddress& gateway : peer.gateways) {
    if (context.ok() && Address::Ip(gateway.address, gateway.port).ok()) {
      co_await ProbeGateway(loop, peer, gateway, *context, response);
      continue;
    }
    Hop& hop = *response.add_hops();
    hop.set_name(absl::StrCat("gateway ", gateway.address, ":", gateway.port));
    hop.set_error(context.ok() ? "not an IP address" : std::string(context.status().message()));
  }
  co_return response;
}

}  // namespace weft
