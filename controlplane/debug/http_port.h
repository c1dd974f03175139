// HttpPort: a few pages over plain HTTP, for probes, Prometheus and people with curl.
//
// Runs on the given loop, whose thread owns it; a handler may look at anything of that thread.
#ifndef WEFT_CONTROLPLANE_DEBUG_HTTP_PORT_H_
#define WEFT_CONTROLPLANE_DEBUG_HTTP_PORT_H_

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proxy/net/address.h"
#include "proxy/runtime/event_loop.h"

namespace weft {

struct HttpAnswer {
  int code = 200;
  std::string content_type = "text/plain; charset=utf-8";
  std::string body;
};

class HttpPort {
 public:
  // `query`: the parameters of the request, decoded.
  using Handler = std::function<HttpAnswer(const std::map<std::string, std::string>& query)>;

  // Serves GET and HEAD of each path exactly; all else is 404 or 405. Errors name the address.
  static absl::StatusOr<std::unique_ptr<HttpPort>> Listen(EventLoop& loop, const Address& address,
                                                          std::map<std::string, Handler> handlers);
  ~HttpPort();

  const Address& address() const;

 private:
  struct State;
  explicit HttpPort(std::unique_ptr<State> state);
  std::unique_ptr<State> state_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_DEBUG_HTTP_PORT_H_
