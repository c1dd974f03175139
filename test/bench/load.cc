// A load for what wrk and h2load do not do: exchanges over plain TCP, a new TLS connection for each
// request, requests at a fixed rate, and connections that stay idle. One thread, epoll.
//
//   load --port P [--connections 64] [--seconds 3] [--rate R] [--tls [--resume]] [--close]
//        [--exchange BYTES | --path /] [--hold]
//
// Without --rate each connection sends its next request when the last was answered. With it the
// requests have their moments, R a second, dealt out to the connections in turn; a time is counted
// from that moment, so a request that had to queue here counts as slow, too. --hold: one request on
// each connection, then nothing until standard input ends.
//
// Prints one line of JSON: requests, seconds, p50_us, p99_us, failed, resumed. A request failed if
// its connection ended or its status is not 200.
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/ssl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

namespace {

struct Options {
  int port = 0;
  int connections = 64;
  double seconds = 3;
  double rate = 0;
  size_t exchange = 0;
  std::string path = "/";
  bool tls = false;
  bool resume = false;
  bool close = false;
  bool hold = false;
};

constexpr size_t kReadSize = 64 * 1024;
constexpr int kEvents = 256;

Options options;
SSL_CTX* tls_context = nullptr;
bssl::UniquePtr<SSL_SESSION> last_session;
std::string request;
int epoll_fd = -1;
uint64_t failed = 0, resumed = 0;
std::vector<uint32_t> times_us;

double Now() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<double>(now.tv_sec) + static_cast<double>(now.tv_nsec) * 1e-9;
}

[[noreturn]] void Die(const char* what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  exit(1);
}

// One connection, and the request on it.
class Client {
 public:
  ~Client() { Disconnect(); }

  bool idle() const { return !busy_; }

  // Sends a request whose moment was `due`.
  void Start(double due) {
    due_ = due;
    busy_ = true;
    answer_.clear();
    missing_ = options.exchange;
    unsent_ = request;
    if (fd_ < 0) Connect();
    Advance();
  }

  // Goes on as far as it can without waiting.
  void Advance() {
    if (!busy_) return;
    if (!Secure() || !Send()) return;
    Receive();
  }

 private:
  void Connect() {
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd_ < 0) Die("socket");
    int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    sockaddr_in address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(static_cast<uint16_t>(options.port));
    if (connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 &&
        errno != EINPROGRESS) {
      Die("connect");
    }
    epoll_event event = {};
    event.events = EPOLLIN | EPOLLOUT | EPOLLET;
    event.data.ptr = this;
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd_, &event) != 0) Die("epoll_ctl");
    if (!options.tls) return;
    ssl_.reset(SSL_new(tls_context));
    SSL_set_fd(ssl_.get(), fd_);
    SSL_set_tlsext_host_name(ssl_.get(), "localhost");
    if (options.resume && last_session != nullptr) SSL_set_session(ssl_.get(), last_session.get());
    secured_ = false;
  }

  void Disconnect() {
    if (fd_ < 0) return;
    if (ssl_ != nullptr) SSL_shutdown(ssl_.get());
    ssl_.reset();
    close(fd_);
    fd_ = -1;
  }

  bool Secure() {
    if (!options.tls || secured_) return true;
    const int done = SSL_connect(ssl_.get());
    if (done == 1) {
      secured_ = true;
      resumed += SSL_session_reused(ssl_.get()) ? 1 : 0;
      return true;
    }
    if (SSL_get_error(ssl_.get(), done) != SSL_ERROR_WANT_READ) Fail();
    return false;
  }

  bool Send() {
    while (!unsent_.empty()) {
      const ssize_t sent =
          options.tls ? SSL_write(ssl_.get(), unsent_.data(), static_cast<int>(unsent_.size()))
                      : send(fd_, unsent_.data(), unsent_.size(), MSG_NOSIGNAL);
      if (sent <= 0) {
        if (!WouldBlock(sent)) Fail();
        return false;
      }
      unsent_.erase(0, static_cast<size_t>(sent));
    }
    return true;
  }

  void Receive() {
    static char buffer[kReadSize];
    while (busy_) {
      const ssize_t got = options.tls ? SSL_read(ssl_.get(), buffer, sizeof(buffer))
                                      : recv(fd_, buffer, sizeof(buffer), 0);
      if (got <= 0) {
        if (!WouldBlock(got)) Fail();
        return;
      }
      Take(buffer, static_cast<size_t>(got));
    }
  }

  bool WouldBlock(ssize_t result) {
    if (!options.tls) return result < 0 && errno == EAGAIN;
    const int error = SSL_get_error(ssl_.get(), static_cast<int>(result));
    return error == SSL_ERROR_WANT_READ || error == SSL_ERROR_WANT_WRITE;
  }

  void Take(const char* bytes, size_t size) {
    if (options.exchange > 0 || missing_ > 0) {
      missing_ -= std::min(missing_, size);
    } else {
      answer_.append(bytes, size);
      const size_t head = answer_.find("\r\n\r\n");
      if (head == std::string::npos) return;
      const size_t length = ContentLength(head);
      if (answer_.compare(0, 12, "HTTP/1.1 200") != 0 || length == std::string::npos) return Fail();
      missing_ = head + 4 + length - std::min(head + 4 + length, answer_.size());
    }
    if (missing_ == 0) Answered();
  }

  size_t ContentLength(size_t head) const {
    constexpr char kName[] = "\r\ncontent-length:";
    for (size_t at = 0; at < head; ++at) {
      if (strncasecmp(answer_.data() + at, kName, sizeof(kName) - 1) == 0) {
        return strtoul(answer_.data() + at + sizeof(kName) - 1, nullptr, 10);
      }
    }
    return std::string::npos;
  }

  void Answered() {
    times_us.push_back(static_cast<uint32_t>((Now() - due_) * 1e6));
    busy_ = false;
    if (options.close) Disconnect();
  }

  void Fail() {
    ++failed;
    busy_ = false;
    Disconnect();
  }

  int fd_ = -1;
  bssl::UniquePtr<SSL> ssl_;
  bool secured_ = false;
  bool busy_ = false;
  double due_ = 0;
  std::string unsent_;
  std::string answer_;
  size_t missing_ = 0;
};

int KeepSession(SSL*, SSL_SESSION* session) {
  last_session.reset(session);
  return 1;
}

void SetUp() {
  epoll_fd = epoll_create1(EPOLL_CLOEXEC);
  request = options.exchange > 0 ? std::string(options.exchange, 'x')
                                 : "GET " + options.path + " HTTP/1.1\r\nHost: localhost\r\n" +
                                       (options.close ? "Connection: close\r\n" : "") + "\r\n";
  if (!options.tls) return;
  tls_context = SSL_CTX_new(TLS_method());
  SSL_CTX_set_session_cache_mode(tls_context, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
  SSL_CTX_sess_set_new_cb(tls_context, KeepSession);
}

void Poll(int wait_ms) {
  epoll_event events[kEvents];
  const int count = epoll_wait(epoll_fd, events, kEvents, wait_ms);
  for (int i = 0; i < count; ++i) static_cast<Client*>(events[i].data.ptr)->Advance();
}

bool AnyBusy(const std::vector<std::unique_ptr<Client>>& clients) {
  return std::any_of(clients.begin(), clients.end(), [](const auto& c) { return !c->idle(); });
}

// Each connection as fast as it goes; `times` requests each, or as many as there is time for.
void RunClosed(std::vector<std::unique_ptr<Client>>& clients, double until) {
  while (Now() < until) {
    for (auto& client : clients) {
      if (client->idle()) client->Start(Now());
    }
    Poll(100);
  }
}

// Requests at their moments; one whose connections are all busy waits for the first that is not.
void RunAtRate(std::vector<std::unique_ptr<Client>>& clients, double start, double until) {
  uint64_t sent = 0;
  size_t next = 0;
  while (true) {
    const double now = Now();
    if (now >= until) return;
    const uint64_t due = static_cast<uint64_t>((now - start) * options.rate);
    for (size_t tried = 0; sent < due && tried < clients.size(); ++tried) {
      Client& client = *clients[next++ % clients.size()];
      if (!client.idle()) continue;
      client.Start(start + static_cast<double>(sent++) / options.rate);
      tried = 0;
    }
    Poll(sent < due ? 1 : 0);
  }
}

void RunOnceAndHold(std::vector<std::unique_ptr<Client>>& clients) {
  for (auto& client : clients) {
    client->Start(Now());
    while (!client->idle()) Poll(100);
  }
}

uint32_t Percentile(double share) {
  if (times_us.empty()) return 0;
  const size_t at = std::min(times_us.size() - 1,
                             static_cast<size_t>(share * static_cast<double>(times_us.size())));
  std::nth_element(times_us.begin(), times_us.begin() + static_cast<ptrdiff_t>(at), times_us.end());
  return times_us[at];
}

void Report(double seconds) {
  printf(
      "{\"requests\": %zu, \"seconds\": %.3f, \"p50_us\": %u, \"p99_us\": %u, \"failed\": %llu, "
      "\"resumed\": %llu}\n",
      times_us.size(), seconds, Percentile(0.5), Percentile(0.99),
      static_cast<unsigned long long>(failed), static_cast<unsigned long long>(resumed));
  fflush(stdout);
}

bool Parse(int argc, char** argv) {
  for (int i = 1; i < argc; ++i) {
    const std::string flag = argv[i];
    const auto value = [&] { return i + 1 < argc ? argv[++i] : "0"; };
    if (flag == "--port")
      options.port = atoi(value());
    else if (flag == "--connections")
      options.connections = atoi(value());
    else if (flag == "--seconds")
      options.seconds = atof(value());
    else if (flag == "--rate")
      options.rate = atof(value());
    else if (flag == "--exchange")
      options.exchange = strtoul(value(), nullptr, 10);
    else if (flag == "--path")
      options.path = value();
    else if (flag == "--tls")
      options.tls = true;
    else if (flag == "--resume")
      options.resume = true;
    else if (flag == "--close")
      options.close = true;
    else if (flag == "--hold")
      options.hold = true;
    else
      return false;
  }
  return options.port > 0 && options.connections > 0;
}

}  // namespace

int main(int argc, char** argv) {
  if (!Parse(argc, argv)) {
    fprintf(stderr, "usage: see the top of load.cc\n");
    return 64;  // EX_USAGE
  }
  SetUp();
  std::vector<std::unique_ptr<Client>> clients;
  for (int i = 0; i < options.connections; ++i) clients.push_back(std::make_unique<Client>());
  const double start = Now();
  if (options.hold) {
    RunOnceAndHold(clients);
  } else if (options.rate > 0) {
    RunAtRate(clients, start, start + options.seconds);
  } else {
    RunClosed(clients, start + options.seconds);
  }
  // What is under way is not cut off: it would look like a failure to the proxy.
  const double end = Now();
  while (AnyBusy(clients) && Now() < end + 2) Poll(10);
  Report(end - start);
  char byte;
  while (options.hold && read(STDIN_FILENO, &byte, 1) > 0) {
  }
}
