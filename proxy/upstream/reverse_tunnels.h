// ReverseTunnels: connections that gateways of other clusters dialed to this one, for streams that
// we open to their clusters (api/weft/tunnel.proto). Found by the trust domain that the gateway's
// certificate proved.
//
// One worker's.
#ifndef WEFT_PROXY_UPSTREAM_REVERSE_TUNNELS_H_
#define WEFT_PROXY_UPSTREAM_REVERSE_TUNNELS_H_

#include <cstdint>
#include <list>
#include <map>
#include <string>

#include "proxy/stream/h2_connection.h"

namespace weft {

class ReverseTunnels {
 public:
  // One of them, for as long as this lives; both that and the connection outlive it.
  class Registration {
   public:
    Registration(ReverseTunnels& all, std::string trust_domain, H2Connection& connection);
    ~Registration();
    Registration(const Registration&) = delete;
    Registration& operator=(const Registration&) = delete;

   private:
    ReverseTunnels& all_;
    const std::string trust_domain_;
    H2Connection& connection_;
  };

  // One with room for a stream, each in its turn; null if there is none. It stays until the next
  // wait.
  H2Connection* Pick(const std::string& trust_domain);
  // By trust domain, those that are going away too; none is 0.
  std::map<std::string, uint64_t> Counts() const;

 private:
  std::map<std::string, std::list<H2Connection*>> by_trust_domain_;
};

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_REVERSE_TUNNELS_H_
