#include "proxy/upstream/connection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/net/proxy_protocol.h"
#include "proxy/net/write_all.h"
#include "proxy/tls/tls_stream.h"

namespace weft {

namespace {

// A gateway that vanished is missed within three seconds by who waits for an answer. No
// TCP_USER_TIMEOUT for who is sending: the kernel counts it while the other side's window is closed
// too, and would cut what goes to a pod that is merely slow. Those wait for weftd to notice.
constexpr TcpKeepalive kGatewayKeepalive = {1, 1, 2};

Task<absl::StatusOr<Tunnels::Opened>> Reach(EventLoop& loop, const ClusterConfig& cluster,
                                            const EndpointConfig& endpoint,
                                            std::optional<uint32_t> mark, MonotonicTime deadline,
                                            Tunneling tunneling) {
  if (endpoint.tunnel != nullptr) {
    if (tunneling.tunnels == nullptr) {
      co_return absl::FailedPreconditionError(
          absl::StrCat("cluster '", cluster.name, "': no tunnels for this kind of connection"));
    }
    Tunnels::Wanted wanted;
    wanted.avoid = std::move(tunneling.avoid);
    wanted.source = std::move(tunneling.source);
    wanted.traceparent = std::move(tunneling.traceparent);
    co_return co_await tunneling.tunnels->Open(endpoint.address, endpoint.tunnel, std::move(wanted),
                                               mark, deadline);
  }
  ConnectOptions options;
  options.source = SourceFor(cluster, endpoint.address);
  const bool stated = !(cluster.keepalive == TcpKeepalive());
  options.keepalive = endpoint.fanout > 1 && !stated ? kGatewayKeepalive : cluster.keepalive;
  options.mark = mark;
  options.deadline = deadline;
  auto connected = co_await Connect(loop, endpoint.address, options);
  if (!connected.ok()) co_return connected.status();
  Tunnels::Opened opened;
  opened.stream = *std::move(connected);
  co_return opened;
}

}  // namespace

Task<absl::StatusOr<std::unique_ptr<UpstreamConnection>>> ConnectUpstream(
    EventLoop& loop, const ClusterConfig& cluster, const EndpointConfig& endpoint,
    std::optional<uint32_t> default_mark, MonotonicTime deadline, ProxiedAddresses proxied,
    absl::string_view alpn, Tunneling tunneling) {
  const MonotonicTime limit = std::min(deadline, loop.Now() + cluster.connect_timeout);
  auto connection = std::make_unique<UpstreamConnection>();
  connection->tls = endpoint.tls;
  connection->tunnel = endpoint.tunnel;
  std::string* const reached = tunneling.reached;
  auto opened = co_await Reach(loop, cluster, endpoint,
                               cluster.mark.has_value() ? cluster.mark : default_mark, limit,
                               std::move(tunneling));
  if (!opened.ok()) co_return opened.status();
  connection->stream = std::move(opened->stream);
  connection->pod = std::move(opened->pod);
  if (reached != nullptr) *reached = connection->pod;
  if (endpoint.proxy_protocol != ProxyProtocolOut::kNone) {
    const int version = endpoint.proxy_protocol == ProxyProtocolOut::kV1 ? 1 : 2;
    Buffer header;
    header.Append(MakeProxyHeader(version, proxied.client, proxied.destination));
    const bool sent = co_await WriteAll(loop, *connection->stream, header, limit);
    if (!sent) {
      co_return absl::UnavailableError(
          absl::StrCat("PROXY header to ", endpoint.address.ToString(), ": not taken"));
    }
  }
  if (endpoint.tls != nullptr) {
    auto secured = co_await TlsStream::Connect(loop, std::move(connection->stream), endpoint.tls,
                                               limit, endpoint.host_name, alpn);
    if (!secured.ok()) {
      co_return absl::Status(
          secured.status().code(),
          absl::StrCat("TLS with ", endpoint.address.ToString(), ": ", secured.status().message()));
    }
    connection->alpn = std::string((*secured)->alpn());
    connection->stream = std::move(*secured);
  }
  co_return connection;
}

}  // namespace weft
