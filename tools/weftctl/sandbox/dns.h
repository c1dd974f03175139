// The cluster's DNS in small, what CoreDNS is in a real cluster: A and AAAA records for
// SVC.NS.svc.cluster.local, over UDP and TCP.
#ifndef TOOLS_WEFTCTL_SANDBOX_DNS_H_
#define TOOLS_WEFTCTL_SANDBOX_DNS_H_

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "tools/weftctl/sandbox/event_loop.h"
#include "tools/weftctl/sandbox/unique_fd.h"

namespace weft::sandbox {

// Full lower-case name without the last dot → addresses, at most one of each family.
using DnsTable = std::map<std::string, std::vector<std::string>>;

// The response to a query, or nothing when it deserves none (no header, or itself a response).
std::string AnswerDns(absl::string_view query, const DnsTable& table);

// Serves a table on an address of a network namespace, in the supervisor's loop.
class DnsServer {
 public:
  explicit DnsServer(EventLoop* loop) : loop_(loop) {}
  absl::Status Listen(int net_namespace, const std::string& ip);
  void SetTable(DnsTable table) { table_ = std::move(table); }

 private:
  struct Stream {
    UniqueFd socket;
    std::string received;
    std::unique_ptr<Watch> watch;
    std::unique_ptr<Watch> deadline;
  };
  void ReceiveDatagram();
  void AcceptStream();
  void ReceiveStream(int id);

  EventLoop* loop_;
  DnsTable table_;
  UniqueFd datagrams_;
  UniqueFd listener_;
  std::unique_ptr<Watch> datagram_watch_;
  std::unique_ptr<Watch> listener_watch_;
  std::map<int, Stream> streams_;
  int next_stream_ = 0;
};

}  // namespace weft::sandbox

#endif  // TOOLS_WEFTCTL_SANDBOX_DNS_H_
