// A workload for what the echo cannot do; run in a pod by --image. Argument: a role; port: $PORT.
//   http   /delay/MS answers after MS milliseconds, /status/CODE with CODE, /flaky/N with 503 but
//          for every Nth request, anything else at once. The body tells the path as it came here.
//   broken answers every request with 500.
//   greet  speaks first, as SMTP does: a line with the host's name; then sends back what comes.
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <string>
#include <thread>

namespace {

std::atomic<int> requests = 0;

int NumberAfter(const std::string& path, const std::string& prefix) {
  return path.compare(0, prefix.size(), prefix) == 0 ? atoi(path.c_str() + prefix.size()) : 0;
}

void Send(int fd, const std::string& text) {
  // A client that has left is no matter of ours.
  ssize_t ignored = send(fd, text.data(), text.size(), MSG_NOSIGNAL);
  (void)ignored;
}

bool broken = false;

void Answer(int fd, const std::string& head) {
  size_t start = head.find(' ') + 1;
  std::string path = head.substr(start, head.find(' ', start) - start);
  int code = broken ? 500 : 200;
  if (int given = NumberAfter(path, "/status/"); given > 0) code = given;
  if (int n = NumberAfter(path, "/flaky/"); n > 0 && ++requests % n != 0) code = 503;
  if (int ms = NumberAfter(path, "/delay/"); ms > 0) usleep(ms * 1000);
  std::string body = "path=" + path + "\n";
  Send(fd, "HTTP/1.1 " + std::to_string(code) +
               " -\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body);
}

void ServeHttp(int fd) {
  std::string received;
  char buffer[4096];
  ssize_t n;
  while ((n = read(fd, buffer, sizeof(buffer))) > 0) {
    received.append(buffer, n);
    for (size_t end; (end = received.find("\r\n\r\n")) != std::string::npos;) {
      Answer(fd, received.substr(0, end));
      received.erase(0, end + 4);
    }
  }
}

void Greet(int fd) {
  char name[256] = {};
  gethostname(name, sizeof(name) - 1);
  Send(fd, "220 " + std::string(name) + "\n");
  char buffer[4096];
  ssize_t n;
  while ((n = read(fd, buffer, sizeof(buffer))) > 0) Send(fd, std::string(buffer, n));
}

}  // namespace

int main(int argc, char** argv) {
  signal(SIGPIPE, SIG_IGN);
  const char* port = getenv("PORT");
  sockaddr_in address = {};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port != nullptr ? atoi(port) : 0));
  int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  if (argc != 2 || bind(listener, reinterpret_cast<sockaddr*>(&address), sizeof(address)) != 0 ||
      listen(listener, 128) != 0) {
    perror("app");
    return 1;
  }
  const bool greet = strcmp(argv[1], "greet") == 0;
  broken = strcmp(argv[1], "broken") == 0;
  for (int fd; (fd = accept(listener, nullptr, nullptr)) >= 0;) {
    std::thread([fd, greet] {
      greet ? Greet(fd) : ServeHttp(fd);
      close(fd);
    }).detach();
  }
  return 1;
}
