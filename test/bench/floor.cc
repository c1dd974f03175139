// The floor of the proxy benchmark: bytes from a client to the backend and back, nothing parsed.
//
// Whatever a proxy does per request, it receives and sends twice; this program does that and no
// more, with the fewest system calls: one thread, one upstream connection per client, both sockets
// registered once and edge-triggered, a short read taken as "drained". What a proxy costs above it
// is the price of understanding HTTP.
//
// Not a proxy to run: it connects synchronously (the backend is on loopback) and ends a pair of
// connections when either side ends.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

constexpr size_t kReadSize = 64 * 1024;  // many times what wrk or the backend sends at once
constexpr int kEvents = 256;

struct Pair;

// One of the two sockets of a pair.
struct End {
  int fd = -1;
  Pair* pair = nullptr;
  End* other = nullptr;
  std::string unsent;  // for this socket, when it would not take everything
  bool held = false;   // this socket may have input that waits for other->unsent to drain
};

struct Pair {
  End client, backend;
  bool dead = false;
};

[[noreturn]] void Die(const char* what) {
  fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
  exit(1);
}

sockaddr_in Loopback(const char* port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(atoi(port)));
  return address;
}

void SetNoDelay(int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

int Listen(const sockaddr_in& address) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) != 0) Die("bind");
  if (listen(fd, 1024) != 0) Die("listen");
  return fd;
}

void Register(int epoll, int fd, void* what, uint32_t events) {
  epoll_event event = {};
  event.events = events;
  event.data.ptr = what;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) Die("epoll_ctl");
}

void Accept(int epoll, int listener, const sockaddr_in& backend) {
  int client = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  int upstream = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(upstream, reinterpret_cast<const sockaddr*>(&backend), sizeof(backend)) != 0) {
    close(upstream);
    close(client);
    return;
  }
  Pair* pair = new Pair;
  pair->client = {client, pair, &pair->backend, {}, false};
  pair->backend = {upstream, pair, &pair->client, {}, false};
  for (End* end : {&pair->client, &pair->backend}) {
    SetNoDelay(end->fd);
    Register(epoll, end->fd, end, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET);
  }
}

// Sends what `to` takes now and keeps the rest; false when the connection is lost.
bool Send(End* to, const char* data, size_t size) {
  ssize_t sent = send(to->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL);
  if (sent < 0 && errno != EAGAIN) return false;
  size_t taken = sent < 0 ? 0 : static_cast<size_t>(sent);
  if (taken < size) to->unsent.append(data + taken, size - taken);
  return true;
}

bool Flush(End* to) {
  std::string rest;
  rest.swap(to->unsent);
  return Send(to, rest.data(), rest.size());
}

// Forwards what `from` has; false when the pair has ended. `ending`: the peer has closed, so that a
// short read is not the end of what there is.
bool Forward(End* from, bool ending) {
  static char buffer[kReadSize];
  while (true) {
    from->held = !from->other->unsent.empty();
    if (from->held) return true;
    ssize_t n = recv(from->fd, buffer, sizeof(buffer), MSG_DONTWAIT);
    if (n < 0) return errno == EAGAIN;
    if (n == 0 || !Send(from->other, buffer, static_cast<size_t>(n))) return false;
    if (static_cast<size_t>(n) < sizeof(buffer) && !ending) return true;
  }
}

bool OnEvents(End* end, uint32_t events) {
  if ((events & EPOLLOUT) && !end->unsent.empty()) {
    if (!Flush(end)) return false;
    if (end->unsent.empty() && end->other->held && !Forward(end->other, true)) return false;
  }
  if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR)) {
    return Forward(end, (events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR)) != 0);
  }
  return true;
}

void Run(int listener, const sockaddr_in& backend) {
  int epoll = epoll_create1(EPOLL_CLOEXEC);
  Register(epoll, listener, nullptr, EPOLLIN);
  epoll_event events[kEvents];
  std::vector<Pair*> ended;
  while (true) {
    int count = epoll_wait(epoll, events, kEvents, -1);
    for (int i = 0; i < count; ++i) {
      End* end = static_cast<End*>(events[i].data.ptr);
      if (end == nullptr) {
        Accept(epoll, listener, backend);
      } else if (!end->pair->dead && !OnEvents(end, events[i].events)) {
        end->pair->dead = true;
        ended.push_back(end->pair);
      }
    }
    // Only now: a later event of the same batch may point into the pair.
    for (Pair* pair : ended) {
      close(pair->client.fd);
      close(pair->backend.fd);
      delete pair;
    }
    ended.clear();
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) {
    fprintf(stderr, "usage: floor LISTEN_PORT BACKEND_PORT (both on 127.0.0.1)\n");
    return 64;  // EX_USAGE
  }
  Run(Listen(Loopback(argv[1])), Loopback(argv[2]));
}
