#include "proxy/upstream/connection.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/net/proxy_protocol.h"
#include "proxy/net/write_all.h"
#include "proxy/tls/tls_stream.h"

namespace weft {

Task<absl::StatusOr<std::unique_ptr<UpstreamConnection>>> ConnectUpstream(
    EventLoop& loop, const ClusterConfig& cluster, const EndpointConfig& endpoint,
    std::optional<uint32_t> default_mark, MonotonicTime deadline, ProxiedAddresses proxied,
    absl::string_view alpn) {
  ConnectOptions options;
  options.source = SourceFor(cluster, endpoint.address);
  options.keepalive = cluster.keepalive;
  options.mark = cluster.mark.has_value() ? cluster.mark : default_mark;
  options.deadline = std::min(deadline, loop.Now() + cluster.connect_timeout);
  auto connection = std::make_unique<UpstreamConnection>();
  connection->tls = endpoint.tls;
  auto connected = co_await Connect(loop, endpoint.address, options);
  if (!connected.ok()) co_return connected.status();
  connection->stream = std::move(*connected);
  if (endpoint.proxy_protocol != ProxyProtocolOut::kNone) {
    const int version = endpoint.proxy_protocol == ProxyProtocolOut::kV1 ? 1 : 2;
    Buffer header;
    header.Append(MakeProxyHeader(version, proxied.client, proxied.destination));
    const bool sent = co_await WriteAll(loop, *connection->stream, header, options.deadline);
    if (!sent) {
      co_return absl::UnavailableError(
          absl::StrCat("PROXY header to ", endpoint.address.ToString(), ": not taken"));
    }
  }
  if (endpoint.tls != nullptr) {
    auto secured = co_await TlsStream::Connect(loop, std::move(connection->stream), endpoint.tls,
                                               options.deadline, endpoint.host_name, alpn);
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
