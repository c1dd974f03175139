#include "tools/weftctl/weftd_client.h"

#include <memory>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "proxy/grpc/grpc_client.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {
namespace {

struct Call {
  std::string socket_path;
  std::string method;
  std::string request;
  const std::function<void(const std::string&)>& on_message;
  std::optional<absl::Status> ended = std::nullopt;
};

Task<absl::Status> Make(EventLoop& loop, Call& call, MonotonicTime deadline) {
  auto address = Address::Unix(call.socket_path);
  if (!address.ok()) co_return address.status();
  ConnectOptions options;
  options.deadline = deadline;
  auto connected = co_await Connect(loop, *address, options);
  if (!connected.ok()) {
    co_return absl::UnavailableError(
        absl::StrCat("no weftd answers at ", call.socket_path, ": ", connected.status().message()));
  }
  GrpcConnection connection(loop, *std::move(connected), {});
  const auto stream = connection.Open(call.method, {});
  absl::Status sent = co_await stream->Send(call.request);
  if (!sent.ok()) co_return sent;
  stream->CloseSend();
  while (true) {
    auto received = co_await stream->Receive(deadline);
    if (!received.ok()) co_return received.status();
    if (!received->has_value()) co_return absl::OkStatus();
    call.on_message(**received);
  }
}

Task<> Run(EventLoop& loop, Call& call, MonotonicTime deadline) {
  call.ended = co_await Make(loop, call, deadline);
}

}  // namespace

absl::Status CallWeftdStream(const std::string& socket_path, absl::string_view method,
                             const std::string& request, absl::Duration timeout,
                             const std::function<void(const std::string&)>& on_message) {
  EventLoop loop;
  Call call{socket_path, std::string(method), request, on_message};
  Scope tasks;
  tasks.Spawn(Run(loop, call, loop.Now() + timeout));
  while (!call.ended.has_value()) loop.RunOnce(absl::Seconds(1));
  return *call.ended;
}

absl::StatusOr<std::string> CallWeftd(const std::string& socket_path, absl::string_view method,
                                      const std::string& request, absl::Duration timeout) {
  std::optional<std::string> answer;
  const absl::Status ended = CallWeftdStream(socket_path, method, request, timeout,
                                             [&](const std::string& message) { answer = message; });
  if (!ended.ok()) return ended;
  if (!answer.has_value()) return absl::InternalError("weftd said nothing");
  return *std::move(answer);
}

}  // namespace weft
