// Requests at a steady rate over a number of connections that stay open, until it is told to stop;
// counts what came of each. For tests that break something meanwhile.
//
//   steady HOST PORT PATH RATE CONNECTIONS REPORT
//
// RATE is requests a second over all connections. Each connection sends its next request when it is
// due, or when the last one was answered, if that took longer; one that takes more than five
// seconds has failed, and so has one whose connection broke. Ends at SIGTERM, or when the file
// REPORT.stop is there; then writes to REPORT one line of JSON:
//   {"sent": N, "ok": N, "codes": {"200": N, "503": N, "0": N}, "clusters": {"east": N},
//    "pods": {"web-1": N}, "failures": [[MILLISECONDS SINCE START, CODE], …]}
// "clusters" and "pods" are of what the echo app says of itself; code 0 is no response.
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace {

using Clock = std::chrono::steady_clock;

constexpr timeval kPatience = {5, 0};

std::atomic<bool> stopped = false;

struct Target {
  std::string host;
  std::string port;
  std::string path;
};

struct Counts {
  long sent = 0;
  std::map<int, long> codes;
  std::map<std::string, long> clusters;
  std::map<std::string, long> pods;
  std::vector<std::pair<long, int>> failures;
};

int Dial(const Target& target) {
  addrinfo hints = {};
  hints.ai_family = AF_INET;
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* found = nullptr;
  if (getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &found) != 0) return -1;
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof(kPatience));
  setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof(kPatience));
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
  const bool connected = connect(fd, found->ai_addr, found->ai_addrlen) == 0;
  freeaddrinfo(found);
  if (connected) return fd;
  close(fd);
  return -1;
}

// The value of a string field of flat JSON; "" if it is not there.
std::string FieldOf(const std::string& body, const std::string& name) {
  const size_t key = body.find("\"" + name + "\"");
  if (key == std::string::npos) return "";
  const size_t begin = body.find('"', body.find(':', key));
  if (begin == std::string::npos) return "";
  return body.substr(begin + 1, body.find('"', begin + 1) - begin - 1);
}

// One connection; dialed anew when it has broken.
class Connection {
 public:
  explicit Connection(const Target& target) : target_(target) {
    request_ =
        "GET " + target.path + " HTTP/1.1\r\nhost: " + target.host + ":" + target.port + "\r\n\r\n";
  }
  ~Connection() { Close(); }

  // The status code, and the body; 0 if there was no whole response.
  int Call(std::string* body) {
    if (fd_ < 0) fd_ = Dial(target_);
    if (fd_ < 0 || send(fd_, request_.data(), request_.size(), MSG_NOSIGNAL) < 0) return Fail();
    std::string got;
    size_t head_end = std::string::npos;
    size_t wanted = 0;
    while (head_end == std::string::npos || got.size() < wanted) {
      char buffer[16384];
      const ssize_t n = recv(fd_, buffer, sizeof(buffer), 0);
      if (n <= 0) return Fail();
      got.append(buffer, static_cast<size_t>(n));
      if (head_end != std::string::npos) continue;
      head_end = got.find("\r\n\r\n");
      if (head_end == std::string::npos) continue;
      const size_t length = got.find("content-length: ");
      if (length == std::string::npos || length > head_end) return Fail();
      wanted = head_end + 4 + static_cast<size_t>(atol(got.c_str() + length + 16));
    }
    *body = got.substr(head_end + 4);
    const int code = atoi(got.c_str() + 9);
    if (got.find("connection: close") < head_end) Close();
    return code;
  }

 private:
  int Fail() {
    Close();
    return 0;
  }
  void Close() {
    if (fd_ >= 0) close(fd_);
    fd_ = -1;
  }

  const Target& target_;
  std::string request_;
  int fd_ = -1;
};

void Send(const Target& target, double rate, Clock::time_point start, Counts* counts) {
  Connection connection(target);
  const auto period =
      std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(1 / rate));
  auto due = Clock::now() + period * (rand() % 100) / 100;
  while (!stopped) {
    std::this_thread::sleep_until(due);
    due = std::max(due + period, Clock::now() - period);
    const long at =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start).count();
    std::string body;
    const int code = connection.Call(&body);
    ++counts->sent;
    ++counts->codes[code];
    if (code != 200) {
      counts->failures.emplace_back(at, code);
      continue;
    }
    ++counts->clusters[FieldOf(body, "cluster")];
    ++counts->pods[FieldOf(body, "pod")];
  }
}

void Add(const Counts& from, Counts* to) {
  to->sent += from.sent;
  for (const auto& [code, count] : from.codes) to->codes[code] += count;
  for (const auto& [name, count] : from.clusters) to->clusters[name] += count;
  for (const auto& [name, count] : from.pods) to->pods[name] += count;
  to->failures.insert(to->failures.end(), from.failures.begin(), from.failures.end());
}

std::string Text(const std::string& key) { return key; }
std::string Text(int key) { return std::to_string(key); }

template <typename Key>
std::string Json(const std::map<Key, long>& counts) {
  std::string text;
  for (const auto& [key, count] : counts) {
    if (!text.empty()) text += ", ";
    text += "\"" + Text(key) + "\": " + std::to_string(count);
  }
  return "{" + text + "}";
}

void Report(Counts& all, const std::string& path) {
  std::string failures;
  for (const auto& [at, code] : all.failures) {
    if (!failures.empty()) failures += ", ";
    failures += "[" + std::to_string(at) + ", " + std::to_string(code) + "]";
  }
  const std::string part = path + ".part";
  FILE* out = fopen(part.c_str(), "w");
  if (out == nullptr) _exit(1);
  fprintf(out,
          "{\"sent\": %ld, \"ok\": %ld, \"codes\": %s, \"clusters\": %s, \"pods\": %s, "
          "\"failures\": [%s]}\n",
          all.sent, all.codes[200], Json(all.codes).c_str(), Json(all.clusters).c_str(),
          Json(all.pods).c_str(), failures.c_str());
  fclose(out);
  rename(part.c_str(), path.c_str());
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 7) {
    fprintf(stderr, "usage: steady HOST PORT PATH RATE CONNECTIONS REPORT\n");
    return 64;
  }
  const Target target = {argv[1], argv[2], argv[3]};
  const double rate = atof(argv[4]);
  const int connections = atoi(argv[5]);
  const std::string report = argv[6];
  signal(SIGPIPE, SIG_IGN);
  signal(SIGTERM, [](int) { stopped = true; });
  const auto start = Clock::now();
  std::vector<Counts> counts(static_cast<size_t>(connections));
  std::vector<std::thread> threads;
  for (Counts& of_one : counts) {
    threads.emplace_back(Send, std::cref(target), rate / connections, start, &of_one);
  }
  struct stat info;
  while (!stopped && stat((report + ".stop").c_str(), &info) != 0) {
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  stopped = true;
  for (std::thread& thread : threads) thread.join();
  Counts all;
  for (const Counts& of_one : counts) Add(of_one, &all);
  Report(all, report);
  return 0;
}
