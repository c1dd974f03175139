// Answer: a response of the proxy's own to a request: a refusal, a redirect, a direct response.
#ifndef WEFT_PROXY_SERVE_ANSWER_H_
#define WEFT_PROXY_SERVE_ANSWER_H_

#include <optional>
#include <string>

#include "proxy/http/head.h"
#include "proxy/telemetry/record.h"

namespace weft {

struct Answer {
  int status = 503;
  ResponseFlag flag = ResponseFlag::kNone;
  std::string details;  // response code details of the access log: "route_not_found"
  std::string body;
  Headers headers;
  std::optional<int> grpc_status = {};  // to a gRPC call; else what stands for `status`
};

}  // namespace weft

#endif  // WEFT_PROXY_SERVE_ANSWER_H_
