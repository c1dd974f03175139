// GrpcPort: a port at which weftd serves gRPC, plain or over TLS, on its own loop: HTTP/2 by the
// same H2Connection that the proxy serves clients with.
//
// Discovery is many small messages to many clients. libgrpc++ spends ten times what weftd's own
// part of one costs, mostly on handing it from thread to thread; its TLS would bring OpenSSL into
// the process, whose names collide with BoringSSL's.
//
// Everything belongs to the loop's thread, construction and destruction included.
#ifndef WEFT_CONTROLPLANE_TRANSPORT_GRPC_PORT_H_
#define WEFT_CONTROLPLANE_TRANSPORT_GRPC_PORT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/transport/grpc_call.h"
#include "proxy/net/address.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/tls/tls_context.h"

namespace weft {

// A client that takes longer than this over a request's head is let go.
inline constexpr absl::Duration kGrpcHeadTimeout = absl::Seconds(10);
// Several times the proxies of the largest cluster planned for; beyond it, connections are refused.
inline constexpr size_t kMaxGrpcConnections = 20000;
// One that has not had a call for as long is closed.
inline constexpr absl::Duration kGrpcIdleTimeout = absl::Minutes(5);

// Serves one call. It is destroyed where it waits when the connection goes. The status it returns
// ends the call.
using GrpcHandler = std::function<Task<absl::Status>(GrpcCall&)>;
// By path: "/package.Service/Method".
using GrpcServices = std::map<std::string, GrpcHandler, std::less<>>;

class GrpcPort {
 public:
  struct Options {
    std::shared_ptr<const ServerTlsContext> tls;  // null: plain, for loopback only
    size_t max_message = 4 << 20;                 // as gRPC's own default
  };

  // Listens, and serves from the loop's next turn on. `services` must outlive the port. Errors name
  // the address.
  static absl::StatusOr<std::unique_ptr<GrpcPort>> Listen(EventLoop& loop, const Address& address,
                                                          const GrpcServices& services,
                                                          Options options);
  // Ends all connections.
  ~GrpcPort() = default;
  GrpcPort(const GrpcPort&) = delete;
  GrpcPort& operator=(const GrpcPort&) = delete;

  // For connections from now on: a renewed certificate, changed trust.
  void SetTls(std::shared_ptr<const ServerTlsContext> context) {
    options_.tls = std::move(context);
  }
  const Address& address() const { return listener_->address(); }  // with the port the kernel chose

 private:
  GrpcPort(EventLoop& loop, std::unique_ptr<Listener> listener, const GrpcServices& services,
           Options options);
  Task<> Accept();
  Task<> ServeConnection(std::unique_ptr<TcpStream> accepted);
  Task<> ServeCalls(ByteStream& bytes, const GrpcPeer& peer);
  Task<> ServeCall(std::unique_ptr<HttpStream> stream, const GrpcPeer& peer);

  EventLoop& loop_;
  std::unique_ptr<Listener> listener_;
  const GrpcServices& services_;
  Options options_;
  Scope tasks_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSPORT_GRPC_PORT_H_
