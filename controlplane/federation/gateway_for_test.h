// GatewayForTest: passes connections on to one address, as an east-west gateway does for a cluster
// of which only the control plane is of interest. It can be made to fail in the ways that gateways
// do. On loopback, on one event loop.
#ifndef WEFT_CONTROLPLANE_FEDERATION_GATEWAY_FOR_TEST_H_
#define WEFT_CONTROLPLANE_FEDERATION_GATEWAY_FOR_TEST_H_

#include <cstddef>
#include <memory>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/model/world.h"
#include "proxy/base/buffer.h"
#include "proxy/net/tcp.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

class GatewayForTest {
 public:
  explicit GatewayForTest(EventLoop& loop, Address to = Address()) : to_(to), loop_(loop) {
    listener_ = *Listener::Create(loop_, *Address::Ip("127.0.0.1", 0), {});
    accepting_.Spawn(Accept());
  }

  GatewayAddress address() const { return {"127.0.0.1", listener_->address().port(), 0}; }
  void LeadTo(Address to) { to_ = to; }
  // Breaks every connection there is. Not from within one.
  void Cut() { connections_.Cancel(); }
  // As a process that is stopped: connections are made, by the kernel, and nothing moves.
  void Freeze(bool frozen) { frozen_ = frozen; }
  // Bytes that it has passed on, both ways.
  size_t passed() const { return passed_; }

 private:
  struct Carried {
    std::unique_ptr<TcpStream> client;
    std::unique_ptr<TcpStream> server;
    bool over = false;
    Signal ended;
    Scope directions;
  };

  Task<> Accept() {
    while (true) {
      std::unique_ptr<TcpStream> accepted = co_await listener_->Accept();
      connections_.Spawn(Serve(std::move(accepted)));
    }
  }

  // Reads the beginning before it dials, so that a close after that is one in good order.
  Task<> Serve(std::unique_ptr<TcpStream> client) {
    Carried carried;
    carried.client = std::move(client);
    Buffer first;
    while (frozen_ || carried.client->Read(first, 1 << 14).status == IoStatus::kBlocked) {
      if (frozen_) co_await Sleep(loop_, kLook);
      if (!frozen_) co_await Wait(loop_, {&carried.client->readable()}, loop_.Now() + kLook);
    }
    ConnectOptions options;
    options.deadline = loop_.Now() + absl::Seconds(1);
    auto connected = co_await Connect(loop_, to_, options);
    if (!connected.ok()) co_return;
    carried.server = *std::move(connected);
    carried.directions.Spawn(Carry(*carried.client, *carried.server, std::move(first), carried));
    carried.directions.Spawn(Carry(*carried.server, *carried.client, Buffer(), carried));
    while (!carried.over) co_await Wait(loop_, {&carried.ended});
  }

  Task<> Carry(TcpStream& from, TcpStream& to, Buffer bytes, Carried& carried) {
    while (true) {
      while (frozen_) co_await Sleep(loop_, kLook);
      if (bytes.empty()) {
        const IoStatus status = from.Read(bytes, 1 << 14).status;
        if (status == IoStatus::kEof || status == IoStatus::kError) break;
        if (status == IoStatus::kBlocked) co_await Wait(loop_, {&from.readable()});
        continue;
      }
      const IoResult written = to.Write(bytes.view());
      if (written.status == IoStatus::kError) break;
      if (written.status == IoStatus::kBlocked) co_await Wait(loop_, {&to.writable()});
      passed_ += written.bytes;
      bytes.Consume(written.bytes);
    }
    carried.over = true;
    carried.ended.Notify();
  }

  static constexpr absl::Duration kLook = absl::Milliseconds(10);

  Address to_;
  EventLoop& loop_;
  std::unique_ptr<Listener> listener_;
  bool frozen_ = false;
  size_t passed_ = 0;
  Scope connections_;
  Scope accepting_;
};

// One with a loop and a thread of its own, where its calls are made.
class GatewayOnThread {
 public:
  GatewayOnThread() : gateway_(loop_), address_(gateway_.address()) {
    thread_ = std::thread([this] { loop_.Run(); });
  }
  ~GatewayOnThread() {
    loop_.Stop();
    thread_.join();
  }

  const GatewayAddress& address() const { return address_; }
  // As flags and files have it.
  std::string ToString() const { return absl::StrCat(address_.address, ":", address_.port); }
  void LeadTo(const Address& to) {
    loop_.Post([this, to] { gateway_.LeadTo(to); });
  }
  void Freeze(bool frozen) {
    loop_.Post([this, frozen] { gateway_.Freeze(frozen); });
  }

 private:
  EventLoop loop_;
  GatewayForTest gateway_;
  const GatewayAddress address_;
  std::thread thread_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_GATEWAY_FOR_TEST_H_
