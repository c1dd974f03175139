// DnsServer: the sidecar's resolver. Mesh names are answered here from the NameTable; everything
// else goes to the nameservers that the pod was given, and their answer comes back untouched.
//
// UDP and TCP on one address. Runs on one loop; the table is swapped whole when config changes.
#ifndef WEFT_PROXY_DNS_SERVER_H_
#define WEFT_PROXY_DNS_SERVER_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "proxy/dns/message.h"
#include "proxy/dns/name_table.h"
#include "proxy/net/tcp.h"
#include "proxy/net/udp.h"
#include "proxy/runtime/scope.h"

namespace weft::dns {

// The nameservers of a resolv.conf, with port 53; lines that are none are skipped.
std::vector<Address> ParseNameservers(absl::string_view resolv_conf);

class DnsServer {
 public:
  struct Options {
    Address listen;
    std::vector<Address> upstreams;
    // Set on forwarded queries, so that they are not captured and sent back here.
    std::optional<uint32_t> mark;
  };
  struct Counters {
    uint64_t queries = 0;
    uint64_t answered = 0;  // from the table
    uint64_t forwarded = 0;
    uint64_t malformed = 0;
    uint64_t failed = 0;  // forwarded without an answer in time, or refused for too many
  };

  static absl::StatusOr<std::unique_ptr<DnsServer>> Start(EventLoop& loop, Options options);

  void SetTable(std::shared_ptr<const NameTable> table) { table_ = std::move(table); }
  const Counters& counters() const { return counters_; }
  const Address& address() const { return udp_->address(); }

 private:
  // An answer, or none: then the query is for the upstreams.
  struct Local {
    bool drop = false;
    std::optional<std::string> answer;
  };

  DnsServer(EventLoop& loop, Options options) : loop_(loop), options_(std::move(options)) {}
  Task<> ServeUdp();
  Task<> ServeTcp();
  Task<> ServeTcpConnection(std::unique_ptr<TcpStream> stream);
  Task<> ForwardUdp(std::string message, Query query, Address client);
  Task<std::string> Ask(std::string message, Query query);
  Task<std::string> AskOverTcp(std::string message, Address upstream);
  Local AnswerLocally(absl::string_view message, bool udp, Query* query);

  EventLoop& loop_;
  Options options_;
  std::unique_ptr<UdpSocket> udp_;
  std::unique_ptr<Listener> tcp_;
  std::shared_ptr<const NameTable> table_ = std::make_shared<NameTable>();
  Counters counters_;
  Scope scope_;
};

}  // namespace weft::dns

#endif  // WEFT_PROXY_DNS_SERVER_H_
