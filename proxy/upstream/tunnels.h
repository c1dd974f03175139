// Tunnels: a worker's connections to the gateways of other clusters, and the streams that are
// opened on them (api/weft/tunnel.proto). All clusters of the worker share them: many connections
// with pods are streams of one connection with their gateway.
//
// A gateway that falls silent is found by pings (kGatewayPingInterval), and all streams on that
// connection break then.
//
// One worker's.
#ifndef WEFT_PROXY_UPSTREAM_TUNNELS_H_
#define WEFT_PROXY_UPSTREAM_TUNNELS_H_

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "proxy/config/tunnel_config.h"
#include "proxy/net/address.h"
#include "proxy/net/byte_stream.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"
#include "proxy/stream/h2_connection.h"
#include "proxy/upstream/reverse_tunnels.h"

namespace weft {

class Tunnels {
 public:
  static constexpr absl::Duration kIdleTimeout = absl::Minutes(1);

  explicit Tunnels(EventLoop& loop) : loop_(loop) {}
  Tunnels(const Tunnels&) = delete;
  Tunnels& operator=(const Tunnels&) = delete;

  struct Wanted {
    std::string avoid;   // names of pods, by commas
    std::string source;  // whom it is opened for, if that is not us
    std::string traceparent;
  };
  struct Opened {
    std::unique_ptr<ByteStream> stream;
    std::string pod;  // as the gateway calls it; may be empty
  };
  // A tunnel through the gateway at `address`. Errors say at which step, with the address;
  // Unavailable also if the gateway has nobody to lead to.
  Task<absl::StatusOr<Opened>> Open(Address address, std::shared_ptr<const TunnelConfig> config,
                                    Wanted wanted, std::optional<uint32_t> mark,
                                    MonotonicTime deadline);

  ReverseTunnels& reverse() { return reverse_; }
  const ReverseTunnels& reverse() const { return reverse_; }

  // Closes what is over, or was idle too long.
  void Sweep(MonotonicTime now);
  size_t connections() const;

 private:
  struct Connection {
    Connection(EventLoop& loop, std::unique_ptr<ByteStream> made, H2Counters& counters);
    const std::unique_ptr<ByteStream> bytes;
    H2Connection http2;
    MonotonicTime used;
  };
  // One gateway with one TLS context.
  struct Gateway {
    std::list<std::unique_ptr<Connection>> connections;
    bool being_made = false;
    std::list<Signal> waiting;  // for that
    absl::Status failure;       // of the last attempt
  };
  using Key = std::pair<std::string, const ClientTlsContext*>;

  Task<absl::StatusOr<Connection*>> Get(Address address, std::shared_ptr<const TunnelConfig> config,
                                        std::optional<uint32_t> mark, MonotonicTime deadline);
  Task<absl::StatusOr<Connection*>> Make(Gateway& gateway, Address address,
                                         std::shared_ptr<const TunnelConfig> config,
                                         std::optional<uint32_t> mark, MonotonicTime deadline);
  static Connection* Usable(Gateway& gateway);
  Task<absl::StatusOr<Opened>> OpenOn(H2Connection& connection, Address local, Address gateway,
                                      std::shared_ptr<const TunnelConfig> config, Wanted wanted,
                                      MonotonicTime deadline);

  EventLoop& loop_;
  H2Counters counters_;
  ReverseTunnels reverse_;
  std::map<Key, Gateway> gateways_;  // a Gateway stays where it is
};

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_TUNNELS_H_
