// Connections: who is at the other end of each connection that a TlsFront handed to gRPC.
//
// gRPC sees one end of a socket pair and names it "fd:N"; the front knows whom it shook hands with.
// It says so here before gRPC gets the descriptor, and a handler asks with its context's peer().
// N may be used again once gRPC has closed it: then the newer entry replaces the older, whose calls
// can no longer be answered to anyone.
//
// Thread-safe.
#ifndef WEFT_CONTROLPLANE_TRANSPORT_CONNECTIONS_H_
#define WEFT_CONTROLPLANE_TRANSPORT_CONNECTIONS_H_

#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>

#include "certs/spiffe_id.h"

namespace weft {

struct ConnectionPeer {
  std::string address;                      // "10.0.0.1:40000"
  std::optional<certs::SpiffeId> identity;  // nothing if no certificate was shown
};

class Connections {
 public:
  // Returns what to give to Remove().
  uint64_t Add(int fd, ConnectionPeer peer);
  void Remove(int fd, uint64_t added);

  // `peer`: ServerContext::peer(). Nothing for a connection that did not come through a front: one
  // over the plain loopback port.
  std::optional<ConnectionPeer> Find(const std::string& peer) const;

 private:
  struct Entry {
    uint64_t added;
    ConnectionPeer peer;
  };
  mutable std::mutex mutex_;
  uint64_t last_ = 0;
  std::map<std::string, Entry> entries_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSPORT_CONNECTIONS_H_
