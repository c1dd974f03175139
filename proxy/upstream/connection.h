// UpstreamConnection: one connection to an endpoint, and how it is made: connect, then TLS if the
// endpoint wants it.
#ifndef WEFT_PROXY_UPSTREAM_CONNECTION_H_
#define WEFT_PROXY_UPSTREAM_CONNECTION_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "proxy/config/cluster_config.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/task.h"
#include "proxy/upstream/tunnels.h"

namespace weft {

struct UpstreamConnection {
  std::unique_ptr<ByteStream> stream;
  // What it was made with: another object after a rotation, and then it is not used again.
  std::shared_ptr<const ClientTlsContext> tls;
  std::string alpn;  // what was negotiated; empty if nothing was
  // Of a tunnel: the same for its gateway, and what the gateway calls the pod behind.
  std::shared_ptr<const TunnelConfig> tunnel;
  std::string pod;
};

// What a connection by a tunnel is made with.
struct Tunneling {
  Tunnels* tunnels = nullptr;  // null: there are none here
  std::string avoid;           // names of pods, by commas, that another one is wanted than
  std::string source;          // whom the connection is made for, if that is not us
  std::string traceparent;     // of the request that it is made for; ""
  // Says which pod the gateway chose, also where nothing comes of it then; may be null.
  std::string* reached = nullptr;
};

// The two ends of a client's connection, for the PROXY protocol towards an endpoint.
struct ProxiedAddresses {
  Address client;
  Address destination;
};

// Connects to `endpoint` as `cluster` says. Errors are those of Connect() and of the handshake,
// with the endpoint's address. `default_mark` is SO_MARK where the cluster states none; `deadline`
// is in force beside the cluster's own limit.
Task<absl::StatusOr<std::unique_ptr<UpstreamConnection>>> ConnectUpstream(
    EventLoop& loop, const ClusterConfig& cluster, const EndpointConfig& endpoint,
    std::optional<uint32_t> default_mark, MonotonicTime deadline = kNever,
    ProxiedAddresses proxied = ProxiedAddresses(), absl::string_view alpn = "",
    Tunneling tunneling = Tunneling());

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_CONNECTION_H_
