// A DNS server on a loop of a test: answers A and AAAA from a table that the test may change, over
// UDP; NXDOMAIN for every other name, and nothing at all while it is silent.
#ifndef WEFT_PROXY_DNS_NAME_SERVER_FOR_TEST_H_
#define WEFT_PROXY_DNS_NAME_SERVER_FOR_TEST_H_

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "proxy/dns/message.h"
#include "proxy/net/udp.h"
#include "proxy/runtime/scope.h"

namespace weft::dns {

class NameServerForTest {
 public:
  explicit NameServerForTest(EventLoop& loop)
      : loop_(loop), socket_(*UdpSocket::Bind(loop, *Address::Parse("127.0.0.1:0"))) {
    scope_.Spawn(Serve());
  }

  void Set(const std::string& name, const std::vector<std::string>& ips) {
    std::vector<Address>& addresses = names[name];
    addresses.clear();
    for (const std::string& ip : ips) addresses.push_back(*Address::Ip(ip, 0));
  }
  const Address& address() const { return socket_->address(); }

  std::map<std::string, std::vector<Address>> names;
  uint32_t ttl = 30;
  bool silent = false;
  std::map<uint16_t, int> asked;  // by type

 private:
  Task<> Serve() {
    while (true) {
      Address from;
      const std::optional<std::string> message = socket_->Receive(&from);
      if (!message.has_value()) {
        co_await Wait(loop_, {&socket_->readable()});
        continue;
      }
      Query query;
      if (ParseQuery(*message, &query) != ParseResult::kQuery) continue;
      ++asked[query.type];
      if (!silent) socket_->Send(AnswerTo(query), from);
    }
  }

  std::string AnswerTo(const Query& query) const {
    const auto found = names.find(query.name);
    if (found == names.end()) return EmptyAnswer(query, Rcode::kNxDomain);
    std::vector<Address> fitting;
    for (const Address& address : found->second) {
      const int family = query.type == kTypeAaaa ? AF_INET6 : AF_INET;
      if (address.family() == family) fitting.push_back(address);
    }
    return AddressAnswer(query, fitting, ttl, kLargestUdpSize);
  }

  EventLoop& loop_;
  std::unique_ptr<UdpSocket> socket_;
  Scope scope_;
};

}  // namespace weft::dns

#endif  // WEFT_PROXY_DNS_NAME_SERVER_FOR_TEST_H_
