// weft-proxy as a process of a test, with weftd as its control plane.
#ifndef WEFT_TEST_XDS_PROXY_PROCESS_H_
#define WEFT_TEST_XDS_PROXY_PROCESS_H_

#include <sys/types.h>

#include <string>

#include "test/xds/weftd.h"

namespace weft::test {

// Moves this process to a network of its own, with loopback and nothing else, so that the proxy's
// fixed ports are free. False where that is not allowed.
bool EnterOwnNetwork();

// As injection would tell its proxy.
struct ProxyPod {
  std::string name;
  std::string namespace_;
  std::string account;
  std::string address;
  std::string cluster;
  std::string network;
  std::string token;  // what it shows for its certificate
};

// Runs until it is destroyed.
class ProxyProcess {
 public:
  // `role`: "sidecar" or "router".
  ProxyProcess(const Weftd& weftd, const std::string& role, const ProxyPod& pod);
  ~ProxyProcess();
  ProxyProcess(const ProxyProcess&) = delete;
  ProxyProcess& operator=(const ProxyProcess&) = delete;

 private:
  pid_t pid_ = -1;
};

}  // namespace weft::test

#endif  // WEFT_TEST_XDS_PROXY_PROCESS_H_
