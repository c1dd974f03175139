// WebhookForTest: an admission webhook over HTTPS, in a thread, whose answers a test makes.
#ifndef WEFT_TEST_APISERVER_WEBHOOK_FOR_TEST_H_
#define WEFT_TEST_APISERVER_WEBHOOK_FOR_TEST_H_

#include <functional>
#include <memory>
#include <string>
#include <thread>

#include "proxy/net/tcp.h"
#include "proxy/runtime/scope.h"
#include "proxy/tls/tls_context.h"
#include "test/apiserver/failure.h"

namespace weft::apiserver {

class WebhookForTest {
 public:
  // From the review's request to the review's response, without the uid, which is echoed. On the
  // webhook's thread.
  using Answer = std::function<Json(const Json& request)>;

  WebhookForTest(const TlsCertificate& certificate, Answer answer);
  ~WebhookForTest();
  std::string address() const { return listener_->address().ToString(); }

 private:
  Task<> Accept();
  Task<> Serve(std::unique_ptr<TcpStream> accepted);

  const Answer answer_;
  EventLoop loop_;
  std::shared_ptr<const ServerTlsContext> tls_;
  std::unique_ptr<Listener> listener_;
  Scope accepting_;
  Scope connections_;
  std::thread thread_;
};

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_WEBHOOK_FOR_TEST_H_
