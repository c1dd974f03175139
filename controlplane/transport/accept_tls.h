// The server's half of a TLS handshake, for every port of weftd that speaks TLS.
#ifndef WEFT_CONTROLPLANE_TRANSPORT_ACCEPT_TLS_H_
#define WEFT_CONTROLPLANE_TRANSPORT_ACCEPT_TLS_H_

#include <memory>

#include "absl/time/time.h"
#include "proxy/net/address.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"
#include "proxy/tls/tls_context.h"
#include "proxy/tls/tls_stream.h"

namespace weft {

// A client that takes longer than this to shake hands is let go.
inline constexpr absl::Duration kTlsHandshakeTimeout = absl::Seconds(10);

// Null if the handshake failed, which is logged; `listener` is the port that it came to.
Task<std::unique_ptr<TlsStream>> AcceptTls(EventLoop& loop, std::unique_ptr<TcpStream> accepted,
                                           std::shared_ptr<const ServerTlsContext> context,
                                           const Address& listener);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSPORT_ACCEPT_TLS_H_
