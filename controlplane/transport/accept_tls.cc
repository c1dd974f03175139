#include "controlplane/transport/accept_tls.h"

#include <string>
#include <utility>

#include "proxy/base/log.h"

namespace weft {

Task<std::unique_ptr<TlsStream>> AcceptTls(EventLoop& loop, std::unique_ptr<TcpStream> accepted,
                                           std::shared_ptr<const ServerTlsContext> context,
                                           const Address& listener) {
  const std::string from = accepted->peer_address().ToString();
  auto stream = co_await TlsStream::Accept(loop, std::move(accepted), std::move(context), Buffer(),
                                           loop.Now() + kTlsHandshakeTimeout);
  if (stream.ok()) co_return *std::move(stream);
  Log(LogLevel::kInfo, "tls_refused",
      {{"peer", from},
       {"listener", listener.ToString()},
       {"reason", std::string(stream.status().message())}});
  co_return nullptr;
}

}  // namespace weft
