// Unary calls at a GrpcPort: one request, one response.
#ifndef WEFT_CONTROLPLANE_TRANSPORT_UNARY_H_
#define WEFT_CONTROLPLANE_TRANSPORT_UNARY_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "controlplane/transport/grpc_call.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft {

// A client that takes longer than this to say what it wants is let go.
inline constexpr absl::Duration kUnaryPatience = absl::Seconds(10);

// The request of a call. Errors are what to end the call with.
template <typename Request>
Task<absl::StatusOr<Request>> ReceiveRequest(EventLoop& loop, GrpcCall& call) {
  const MonotonicTime deadline = loop.Now() + kUnaryPatience;
  std::string message;
  GrpcCall::Event event = call.Next(&message);
  while (event == GrpcCall::Event::kNothing) {
    const bool in_time = co_await Wait(loop, {&call.readable()}, deadline);
    if (!in_time) co_return absl::DeadlineExceededError("no request in time");
    event = call.Next(&message);
  }
  if (event == GrpcCall::Event::kEnd) {
    if (!call.status().ok()) co_return call.status();
    co_return absl::InvalidArgumentError("no request");
  }
  Request request;
  if (!request.ParseFromString(message)) {
    co_return absl::InvalidArgumentError(
        absl::StrCat("not a ", std::string(Request::descriptor()->name())));
  }
  co_return request;
}

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSPORT_UNARY_H_
