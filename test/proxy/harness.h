// What the tests of the running proxy share: the process with its bootstrap file, blocking sockets
// with a deadline as clients, and scripted upstreams. Every wait is bounded: a test that hangs
// fails by itself and says where.
#ifndef WEFT_TEST_PROXY_HARNESS_H_
#define WEFT_TEST_PROXY_HARNESS_H_

#include <sys/types.h>

#include <atomic>
#include <functional>
#include <list>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/time/time.h"

namespace weft::test {

// No operation of a test takes longer on a machine that works at all.
inline constexpr absl::Duration kPatience = absl::Seconds(20);

// Freed memory is kept back under a sanitizer: its size says nothing there.
#ifndef __has_feature
#define __has_feature(feature) 0
#endif
inline constexpr bool kMemoryMeans =
    !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer);

// A message as it was read: head up to and with the empty line, body without its chunk framing.
struct Message {
  std::string head;
  std::string body;
  std::string trailers;   // raw lines after the last chunk
  bool complete = false;  // its framing says that nothing is missing

  int status() const;  // of a response; 0 if there is none
  // The value of the first field of that name (given in lower case), or "".
  std::string Field(const std::string& name) const;
};

// A connected blocking TCP socket. Bytes that a Read* found too many stay for the next.
class Socket {
 public:
  explicit Socket(int fd);
  static Socket Connect(int port);
  ~Socket();
  Socket(Socket&& other) noexcept;
  Socket(const Socket&) = delete;
  Socket& operator=(const Socket&) = delete;

  bool connected() const { return fd_ >= 0; }
  int fd() const { return fd_; }
  bool Send(const std::string& bytes);
  // Up to `bytes`, fewer at the end or after `patience`.
  std::string Read(size_t bytes, absl::Duration patience = kPatience);
  std::string ReadToEnd(absl::Duration patience = kPatience);
  // What is there, or comes first; "" at the end or after `patience`.
  std::string ReadSome(absl::Duration patience = kPatience);
  // True if the peer ends (or resets) the connection in time, with nothing before it.
  bool Ended(absl::Duration patience = kPatience);
  bool at_end() const { return at_end_; }  // as far as was read
  // The last end was a reset, not an orderly one.
  bool was_reset() const { return was_reset_; }
  Message ReadRequest() { return ReadMessage(false, false); }
  Message ReadResponse(bool to_head = false) { return ReadMessage(true, to_head); }
  void ShutdownWrite();
  void CloseWithReset();
  void Close();

 private:
  bool Fill(absl::Time deadline);
  bool ReadLine(std::string* line, absl::Time deadline);
  Message ReadMessage(bool response, bool to_head);

  int fd_;
  std::string held_;
  bool at_end_ = false;
  bool was_reset_ = false;
};

// Accepts on a free port of 127.0.0.1 and runs `script` on a thread for each connection; the
// connection closes when it returns. `turn` counts connections from 1.
class Upstream {
 public:
  using Script = std::function<void(Socket& socket, int turn)>;
  explicit Upstream(Script script);
  ~Upstream();

  int port() const { return port_; }
  int connections() const { return connections_; }

 private:
  void Accept();

  const Script script_;
  int listener_;
  int port_;
  std::atomic<int> connections_{0};
  std::mutex mutex_;
  std::list<Socket> sockets_;
  std::vector<std::thread> threads_;
  std::thread accepting_;
};

// Answers every request with 200 and, as the body, the request's head and body as they came.
void Echo(Socket& socket, int turn);
// An upstream that answers each request with `response`, verbatim.
Upstream::Script Always(std::string response);

// A port that nothing listens on now.
int FreePort();

// Pieces of a bootstrap, in YAML's flow style.
std::string HttpListener(const std::string& name, int port, const std::string& routes,
                         const std::string& more_of_manager = "",
                         const std::string& more_of_chain = "");
// With a RouteConfiguration of its own.
std::string RoutedListener(const std::string& name, int port, const std::string& route_config,
                           const std::string& more_of_manager = "",
                           const std::string& more_of_chain = "");
std::string TcpListener(const std::string& name, int port, const std::string& cluster);
std::string Cluster(const std::string& name, const std::vector<int>& ports,
                    const std::string& more = "");
// A route of everything to `cluster`; `more` goes into the route action.
std::string RouteTo(const std::string& cluster, const std::string& more = "");
std::string Bootstrap(int admin_port, const std::vector<std::string>& listeners,
                      const std::vector<std::string>& clusters);

// The path: one that no other file had.
std::string WriteTestFile(const std::string& name, const std::string& contents);
// Another file in its place, as those who write configuration do it: by a rename.
void ReplaceTestFile(const std::string& path, const std::string& contents);

// A run of the binary to its end.
struct RunResult {
  int exit_code = -1;  // 128 + the signal if one ended it
  std::string output;  // stdout and stderr
};
RunResult RunProxy(const std::vector<std::string>& arguments);

// What a shell command printed, standard error included; its exit status behind it if that is not
// 0.
std::string RunTool(const std::string& command);

// Another program that runs beside the test: a server to be proxied. Ended at the end.
class PeerProcess {
 public:
  explicit PeerProcess(const std::vector<std::string>& argv);
  ~PeerProcess();
  PeerProcess(const PeerProcess&) = delete;
  PeerProcess& operator=(const PeerProcess&) = delete;

  // It takes connections on `port` in time.
  bool Listens(int port);
  std::string Output() const;

 private:
  const std::string output_path_;
  const pid_t pid_;
};

// The proxy with one worker, unless `arguments` say otherwise, ready when the constructor returns.
// The destructor ends it and expects that it ended well: under a sanitizer that is where leaks
// show.
class ProxyProcess {
 public:
  ProxyProcess(const std::vector<std::string>& listeners, const std::vector<std::string>& clusters,
               const std::vector<std::string>& arguments = {});
  ~ProxyProcess();

  int admin_port() const { return admin_port_; }
  pid_t pid() const { return pid_; }
  bool alive();
  void Signal(int signal);
  // As if the machine had failed: its end is no error.
  void Kill();
  // The exit code, or -1 if it does not end in time.
  int AwaitExit(absl::Duration patience = kPatience);
  Message Admin(const std::string& path, const std::string& method = "GET");
  // The sum of the counters and gauges whose name ends with `name`.
  double Stat(const std::string& name);
  size_t ResidentBytes() const;
  std::string Output() const;

 private:
  int admin_port_;
  std::string output_path_;
  pid_t pid_ = -1;
  int exit_code_ = -1;
};

// One request on a connection of its own.
Message Ask(int port, const std::string& request);
std::string Get(const std::string& path, const std::string& more_fields = "");

// Polls until `condition` holds; false after kPatience.
bool Eventually(const std::function<bool()>& condition);

}  // namespace weft::test

#endif  // WEFT_TEST_PROXY_HARNESS_H_
