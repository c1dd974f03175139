// A real gRPC server of libgrpc on a port of loopback, for tests of the clients here.
#ifndef WEFT_PROXY_GRPC_GRPC_SERVER_FOR_TEST_H_
#define WEFT_PROXY_GRPC_GRPC_SERVER_FOR_TEST_H_

#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <initializer_list>
#include <memory>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft {

class GrpcServerForTest {
 public:
  explicit GrpcServerForTest(std::initializer_list<grpc::Service*> services, int port = 0) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(absl::StrCat("127.0.0.1:", port), grpc::InsecureServerCredentials(),
                             &port_);
    builder.SetMaxReceiveMessageSize(-1);
    // Without these, libgrpc takes pings every few seconds for an attack.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 1);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    // libgrpc's threads look this often whether the server stops; 10 s by default.
    builder.SetSyncServerOption(grpc::ServerBuilder::SyncServerOption::CQ_TIMEOUT_MSEC, 100);
    for (grpc::Service* service : services) builder.RegisterService(service);
    server_ = builder.BuildAndStart();
  }
  ~GrpcServerForTest() { Stop(); }

  // Cancels what is under way.
  void Stop() { server_->Shutdown(std::chrono::system_clock::now()); }
  Address address() const { return *Address::Parse(absl::StrCat("127.0.0.1:", port_)); }

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

inline Task<absl::StatusOr<std::unique_ptr<ByteStream>>> ConnectTo(EventLoop& loop, Address to) {
  ConnectOptions options;
  options.deadline = loop.Now() + absl::Seconds(5);
  auto connected = co_await Connect(loop, to, options);
  if (!connected.ok()) co_return connected.status();
  co_return std::unique_ptr<ByteStream>(*std::move(connected));
}

// Runs the loop until `done`; false if that took too long.
inline bool RunUntil(EventLoop& loop, const std::function<bool()>& done) {
  const absl::Time limit = absl::Now() + absl::Seconds(20);
  while (!done()) {
    if (absl::Now() > limit) return false;
    loop.RunOnce(absl::Milliseconds(5));
  }
  return true;
}

}  // namespace weft

#endif  // WEFT_PROXY_GRPC_GRPC_SERVER_FOR_TEST_H_
