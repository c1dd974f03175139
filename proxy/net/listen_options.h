// What sockets are told beside their addresses. Plain values: two equal ListenOptions for one
// address can share a socket, which is how an update of a listener keeps what waits in its queue.
#ifndef WEFT_PROXY_NET_LISTEN_OPTIONS_H_
#define WEFT_PROXY_NET_LISTEN_OPTIONS_H_

#include <cstdint>
#include <string>
#include <vector>

namespace weft {

// One setsockopt() that config asks for.
struct SocketOption {
  enum class State { kPrebind, kBound, kListening };
  State state = State::kPrebind;
  int level = 0;
  int name = 0;
  std::string value;  // the bytes as the kernel takes them

  friend bool operator==(const SocketOption&, const SocketOption&) = default;
};

// When a silent peer is asked for a sign of life, so that a connection whose other end is gone
// (a pulled cable, not a closed socket) does not stay for ever.
struct TcpKeepalive {
  int idle_seconds = 60;  // two minutes until it is given up, with the next two
  int interval_seconds = 15;
  int probes = 4;

  friend bool operator==(const TcpKeepalive&, const TcpKeepalive&) = default;
};

struct ListenOptions {
  // Each worker binds the same address with its own socket; the kernel spreads connections.
  bool reuse_port = true;
  int backlog = 4096;
  bool ipv4_compat = false;  // an IPv6 socket that takes IPv4 as well
  bool transparent = false;  // TPROXY: connections for any address; CAP_NET_ADMIN
  bool freebind = false;     // an address that is not (yet) ours
  uint32_t pipe_mode = 0;    // permissions of a Unix socket's file; 0: as the umask says
  int fast_open_queue = 0;   // TCP Fast Open; 0: off
  std::vector<SocketOption> options;

  friend bool operator==(const ListenOptions&, const ListenOptions&) = default;
};

}  // namespace weft

#endif  // WEFT_PROXY_NET_LISTEN_OPTIONS_H_
