// WebhookCall: one HTTPS POST to an admission webhook, on the server's loop.
#ifndef WEFT_TEST_APISERVER_WEBHOOK_CALL_H_
#define WEFT_TEST_APISERVER_WEBHOOK_CALL_H_

#include <string>

#include "absl/status/statusor.h"
#include "proxy/net/address.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft::apiserver {

struct WebhookCall {
  Address address;
  std::string server_name;  // what the certificate must be for
  std::string ca_pem;
  std::string authority;
  std::string path;
  std::string body;
  MonotonicTime deadline = kNever;
};

// The body of a 200. Errors say what Kubernetes' would, without the "failed calling webhook".
Task<absl::StatusOr<std::string>> PostToWebhook(EventLoop& loop, WebhookCall call);

}  // namespace weft::apiserver

#endif  // WEFT_TEST_APISERVER_WEBHOOK_CALL_H_
