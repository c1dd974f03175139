// What stands behind the proxies where nginx does not fit: `backend PORT echo` sends back what it
// gets; `backend PORT http DELAY_MS [SIZE]` answers each request (its head ends with an empty line,
// no body) with 200 and SIZE bytes, DELAY_MS later. One thread, epoll; requests are not pipelined.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <string>

namespace {

constexpr size_t kReadSize = 64 * 1024;
constexpr int kEvents = 256;

bool echo = false;
double delay = 0;
std::string answer;

struct Due {
  double when;
  int fd;
};
std::deque<Due> due;  // by `when`: the delay is the same for all

double Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

[[noreturn]] void Die(const char* what) {
  fprintf(stderr, "backend: %s: %s\n", what, strerror(errno));
  exit(1);
}

int Listen(int port) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  int on = 1;
  setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0) Die("bind");
  if (listen(fd, 4096) != 0) Die("listen");
  return fd;
}

void Register(int epoll, int fd) {
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  epoll_event event = {};
  event.events = EPOLLIN;
  event.data.fd = fd;
  if (epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event) != 0) Die("epoll_ctl");
}

// Blocks while the peer does not read: its proxy is what is measured, not we.
bool SendAll(int fd, const char* bytes, size_t size) {
  while (size > 0) {
    const ssize_t sent = send(fd, bytes, size, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    size -= static_cast<size_t>(sent);
  }
  return true;
}

void Forget(int fd) {
  due.erase(std::remove_if(due.begin(), due.end(), [fd](const Due& d) { return d.fd == fd; }),
            due.end());
  close(fd);
}

void OnReadable(int fd) {
  static char buffer[kReadSize];
  const ssize_t got = recv(fd, buffer, sizeof(buffer), 0);
  if (got <= 0) return Forget(fd);
  if (echo) {
    if (!SendAll(fd, buffer, static_cast<size_t>(got))) Forget(fd);
    return;
  }
  if (got < 4 || memcmp(buffer + got - 4, "\r\n\r\n", 4) != 0) return;
  if (delay > 0) {
    due.push_back({Now() + delay, fd});
  } else if (!SendAll(fd, answer.data(), answer.size())) {
    Forget(fd);
  }
}

void SendWhatIsDue() {
  while (!due.empty() && due.front().when <= Now()) {
    const int fd = due.front().fd;
    due.pop_front();
    if (!SendAll(fd, answer.data(), answer.size())) Forget(fd);
  }
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 3) {
    fprintf(stderr, "usage: backend PORT echo | backend PORT http DELAY_MS [SIZE]\n");
    return 64;  // EX_USAGE
  }
  echo = strcmp(argv[2], "echo") == 0;
  if (argc > 3) delay = atof(argv[3]) / 1000;
  const std::string body(argc > 4 ? strtoul(argv[4], nullptr, 10) : 1024, 'w');
  answer = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: " +
           std::to_string(body.size()) + "\r\n\r\n" + body;
  const int listener = Listen(atoi(argv[1]));
  const int epoll = epoll_create1(EPOLL_CLOEXEC);
  Register(epoll, listener);
  epoll_event events[kEvents];
  while (true) {
    const int wait = due.empty() ? -1 : std::max(0, int((due.front().when - Now()) * 1000) + 1);
    const int count = epoll_wait(epoll, events, kEvents, wait);
    for (int i = 0; i < count; ++i) {
      if (events[i].data.fd != listener) {
        OnReadable(events[i].data.fd);
        continue;
      }
      const int fd = accept4(listener, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) Register(epoll, fd);
    }
    SendWhatIsDue();
  }
}
