// Pool: a worker's idle connections to one endpoint.
//
// To an ordinary endpoint the most recently used connection goes first, so that the others age and
// close. To a gateway (fanout > 1) connections are used in turn, and up to kMostSpread are opened
// although one is idle: the gateway chooses a pod for each connection, so a single one would pin
// all requests to one pod.
#ifndef WEFT_PROXY_UPSTREAM_POOL_H_
#define WEFT_PROXY_UPSTREAM_POOL_H_

#include <cstddef>
#include <deque>
#include <memory>

#include "proxy/upstream/connection.h"

namespace weft {

class Pool {
 public:
  // Connections that requests are spread over towards a gateway, at most.
  static constexpr size_t kMostSpread = 16;

  // An idle connection that still looks usable, or null: then open a new one and call Opened().
  std::unique_ptr<UpstreamConnection> Take(const EndpointConfig& endpoint, MonotonicTime now,
                                           absl::Duration idle_timeout);
  void Opened() { ++open_; }
  // A connection that can carry another request.
  void Return(std::unique_ptr<UpstreamConnection> connection, MonotonicTime now);
  // One that Take() or Opened() counted was closed instead.
  void Closed() { --open_; }
  // Closes what the peer closed and what was idle too long.
  void Sweep(MonotonicTime now, absl::Duration idle_timeout);

  size_t open() const { return open_; }  // idle and in use
  size_t idle() const { return idle_.size(); }

 private:
  std::deque<std::unique_ptr<UpstreamConnection>> idle_;  // the longest idle first
  size_t open_ = 0;
};

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_POOL_H_
