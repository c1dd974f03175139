// HttpsPort: POSTs over HTTPS (HTTP/1.1), for whoever calls weftd's webhooks.
//
// Place: beside the pages in plain HTTP (debug/http_port.h), which have no bodies. Anybody who can
// reach the port may talk to it, so all is bounded: connections, bytes, and the time of each step.
// One loop, one thread.
#ifndef WEFT_CONTROLPLANE_WEBHOOK_HTTPS_PORT_H_
#define WEFT_CONTROLPLANE_WEBHOOK_HTTPS_PORT_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proxy/net/address.h"
#include "proxy/net/byte_stream.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"
#include "proxy/stream/h1_server_stream.h"
#include "proxy/tls/tls_context.h"

namespace weft::webhook {

struct HttpsReply {
  int status = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

class HttpsPort {
 public:
  // An API server takes objects of 3 MiB at most, and a review of an update holds two.
  static constexpr size_t kMaxBody = 7 << 20;
  // Of all requests under way: what strangers may make us hold. Parsed, it is some times as much.
  static constexpr size_t kMaxHeld = 3 * kMaxBody;
  // API servers use a few connections each.
  static constexpr size_t kMaxConnections = 256;
  // Webhooks get 30 s at most, 10 s unless said otherwise: whoever is slower than this at sending a
  // request has given up on it.
  static constexpr absl::Duration kRequestTimeout = absl::Seconds(10);
  // Longer than the 90 s after which Go's client closes: it is to be the one who does.
  static constexpr absl::Duration kIdleTimeout = absl::Seconds(120);

  // `path` is without the query. Its task lives as long as the client's connection.
  using Handler = std::function<Task<HttpsReply>(std::string path, std::string body)>;

  // Listens; Start() begins to serve. Errors name the address.
  static absl::StatusOr<std::unique_ptr<HttpsPort>> Listen(
      EventLoop& loop, const Address& address, std::shared_ptr<const ServerTlsContext> tls,
      Handler handler);
  HttpsPort(const HttpsPort&) = delete;
  HttpsPort& operator=(const HttpsPort&) = delete;

  void Start() { accepting_.Spawn(Accept()); }
  // For connections from now on.
  void SetTls(std::shared_ptr<const ServerTlsContext> tls) { tls_ = std::move(tls); }
  const Address& address() const { return listener_->address(); }

 private:
  class Held;
  struct Request {
    std::string path;
    std::string body;
  };
  // What came of reading a request.
  struct Arrival {
    bool gone = false;  // there is none, and nobody to tell
    std::optional<HttpsReply> refusal;
  };

  HttpsPort(EventLoop& loop, std::unique_ptr<Listener> listener,
            std::shared_ptr<const ServerTlsContext> tls, Handler handler)
      : loop_(loop),
        handler_(std::move(handler)),
        tls_(std::move(tls)),
        listener_(std::move(listener)) {}

  Task<> Accept();
  Task<> Serve(std::unique_ptr<TcpStream> accepted);
  Task<> ServeRequests(ByteStream& stream);
  Task<Arrival> Receive(H1ServerStream& client, Request& request, Held& held);
  Task<bool> Send(H1ServerStream& client, const HttpsReply& reply, bool close);
  Task<> Linger(ByteStream& stream);

  EventLoop& loop_;
  const Handler handler_;
  std::shared_ptr<const ServerTlsContext> tls_;
  std::unique_ptr<Listener> listener_;
  size_t held_ = 0;  // bytes of bodies
  Scope accepting_;
  Scope connections_;
};

}  // namespace weft::webhook

#endif  // WEFT_CONTROLPLANE_WEBHOOK_HTTPS_PORT_H_
