// What the tests of discovery share: weftd as a process of its own with a folder as its registry,
// services that say who they are, and other people's xDS clients as processes that are told what to
// call. Every wait is bounded.
#ifndef WEFT_TEST_XDS_WEFTD_H_
#define WEFT_TEST_XDS_WEFTD_H_

#include <sys/types.h>

#include <cstdio>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

namespace weft::test {

int FreePort();
// Polls until the condition holds; false if it does not within 20 s.
bool Eventually(const std::function<bool()>& condition);

struct WeftdOptions {
  std::string cluster = "east";
  std::string registry;            // "kubernetes:FILE"; "": a folder of its own
  std::vector<std::string> flags;  // further ones
  bool wait_until_ready = true;
  bool own_tokens = true;  // false: no --token-key
  std::string ca;          // data folder of another weftd of the cluster, whose CA it has
};

class Weftd {
 public:
  // Ready when the constructor returns, unless it is told not to wait.
  explicit Weftd(WeftdOptions options = {});
  ~Weftd();
  Weftd(const Weftd&) = delete;
  Weftd& operator=(const Weftd&) = delete;

  void Start();
  void Stop();
  // Ends at once, as by SIGKILL.
  void Kill();
  int port() const { return plain_port_; }  // plain xDS, on 127.0.0.1
  int webhook_port() const { return webhook_port_; }
  bool Ready() const;
  // What /ready says beside "ready".
  std::string Warning() const;
  int xds_port() const { return xds_port_; }    // over TLS, on 127.0.0.1
  int peer_port() const { return peer_port_; }  // of the peer API, on 127.0.0.1
  std::string data_folder() const { return folder_ + "/data"; }
  // What proves to it to be a pod of that account.
  std::string Token(const std::string& name_space, const std::string& account) const;
  // Replaces a file of the registry at once.
  void Write(const std::string& file, const std::string& yaml);
  void Remove(const std::string& file);
  std::string Metrics() const;
  std::string Debug(const std::string& page) const;  // "syncz"

 private:
  const WeftdOptions options_;
  const std::string folder_;
  const int plain_port_;
  const int xds_port_;
  const int peer_port_;
  const int monitoring_port_;
  const int debug_port_;
  const int webhook_port_;
  pid_t pid_ = -1;
};

// A Service with its EndpointSlice, in namespace "default". `pods`: address to version, which is
// the label the subsets of a DestinationRule select on.
std::string ServiceYaml(const std::string& name, int port,
                        const std::map<std::string, std::string>& pods);

// Another process, asked and answered by lines.
class LineProcess {
 public:
  LineProcess(const std::vector<std::string>& argv, const std::vector<std::string>& environment);
  ~LineProcess();
  LineProcess(const LineProcess&) = delete;
  LineProcess& operator=(const LineProcess&) = delete;

  // "" if it has ended.
  std::string Ask(const std::string& line);

 private:
  pid_t pid_ = -1;
  FILE* in_ = nullptr;
  FILE* out_ = nullptr;
};

// Answers every gRPC call at address:port with its name.
class NamedServer {
 public:
  NamedServer(const std::string& name, const std::string& address, int port);
  ~NamedServer();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Where a file of the bootstrap that gRPC's clients read is, for this weftd.
std::string WriteGrpcBootstrap(const Weftd& weftd, const std::string& node_id);

}  // namespace weft::test

#endif  // WEFT_TEST_XDS_WEFTD_H_
