// For tests: a proxy that was sent resources, without a socket. They are compiled by the proxy's
// own code and asked by its own decisions.
//
// It knows nothing of the control plane, whose headers have names that the proxy's have, too.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_SIMULATED_PROXY_H_
#define WEFT_CONTROLPLANE_TRANSLATE_SIMULATED_PROXY_H_

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace weft {

class ConfigState;

struct SentResource {
  std::string type_url;
  std::string name;
  std::shared_ptr<const std::string> bytes;  // a serialized Any
};

// A request that was served, or a connection, as an access log sees it.
struct Served {
  std::string method = "GET";
  std::string path = "/";
  std::string authority = "web";
  std::vector<std::pair<std::string, std::string>> headers = {};
  int status = 200;
  int grpc_status = -1;
  int milliseconds = 1;
  bool no_route = false;  // the flag NR is set
};

class SimulatedProxy {
 public:
  // Fails the test if something does not compile, or waits for what does not come. Every host name
  // resolves to 192.0.2.7.
  SimulatedProxy(const std::vector<SentResource>& resources, std::string chain_pem,
                 std::string key_pem);
  ~SimulatedProxy();
  SimulatedProxy(const SimulatedProxy&) = delete;
  SimulatedProxy& operator=(const SimulatedProxy&) = delete;

  // Where a captured connection to "10.0.0.1:80" goes: the cluster, "closed" if nothing takes it,
  // or "http" if requests are asked.
  std::string Connect(const std::string& destination, const std::string& server_name = "") const;
  // The cluster that a request goes to on such a connection; "502" for a direct response.
  std::string Request(const std::string& destination, const std::string& authority) const;
  // The same at a listener that is bound to the address.
  std::string BoundRequest(const std::string& listener, const std::string& authority) const;
  // Where an inbound connection to the port goes, in mesh TLS or in plain.
  std::string Inbound(uint16_t port, bool mtls) const;
  // What is written of it, "FILE: LINE" for each log that takes it: of an inbound connection's, and
  // of an outbound one's.
  std::vector<std::string> InboundLog(uint16_t port, bool mtls, const Served& served) const;
  std::vector<std::string> OutboundLog(const std::string& destination, const Served& served) const;
  // "10.0.0.1:80=1 10.0.0.2:80/tlsMode-istio=2": endpoints with their weights, by key; "original"
  // for a cluster that dials the original destination.
  std::string Endpoints(const std::string& cluster) const;
  // Addresses of a name; "unknown" if the mesh does not have it.
  std::string Resolve(const std::string& name) const;

 private:
  std::unique_ptr<ConfigState> state_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_SIMULATED_PROXY_H_
