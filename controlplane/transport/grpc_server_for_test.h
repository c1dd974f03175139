// GrpcServerForTest: a GrpcPort on loopback with a loop and a thread of its own.
#ifndef WEFT_CONTROLPLANE_TRANSPORT_GRPC_SERVER_FOR_TEST_H_
#define WEFT_CONTROLPLANE_TRANSPORT_GRPC_SERVER_FOR_TEST_H_

#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "controlplane/transport/grpc_port.h"

namespace weft {

class GrpcServerForTest {
 public:
  explicit GrpcServerForTest(GrpcServices services, GrpcPort::Options options = {})
      : services_(std::move(services)) {
    port_ = *GrpcPort::Listen(loop_, *Address::Parse("127.0.0.1:0"), services_, std::move(options));
    address_ = port_->address().ToString();
    thread_ = std::thread([this] { loop_.Run(); });
  }
  ~GrpcServerForTest() {
    std::promise<void> ended;
    loop_.Post([&] {
      port_.reset();
      ended.set_value();
    });
    ended.get_future().wait();
    loop_.Stop();
    thread_.join();
  }

  const std::string& address() const { return address_; }
  EventLoop& loop() { return loop_; }

 private:
  EventLoop loop_;
  const GrpcServices services_;
  std::unique_ptr<GrpcPort> port_;
  std::string address_;
  std::thread thread_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSPORT_GRPC_SERVER_FOR_TEST_H_
