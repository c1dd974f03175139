// TlsFront: TLS for a gRPC server that has none.
//
// A thread of its own accepts, shakes hands (BoringSSL), notes who the peer proved to be, gives
// gRPC one end of a socket pair and carries bytes between the other end and the TLS connection.
// gRPC's own TLS would bring OpenSSL into the process, whose names collide with BoringSSL's.
//
// Thread-safe.
#ifndef WEFT_CONTROLPLANE_TRANSPORT_TLS_FRONT_H_
#define WEFT_CONTROLPLANE_TRANSPORT_TLS_FRONT_H_

#include <functional>
#include <memory>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/transport/connections.h"
#include "proxy/net/address.h"
#include "proxy/tls/tls_context.h"

namespace weft {

// A client that takes longer than this to shake hands is let go.
inline constexpr absl::Duration kHandshakeTimeout = absl::Seconds(10);
// Several times the proxies of the largest cluster planned for; beyond it, connections are refused.
inline constexpr size_t kMaxConnections = 20000;

class TlsFront {
 public:
  // Called on the front's thread; takes over the descriptor: grpc::AddInsecureChannelFromFd.
  using HandOver = std::function<void(int fd)>;

  // Listens and starts. `connections` must outlive the front. Errors name the address.
  static absl::StatusOr<std::unique_ptr<TlsFront>> Start(
      const Address& listen, std::shared_ptr<const ServerTlsContext> context,
      Connections& connections, HandOver hand_over);
  // Ends the thread and all connections.
  ~TlsFront();
  TlsFront(const TlsFront&) = delete;
  TlsFront& operator=(const TlsFront&) = delete;

  // For connections from now on: a renewed certificate, changed trust.
  void SetContext(std::shared_ptr<const ServerTlsContext> context);
  const Address& address() const;  // with the port the kernel chose

 private:
  struct Running;
  explicit TlsFront(std::unique_ptr<Running> running);
  std::unique_ptr<Running> running_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSPORT_TLS_FRONT_H_
