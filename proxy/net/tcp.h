// TcpStream, Connect and Listener: ByteStreams over non-blocking sockets (TCP, or Unix stream
// sockets; the name is for the common case).
//
// A socket is registered once, edge-triggered for both directions, and never re-armed: per request
// that leaves one recvmsg and one sendmsg a side, and the loop's epoll_wait. A read that fills less
// than it was offered means the socket is drained, so no second recv is spent to learn EAGAIN.
#ifndef WEFT_PROXY_NET_TCP_H_
#define WEFT_PROXY_NET_TCP_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "proxy/net/byte_stream.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft {

class TcpStream : public ByteStream {
 public:
  // Takes ownership of `fd`, a connected non-blocking stream socket. `loop` must outlive the
  // stream.
  TcpStream(EventLoop& loop, int fd);

  IoResult Read(Buffer& into, size_t at_most) override;
  IoResult Write(absl::Span<const absl::string_view> parts) override;
  using ByteStream::Write;
  void CloseWrite() override;
  void ResetOnClose() override;
  Signal& readable() override { return readable_; }
  Signal& writable() override { return writable_; }
  std::string error() const override;
  const Address& local_address() const override { return local_; }
  const Address& peer_address() const override { return peer_; }

  int fd() const { return fd_.get(); }
  // Looks at what has arrived, up to `at_most` bytes, without taking it. Replaces `bytes`.
  IoResult Peek(std::string& bytes, size_t at_most);
  // Where the client meant to go before nftables redirected it here; nothing if it was not.
  std::optional<Address> OriginalDestination() const;
  // Reads the addresses again, which a socket only has once it is connected.
  void OnConnected();

 private:
  static void OnEvent(void* self, uint32_t events);
  IoResult Fail(int error);

  WatchedFd fd_;
  bool may_read_ = true;  // no recv has found the socket drained since the last edge
  bool may_write_ = true;
  bool peer_ending_ = false;  // a short read is followed by the end, not by an edge
  bool write_closed_ = false;
  size_t read_size_ = Buffer::kBlockSize;  // for the next read, if it may take as much
  bool write_broken_ = false;  // what arrived before can still be read: often the reason
  int error_ = 0;
  Signal readable_;
  Signal writable_;
  Address local_;
  Address peer_;
};

struct ConnectOptions {
  std::optional<Address> source;  // bind() before connect
  std::optional<uint32_t> mark;   // SO_MARK; needs CAP_NET_ADMIN
  MonotonicTime deadline = kNever;
};

// Connects; errors: kDeadlineExceeded, or kUnavailable with the system's reason.
Task<absl::StatusOr<std::unique_ptr<TcpStream>>> Connect(EventLoop& loop, Address to,
                                                         ConnectOptions options);

// Two connected streams in one loop, for tests and for handing one end to a library.
std::pair<int, int> StreamSocketPair();

class Listener {
 public:
  struct Options {
    // Each worker binds the same address with its own socket; the kernel spreads connections.
    bool reuse_port = true;
    int backlog = 4096;
  };
  // Errors name the address: "listen on 0.0.0.0:80: Address already in use".
  static absl::StatusOr<std::unique_ptr<Listener>> Create(EventLoop& loop, const Address& address,
                                                          const Options& options);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // The next connection. Out of descriptors: pauses 100 ms rather than spin (never an error).
  Task<std::unique_ptr<TcpStream>> Accept();
  const Address& address() const { return address_; }  // with the port the kernel chose

 private:
  Listener(EventLoop& loop, int fd);
  static void OnEvent(void* self, uint32_t events);

  EventLoop& loop_;
  WatchedFd fd_;
  Signal acceptable_;
  Address address_;
};

}  // namespace weft

#endif  // WEFT_PROXY_NET_TCP_H_
