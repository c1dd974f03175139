// For tests: what the proxy of a workload says of one connection or request, without a socket: its
// inbound listener is compiled as the proxy compiles it, and the proxy's own decisions are asked.
//
// It knows no World: proxy/config and controlplane/model have types of the same names (Locality),
// so no file may see both.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_INBOUND_VERDICT_H_
#define WEFT_CONTROLPLANE_TRANSLATE_INBOUND_VERDICT_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "proxy/http/head.h"

namespace envoy::config::listener::v3 {
class Listener;
}

namespace weft {

struct ListenerConfig;

// One call. As it stands: GET http://helloworld/hello on port 5000, by mTLS, from the account
// "sleep" of namespace "default" in cluster east.
struct Call {
  std::string principal = "east.local/ns/default/sa/sleep";  // "": in plain
  std::string source_ip = "10.244.0.50";
  std::string remote_ip = "10.244.0.50";  // behind proxies: x-forwarded-for, as the proxy reads it
  std::string destination_ip = "10.244.0.2";
  uint16_t port = 5000;
  std::string server_name = "outbound_.5000_._.helloworld.default.svc.cluster.local";
  bool app_tls = false;  // TLS that is the application's own
  std::string method = "GET";
  std::string host = "helloworld";
  std::string path = "/hello";
  std::vector<std::pair<std::string, std::string>> headers = {};
};

class InboundProxy {
 public:
  explicit InboundProxy(const envoy::config::listener::v3::Listener& listener);
  ~InboundProxy();

  // "allowed", "closed" (no chain takes it, or it leads nowhere), "denied: POLICY" or "token: WHY".
  // Of a TCP port the request is not looked at.
  std::string Ask(const Call& call);
  // The request of the last call as the application gets it.
  const RequestHead& forwarded() const { return head_; }
  // What the policies on trial said of the last request: "allowed" or "denied" each.
  const std::vector<std::string>& on_trial() const { return on_trial_; }
  // The cluster whose authorizer is asked about the last request; "" if none is.
  const std::string& asked() const { return asked_; }

 private:
  std::shared_ptr<const ListenerConfig> listener_;
  RequestHead head_;
  std::vector<std::string> on_trial_;
  std::string asked_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_INBOUND_VERDICT_H_
