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
#include "proxy/net/listen_options.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

namespace weft {

class TcpStream : public ByteStream {
 public:
  // Takes ownership of `fd`, a connected non-blocking stream socket. `loop` must outlive the
  // stream.
  TcpStream(EventLoop& loop, int fd);
  // The same, of known addresses; TCP_NODELAY is set.
  TcpStream(EventLoop& loop, int fd, const Address& local, const Address& peer);

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
  // Gives bytes back that were read ahead of whoever serves the connection: the next reads find
  // them first. Whoever moves bytes by fd() has to read these before.
  void Unread(Buffer bytes);
  bool has_unread() const { return !unread_.empty(); }
  // For who takes the connection to another loop: those bytes again, and then the descriptor. No
  // more is to be read or written here.
  Buffer TakeUnread() { return std::move(unread_); }
  int Release() { return fd_.Release(); }
  // Shows these addresses from now on, as a PROXY header tells them.
  void Present(const Address& local, const Address& peer);
  // Breaks the connection from outside of who serves it: reads and writes fail from now on, whoever
  // waits is woken, and the peer sees a reset.
  void Sever(int error);
  // Where the client meant to go before nftables redirected it here; nothing if it was not.
  std::optional<Address> OriginalDestination() const;
  // Reads the local address again, which a socket only has once it is connected.
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
  Buffer unread_;
  Address local_;
  Address peer_;
};

struct ConnectOptions {
  std::optional<Address> source;  // bind() before connect
  bool freebind = false;          // `source` need not be ours (yet)
  TcpKeepalive keepalive;
  std::optional<uint32_t> mark;  // SO_MARK; needs CAP_NET_ADMIN
  MonotonicTime deadline = kNever;
};

// Connects; errors: kDeadlineExceeded, or kUnavailable with the system's reason.
Task<absl::StatusOr<std::unique_ptr<TcpStream>>> Connect(EventLoop& loop, Address to,
                                                         ConnectOptions options);

// Two connected streams in one loop, for tests and for handing one end to a library.
std::pair<int, int> StreamSocketPair();

// A listening socket. Sockets that it accepts inherit TCP_NODELAY and keep-alive from it, and know
// their addresses without asking the kernel: a connection costs one accept4 beside its own bytes.
class Listener {
 public:
  using Options = ListenOptions;
  // Errors name the address: "listen on 0.0.0.0:80: Address already in use".
  static absl::StatusOr<std::unique_ptr<Listener>> Create(EventLoop& loop, const Address& address,
                                                          const Options& options);
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  // The next connection. Out of descriptors: pauses 100 ms rather than spin (never an error).
  Task<std::unique_ptr<TcpStream>> Accept();
  // A connection that waits already, or null. To empty the queue before closing.
  std::unique_ptr<TcpStream> TryAccept();
  // While paused, connections stay in the kernel's queue.
  void SetPaused(bool paused);
  uint64_t exhausted() const { return exhausted_; }    // times it ran out of descriptors
  const Address& address() const { return address_; }  // with the port the kernel chose

 private:
  Listener(EventLoop& loop, int fd, const Options& options);
  static void OnEvent(void* self, uint32_t events);
  void Watch(bool on);

  EventLoop& loop_;
  WatchedFd fd_;
  Signal acceptable_;
  Address address_;
  bool fixed_local_;  // all accepted sockets have address_ as their own
  bool paused_ = false;
  // Level-triggered: an accept that finds nothing is spent only while connections come in bursts.
  int left_ = 0;   // accepts before the next look at the loop
  int burst_ = 1;  // as many as were worth it lately
  uint64_t exhausted_ = 0;
};

}  // namespace weft

#endif  // WEFT_PROXY_NET_TCP_H_
