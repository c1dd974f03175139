#include "test/proxy/harness.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <random>
#include <sstream>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "gtest/gtest.h"

namespace weft::test {
namespace {

sockaddr_in Loopback(int port) {
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

int PortOf(int fd) {
  sockaddr_in address = {};
  socklen_t length = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
  return ntohs(address.sin_port);
}

int ListenOnFreePort() {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = Loopback(0);
  EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
  EXPECT_EQ(listen(fd, 128), 0);
  return fd;
}

const char* Binary() {
  const char* given = getenv("WEFT_PROXY_BINARY");
  return given != nullptr ? given : "proxy/weft-proxy";
}

pid_t Spawn(const std::vector<std::string>& command, const std::string& output_path) {
  std::vector<char*> argv;
  for (const std::string& argument : command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t pid = fork();
  if (pid != 0) return pid;
  const int out = open(output_path.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  dup2(out, 1);
  dup2(out, 2);
  execvp(argv[0], argv.data());
  dprintf(2, "%s: %m\n", argv[0]);
  _exit(127);
}

pid_t SpawnProxy(std::vector<std::string> arguments, const std::string& output_path) {
  arguments.insert(arguments.begin(), Binary());
  return Spawn(arguments, output_path);
}

int AwaitExitOf(pid_t pid, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (absl::Now() < deadline) {
    int status;
    if (waitpid(pid, &status, WNOHANG) == pid) {
      return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    }
    absl::SleepFor(absl::Milliseconds(5));
  }
  return -1;
}

std::string FileContents(const std::string& path) {
  std::ifstream file(path);
  std::stringstream contents;
  contents << file.rdbuf();
  return contents.str();
}

std::string FreshPath(const std::string& name) {
  static std::atomic<int> count{0};
  const char* directory = getenv("TEST_TMPDIR");
  return absl::StrCat(directory != nullptr ? directory : "/tmp", "/", getpid(), "-", ++count, "-",
                      name);
}

}  // namespace

int Message::status() const {
  int status = 0;
  if (head.size() < 12 || !absl::SimpleAtoi(head.substr(9, 3), &status)) return 0;
  return status;
}

std::string Message::Field(const std::string& name) const {
  const std::vector<std::string> lines = absl::StrSplit(head, "\r\n");
  for (const std::string& line : lines) {
    const std::pair<std::string, std::string> field = absl::StrSplit(line, absl::MaxSplits(':', 1));
    if (absl::AsciiStrToLower(field.first) == name) {
      return std::string(absl::StripAsciiWhitespace(field.second));
    }
  }
  return "";
}

Socket::Socket(int fd) : fd_(fd) {}

Socket Socket::Connect(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = Loopback(port);
  if (connect(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0) {
    return Socket(fd);
  }
  close(fd);
  return Socket(-1);
}

Socket::~Socket() { Close(); }

Socket::Socket(Socket&& other) noexcept
    : fd_(std::exchange(other.fd_, -1)), held_(std::move(other.held_)) {}

void Socket::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

void Socket::CloseWithReset() {
  const linger now = {1, 0};
  setsockopt(fd_, SOL_SOCKET, SO_LINGER, &now, sizeof(now));
  Close();
}

void Socket::ShutdownWrite() { shutdown(fd_, SHUT_WR); }

bool Socket::Send(const std::string& bytes) {
  size_t sent = 0;
  const absl::Time deadline = absl::Now() + kPatience;
  while (sent < bytes.size() && absl::Now() < deadline) {
    pollfd wait = {fd_, POLLOUT, 0};
    if (poll(&wait, 1, 100) == 0) continue;
    const ssize_t n =
        send(fd_, bytes.data() + sent, bytes.size() - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0 && errno != EAGAIN) return false;
    if (n > 0) sent += static_cast<size_t>(n);
  }
  return sent == bytes.size();
}

bool Socket::Fill(absl::Time deadline) {
  while (true) {
    const absl::Duration left = deadline - absl::Now();
    if (left <= absl::ZeroDuration()) return false;
    const absl::Duration rounded_up = absl::Ceil(left, absl::Milliseconds(1));
    pollfd wait = {fd_, POLLIN, 0};
    if (poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(rounded_up))) <= 0) continue;
    char block[16384];
    const ssize_t n = recv(fd_, block, sizeof(block), 0);
    at_end_ = n <= 0;
    was_reset_ = n < 0;
    if (at_end_) return false;
    held_.append(block, static_cast<size_t>(n));
    return true;
  }
}

std::string Socket::Read(size_t bytes, absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  while (held_.size() < bytes && Fill(deadline)) {
  }
  std::string read = held_.substr(0, bytes);
  held_.erase(0, read.size());
  return read;
}

std::string Socket::ReadToEnd(absl::Duration patience) {
  return Read(std::numeric_limits<size_t>::max(), patience);
}

std::string Socket::ReadSome(absl::Duration patience) {
  if (held_.empty()) Fill(absl::Now() + patience);
  return std::exchange(held_, "");
}

bool Socket::Ended(absl::Duration patience) {
  const absl::Time deadline = absl::Now() + patience;
  const bool more = !held_.empty() || Fill(deadline);
  return !more && at_end_;
}

bool Socket::ReadLine(std::string* line, absl::Time deadline) {
  size_t end;
  size_t searched = 0;
  while ((end = held_.find("\r\n", searched)) == std::string::npos) {
    searched = held_.empty() ? 0 : held_.size() - 1;
    if (!Fill(deadline)) return false;
  }
  *line = held_.substr(0, end);
  held_.erase(0, end + 2);
  return true;
}

Message Socket::ReadMessage(bool response, bool to_head) {
  const absl::Time deadline = absl::Now() + kPatience;
  Message message;
  std::string line;
  do {
    if (!ReadLine(&line, deadline)) return message;
    absl::StrAppend(&message.head, line, "\r\n");
  } while (!line.empty());
  const int status = message.status();
  const bool bodiless = response && (to_head || status < 200 || status == 204 || status == 304);
  if (bodiless) {
    message.complete = true;
    return message;
  }
  if (message.Field("transfer-encoding") == "chunked") {
    while (ReadLine(&line, deadline)) {
      const size_t size = std::stoull(line, nullptr, 16);
      if (size == 0) {
        while (ReadLine(&line, deadline) && !line.empty()) {
          absl::StrAppend(&message.trailers, line, "\r\n");
        }
        message.complete = line.empty();
        return message;
      }
      message.body += Read(size);
      Read(2);
    }
    return message;
  }
  size_t length = 0;
  if (absl::SimpleAtoi(message.Field("content-length"), &length)) {
    message.body = Read(length);
    message.complete = message.body.size() == length;
  } else if (response) {
    message.body = ReadToEnd();
    message.complete = !was_reset_;
  } else {
    message.complete = true;
  }
  return message;
}

Upstream::Upstream(Script script)
    : script_(std::move(script)), listener_(ListenOnFreePort()), port_(PortOf(listener_)) {
  accepting_ = std::thread([this] { Accept(); });
}

Upstream::~Upstream() {
  shutdown(listener_, SHUT_RDWR);
  accepting_.join();
  {
    std::lock_guard<std::mutex> lock(mutex_);
    for (Socket& socket : sockets_) {
      if (socket.fd() >= 0) shutdown(socket.fd(), SHUT_RDWR);
    }
  }
  for (std::thread& thread : threads_) thread.join();
  close(listener_);
}

void Upstream::Accept() {
  while (true) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    const int turn = ++connections_;
    Socket* socket;
    {
      std::lock_guard<std::mutex> lock(mutex_);
      sockets_.emplace_back(fd);
      socket = &sockets_.back();
    }
    threads_.emplace_back([this, socket, turn] {
      script_(*socket, turn);
      std::lock_guard<std::mutex> lock(mutex_);
      socket->Close();
    });
  }
}

void Echo(Socket& socket, int) {
  while (true) {
    const Message request = socket.ReadRequest();
    if (!request.complete) return;
    std::string body = absl::StrCat(request.head, request.body, request.trailers);
    const bool to_head = absl::StartsWith(request.head, "HEAD ");
    socket.Send(absl::StrCat("HTTP/1.1 200 OK\r\ncontent-length: ", body.size(), "\r\n\r\n",
                             to_head ? "" : body));
  }
}

Upstream::Script Always(std::string response) {
  return [response = std::move(response)](Socket& socket, int) {
    while (socket.ReadRequest().complete) socket.Send(response);
  };
}

// Below the ports that the kernel hands out by itself, one of which could be the source of
// somebody's connection by the time the proxy binds it; and claimed for as long as the test runs,
// by a name in the system, since two proxies may well listen on one port.
int FreePort() {
  constexpr int kFirst = 10000;
  constexpr int kCount = 22000;
  static std::atomic<uint32_t> next{std::random_device()()};
  while (true) {
    const int port = kFirst + static_cast<int>(next++ % kCount);
    const std::string name = absl::StrCat("weft-test-port-", port);
    sockaddr_un claimed = {};
    claimed.sun_family = AF_UNIX;
    name.copy(claimed.sun_path + 1, name.size());
    const int claim = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);  // open until the end
    if (bind(claim, reinterpret_cast<const sockaddr*>(&claimed), sizeof(claimed)) != 0) {
      close(claim);
      continue;
    }
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const sockaddr_in address = Loopback(port);
    const bool free = bind(fd, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
    close(fd);
    if (free) return port;
  }
}

namespace {

constexpr char kTypes[] = "type.googleapis.com/envoy.extensions.filters.";

std::string Socketed(int port) {
  return absl::StrCat("{socket_address: {address: 127.0.0.1, port_value: ", port, "}}");
}

}  // namespace

std::string RoutedListener(const std::string& name, int port, const std::string& route_config,
                           const std::string& more_of_manager, const std::string& more_of_chain) {
  return absl::StrCat("{name: ", name, ", address: ", Socketed(port), ", filter_chains: [{",
                      more_of_chain, " filters: [{name: http, typed_config: {\"@type\": ", kTypes,
                      "network.http_connection_manager.v3.HttpConnectionManager, stat_prefix: ",
                      name, ", ", more_of_manager, " route_config: ", route_config,
                      ", http_filters: [{name: router, typed_config: {\"@type\": ", kTypes,
                      "http.router.v3.Router}}]}}]}]}");
}

std::string HttpListener(const std::string& name, int port, const std::string& routes,
                         const std::string& more_of_manager, const std::string& more_of_chain) {
  return RoutedListener(
      name, port,
      absl::StrCat("{name: r, virtual_hosts: [{name: all, domains: [\"*\"], routes: [", routes,
                   "]}]}"),
      more_of_manager, more_of_chain);
}

std::string TcpListener(const std::string& name, int port, const std::string& cluster) {
  return absl::StrCat("{name: ", name, ", address: ", Socketed(port),
                      ", filter_chains: [{filters: [{name: tcp, typed_config: {\"@type\": ", kTypes,
                      "network.tcp_proxy.v3.TcpProxy, stat_prefix: ", name, ", cluster: ", cluster,
                      "}}]}]}");
}

std::string Cluster(const std::string& name, const std::vector<int>& ports,
                    const std::string& more) {
  std::vector<std::string> endpoints;
  for (const int port : ports) {
    endpoints.push_back(absl::StrCat("{endpoint: {address: ", Socketed(port), "}}"));
  }
  return absl::StrCat("{name: ", name, ", type: STATIC, connect_timeout: 2s, ", more,
                      " load_assignment: {cluster_name: ", name, ", endpoints: [{lb_endpoints: [",
                      absl::StrJoin(endpoints, ", "), "]}]}}");
}

std::string RouteTo(const std::string& cluster, const std::string& more) {
  return absl::StrCat("{match: {prefix: /}, route: {cluster: ", cluster, more.empty() ? "" : ", ",
                      more, "}}");
}

std::string Bootstrap(int admin_port, const std::vector<std::string>& listeners,
                      const std::vector<std::string>& clusters) {
  return absl::StrCat("admin: {address: ", Socketed(admin_port), "}\nstatic_resources:\n",
                      "  listeners:\n  - ", absl::StrJoin(listeners, "\n  - "),
                      "\n  clusters:\n  - ", absl::StrJoin(clusters, "\n  - "), "\n");
}

std::string WriteTestFile(const std::string& name, const std::string& contents) {
  const std::string path = FreshPath(name);
  std::ofstream(path) << contents;
  return path;
}

void ReplaceTestFile(const std::string& path, const std::string& contents) {
  const std::string fresh = path + ".new";
  std::ofstream(fresh) << contents;
  ASSERT_EQ(rename(fresh.c_str(), path.c_str()), 0);
}

RunResult RunProxy(const std::vector<std::string>& arguments) {
  const std::string output = FreshPath("output");
  const pid_t pid = SpawnProxy(arguments, output);
  RunResult result;
  result.exit_code = AwaitExitOf(pid, kPatience);
  if (result.exit_code < 0) {
    kill(pid, SIGKILL);
    waitpid(pid, nullptr, 0);
  }
  result.output = FileContents(output);
  return result;
}

std::string RunTool(const std::string& command) {
  FILE* pipe = popen(absl::StrCat("timeout 60 ", command, " 2>&1").c_str(), "r");
  std::string output;
  char block[4096];
  while (const size_t got = fread(block, 1, sizeof(block), pipe)) output.append(block, got);
  const int status = pclose(pipe);
  if (status != 0) absl::StrAppend(&output, "\nstatus ", status);
  return output;
}

PeerProcess::PeerProcess(const std::vector<std::string>& argv)
    : output_path_(FreshPath("peer.log")), pid_(Spawn(argv, output_path_)) {}

PeerProcess::~PeerProcess() {
  kill(pid_, SIGTERM);
  if (AwaitExitOf(pid_, absl::Seconds(5)) >= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

bool PeerProcess::Listens(int port) {
  return Eventually([port] { return Socket::Connect(port).connected(); });
}

std::string PeerProcess::Output() const { return FileContents(output_path_); }

ProxyProcess::ProxyProcess(const std::vector<std::string>& listeners,
                           const std::vector<std::string>& clusters,
                           const std::vector<std::string>& arguments)
    : admin_port_(FreePort()), output_path_(FreshPath("proxy.log")) {
  const std::string config =
      WriteTestFile("bootstrap.yaml", Bootstrap(admin_port_, listeners, clusters));
  std::vector<std::string> all = {"-c", config};
  const std::pair<const char*, const char*> kUsual[] = {{"--concurrency", "1"},
                                                        {"--drain-time-s", "10"}};
  for (const auto& [name, value] : kUsual) {
    if (std::find(arguments.begin(), arguments.end(), name) == arguments.end()) {
      all.insert(all.end(), {name, value});
    }
  }
  all.insert(all.end(), arguments.begin(), arguments.end());
  pid_ = SpawnProxy(std::move(all), output_path_);
  const bool ready = Eventually([this] { return !alive() || Admin("/ready").status() == 200; });
  EXPECT_TRUE(ready && alive()) << Output();
}

ProxyProcess::~ProxyProcess() {
  EXPECT_TRUE(alive() || exit_code_ == 0) << "ended with " << exit_code_ << "\n" << Output();
  if (!alive()) return;
  Admin("/quitquitquit", "POST");
  const int code = AwaitExit();
  EXPECT_EQ(code, 0) << Output();
  if (code < 0) {
    Signal(SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
}

bool ProxyProcess::alive() {
  if (pid_ < 0) return false;
  const int code = AwaitExitOf(pid_, absl::Milliseconds(1));
  if (code < 0) return true;
  exit_code_ = code;
  pid_ = -1;
  return false;
}

void ProxyProcess::Signal(int signal) {
  if (pid_ > 0) kill(pid_, signal);
}

void ProxyProcess::Kill() {
  Signal(SIGKILL);
  waitpid(pid_, nullptr, 0);
  pid_ = -1;
  exit_code_ = 0;
}

int ProxyProcess::AwaitExit(absl::Duration patience) {
  if (pid_ < 0) return exit_code_;
  exit_code_ = AwaitExitOf(pid_, patience);
  if (exit_code_ >= 0) pid_ = -1;
  return exit_code_;
}

Message ProxyProcess::Admin(const std::string& path, const std::string& method) {
  Socket socket = Socket::Connect(admin_port_);
  if (!socket.connected()) return Message();
  socket.Send(absl::StrCat(method, " ", path, " HTTP/1.1\r\nHost: admin\r\n\r\n"));
  return socket.ReadResponse();
}

double ProxyProcess::Stat(const std::string& name) {
  const Message stats = Admin("/stats");
  double sum = 0;
  for (absl::string_view line : absl::StrSplit(stats.body, '\n')) {
    const std::pair<absl::string_view, absl::string_view> parts =
        absl::StrSplit(line, absl::MaxSplits(": ", 1));
    double value;
    if (absl::EndsWith(parts.first, name) && absl::SimpleAtod(parts.second, &value)) {
      sum += value;
    }
  }
  return sum;
}

size_t ProxyProcess::ResidentBytes() const {
  std::ifstream file(absl::StrCat("/proc/", pid_, "/statm"));
  size_t total = 0;
  size_t resident = 0;
  file >> total >> resident;
  return resident * static_cast<size_t>(sysconf(_SC_PAGESIZE));
}

std::string ProxyProcess::Output() const { return FileContents(output_path_); }

Message Ask(int port, const std::string& request) {
  Socket client = Socket::Connect(port);
  EXPECT_TRUE(client.connected()) << "port " << port;
  if (!client.connected()) return Message();
  client.Send(request);
  return client.ReadResponse(absl::StartsWith(request, "HEAD "));
}

std::string Get(const std::string& path, const std::string& more_fields) {
  return absl::StrCat("GET ", path, " HTTP/1.1\r\nHost: test\r\n", more_fields, "\r\n");
}

bool Eventually(const std::function<bool()>& condition) {
  const absl::Time deadline = absl::Now() + kPatience;
  while (absl::Now() < deadline) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(5));
  }
  return false;
}

}  // namespace weft::test
