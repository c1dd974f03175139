// The admin port's HTTP: small requests, small answers, one loop. Nothing of the data plane runs
// here, and nothing here is meant for the open network: bind it to loopback.
#ifndef WEFT_PROXY_ADMIN_HTTP_SERVER_H_
#define WEFT_PROXY_ADMIN_HTTP_SERVER_H_

#include <map>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/scope.h"

namespace weft {

struct AdminRequest {
  std::string method;
  std::string path;                          // without the query
  std::map<std::string, std::string> query;  // decoded
};

struct AdminResponse {
  int status = 200;
  std::string content_type = "text/plain; charset=UTF-8";
  std::string body;
};

class AdminHandler {
 public:
  virtual ~AdminHandler() = default;
  virtual Task<AdminResponse> Handle(AdminRequest request) = 0;
};

class AdminServer {
 public:
  // `handler` must outlive the server. The error names the address.
  static absl::StatusOr<std::unique_ptr<AdminServer>> Start(EventLoop& loop, const Address& address,
                                                            AdminHandler* handler);
  const Address& address() const { return listener_->address(); }

 private:
  AdminServer(EventLoop& loop, std::unique_ptr<Listener> listener, AdminHandler* handler)
      : loop_(loop), listener_(std::move(listener)), handler_(handler) {}
  Task<> Serve();
  Task<> ServeConnection(std::unique_ptr<TcpStream> stream);

  EventLoop& loop_;
  std::unique_ptr<Listener> listener_;
  AdminHandler* handler_;
  Scope scope_;
};

}  // namespace weft

#endif  // WEFT_PROXY_ADMIN_HTTP_SERVER_H_
