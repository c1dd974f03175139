// A sandbox of the real binaries for one test suite: clusters of pods in network namespaces, driven
// by `weftctl sandbox` as a user drives it. Everything it makes lies in one folder under /tmp,
// which goes with it, and a watchdog takes the sandbox down even when the test is killed.
//
// One thread, except where a method says otherwise.
#ifndef WEFT_TEST_INTEGRATION_SANDBOX_H_
#define WEFT_TEST_INTEGRATION_SANDBOX_H_

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "test/integration/process.h"

namespace weft::integration {

// One curl as a pod saw it.
struct Answer {
  int code = 0;  // 0: no response
  int curl = 0;  // curl's exit status
  absl::Duration took;
  std::string redirect;  // where a 3xx points
  std::string body;
  nlohmann::json echo;  // the body, where it is the echo app's

  bool ok() const { return code == 200; }
  // A field of the echo; "" where there is none, or where it is null.
  std::string field(const std::string& name) const;
};
using Answers = std::vector<Answer>;

int CountOk(const Answers& answers);
// How many answers have each value of a field; one that failed counts as "code CODE, curl STATUS".
std::map<std::string, int> Tally(const Answers& answers, const std::string& field);

// The folder shared/corpora/istio/samples: in $WEFT_SHARED, or beside the checkout; "" if it is not
// there.
std::string Samples();

class Sandbox {
 public:
  // `clusters` by name; their folders are empty yet.
  explicit Sandbox(std::vector<std::string> clusters);
  // Runs `weftctl` and the rest as user 65534, from copies of the binaries which that user can
  // read.
  static std::unique_ptr<Sandbox> Unprivileged(std::vector<std::string> clusters);
  Sandbox(const Sandbox&) = delete;
  ~Sandbox();

  // The folder of all there is, and of one cluster's YAML.
  const std::string& work() const { return work_; }
  std::string Folder(const std::string& cluster) const { return work_ + "/yaml/" + cluster; }
  // An unedited copy of a file of Samples().
  void AddSample(const std::string& cluster, const std::string& sample);
  // Writes or replaces a file, at once as an editor would.
  void Write(const std::string& cluster, const std::string& file, const std::string& text);

  Result Up(std::vector<std::string> flags = {});
  Result Down() { return Weftctl({"down"}); }
  Result Exec(const std::string& target, const std::vector<std::string>& command);
  Result Kill(const std::string& target) { return Weftctl({"kill", target}); }
  Result Restart(const std::string& target) { return Weftctl({"restart", target}); }
  Result Apply(const std::string& cluster, const std::string& yaml);
  Result Delete(const std::string& cluster, const std::string& yaml);
  // Any `weftctl sandbox` command; --name is added.
  Result Weftctl(const std::vector<std::string>& arguments, const std::string& input = "");
  std::vector<std::string> Command(const std::vector<std::string>& arguments) const;
  const std::vector<std::string>& environment() const { return environment_; }

  nlohmann::json Status();
  // "CLUSTER/POD" of all pods of a workload, or of those that do not run.
  std::vector<std::string> PodsOf(const std::string& cluster, const std::string& workload);
  std::string PodAddress(const std::string& cluster, const std::string& workload);
  // Process id of a container, as processes inside the sandbox count.
  int ContainerPid(const std::string& cluster, const std::string& workload,
                   const std::string& container);
  // Restarts every pod that is not ready, and waits until all are.
  void Heal();

  // `count` times curl with `arguments` from a pod, one after the other, each a new connection.
  Answers Calls(const std::string& pod, int count, const std::vector<std::string>& arguments);
  Answer Call(const std::string& pod, const std::vector<std::string>& arguments);

  // Processes and mounts of this sandbox alive on the machine, by what only they have: this
  // sandbox's folder in the environment, or in a mount.
  std::vector<int> Processes() const;
  std::vector<std::string> Mounts() const;

 private:
  Sandbox(std::vector<std::string> clusters, bool unprivileged);

  std::vector<std::string> clusters_;
  std::string work_;
  std::string weftctl_;
  std::vector<std::string> prefix_;       // in front of weftctl: how to become another user
  std::vector<std::string> environment_;  // NAME=VALUE, beside the test's own
  std::unique_ptr<Watchdog> watchdog_;
};

// Calls that go on, one after the other, while the test does something else; they run in a process
// of their own.
class CallsGoingOn {
 public:
  CallsGoingOn(Sandbox* sandbox, const std::string& pod, const std::vector<std::string>& arguments);
  // Returns when at least `count` more calls have ended; false after ten seconds without.
  bool Await(int count);
  Answers Stop();

 private:
  int Ended() const;

  std::string records_, stop_;
  std::unique_ptr<Process> process_;
};

// Requests at a steady rate from a pod, over connections that stay open, while the test breaks
// something (steady.cc, which the test names as tool STEADY).
class SteadyCalls {
 public:
  // `rate`: requests a second over all `connections`. Returns when the first ones are on their way.
  SteadyCalls(Sandbox* sandbox, const std::string& pod, const std::string& host, int port, int rate,
              int connections, const std::string& path = "/");
  // What steady.cc reports; an empty object if it did not.
  nlohmann::json Stop();

 private:
  std::string report_;
  std::unique_ptr<Process> process_;
};

// All bytes that pass an interface of a pod or of CLUSTER/router, from construction to Stop().
class Capture {
 public:
  Capture(Sandbox* sandbox, const std::string& where, const std::string& interface);
  // Frames, one after the other, each with its length in front.
  std::vector<std::string> Stop();

 private:
  std::string file_;
  std::unique_ptr<Process> process_;
};

// The value of an environment variable that holds a path below the runfiles, made absolute.
std::string BinaryPath(const char* variable);

// YAML of the usual things. `extra` goes into the pod template's metadata or the service's port.
std::string EchoWorkload(const std::string& name, const std::string& app,
                         const std::string& version, int port = 8080,
                         const std::string& annotations = "", const std::string& image = "echo");
std::string ServiceOf(const std::string& app, const std::string& port_name, int port,
                      int target_port = 8080);
// A pod to call from, with its own service account; annotations as in EchoWorkload.
std::string Client(const std::string& name, const std::string& annotations = "");

inline constexpr char kNotInjected[] = "{sidecar.istio.io/inject: \"false\"}";

}  // namespace weft::integration

#endif  // WEFT_TEST_INTEGRATION_SANDBOX_H_
