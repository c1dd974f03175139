// Asks a port inside a network namespace whether it is there: 50 ms apart until the first yes, then
// every second.
//
// One thread, the supervisor's loop. The namespace descriptor must stay open while the probe lives.
#ifndef TOOLS_WEFTCTL_SANDBOX_PROBE_H_
#define TOOLS_WEFTCTL_SANDBOX_PROBE_H_

#include <functional>
#include <memory>
#include <string>

#include "tools/weftctl/sandbox/event_loop.h"
#include "tools/weftctl/sandbox/unique_fd.h"

namespace weft::sandbox {

struct ProbeTarget {
  int port = 0;
  std::string path;  // empty: accepting a connection is enough; else GET must answer 200
};

class Probe {
 public:
  // `on_change` is called when the answer changes; it starts as no.
  Probe(EventLoop* loop, int net_namespace, ProbeTarget target,
        std::function<void(bool)> on_change);

  bool healthy() const { return healthy_; }

 private:
  void Attempt();
  void OnWritable();
  void OnReadable();
  void Finish(bool healthy);

  EventLoop* loop_;
  int net_namespace_;
  ProbeTarget target_;
  std::function<void(bool)> on_change_;
  bool healthy_ = false;

  UniqueFd socket_;
  std::string received_;
  std::unique_ptr<Watch> io_;
  std::unique_ptr<Watch> timer_;  // the attempt's deadline, or the pause before the next one
};

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_PROBE_H_
