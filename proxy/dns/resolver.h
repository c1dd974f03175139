// Resolver: host names to addresses as the system does it (/etc/hosts, then the servers and search
// domains of /etc/resolv.conf), by c-ares on the loop, without a thread and without blocking.
//
// For the proxy's own upstreams; what a workload asks is answered by DnsServer. Nothing is opened
// before the first lookup, so a proxy without DNS clusters pays nothing. One loop, one thread.
#ifndef WEFT_PROXY_DNS_RESOLVER_H_
#define WEFT_PROXY_DNS_RESOLVER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "proxy/dns/lookup.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/task.h"

struct ares_addrinfo;
struct ares_channeldata;

namespace weft::dns {

class Resolver {
 public:
  struct Options {
    std::vector<Address> servers;  // none: those of /etc/resolv.conf
    // Set on the resolver's sockets, so that a sidecar's rules do not capture its own questions.
    std::optional<uint32_t> mark;
    // A lookup that has no answer by then has failed.
    absl::Duration timeout = absl::Seconds(5);
  };

  // `loop` must outlive the resolver, the resolver its lookups.
  Resolver(EventLoop& loop, Options options);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // The error names the host and says why.
  Task<absl::StatusOr<Resolution>> Resolve(Lookup lookup);

 private:
  struct Answer;

  absl::Status Open();
  void Close();
  Task<absl::StatusOr<Resolution>> Ask(const Lookup& lookup, int family, MonotonicTime deadline);
  void Rearm();
  static void OnAnswer(void* argument, int status, int timeouts, ares_addrinfo* found);
  static void OnSocketState(void* self, int fd, int readable, int writable);
  static int OnSocketMade(int fd, int type, void* self);
  static void OnEvent(int fd, short what, void* self);
  static void OnTimer(int, short, void* self);

  EventLoop& loop_;
  const Options options_;
  ares_channeldata* channel_ = nullptr;
  event* timer_ = nullptr;
  std::map<int, event*> sockets_;
  size_t asking_ = 0;  // questions that c-ares has not answered, of lookups given up on too
  // The last question failed: the servers may have changed since they were read.
  bool reopen_ = false;
};

}  // namespace weft::dns

#endif  // WEFT_PROXY_DNS_RESOLVER_H_
