// For tests: a sidecar without sockets. What Translate makes goes through the proxy's own compiler,
// and its decisions say what becomes of a connection or request, as text for tables.
//
// It shows nothing of the proxy: some of its names are used in the control plane, too.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_SIDECAR_H_
#define WEFT_CONTROLPLANE_TRANSLATE_SIDECAR_H_

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "controlplane/translate/resources.h"

namespace weft {

struct Request {
  std::string authority;
  std::string path = "/";
  std::string method = "GET";
  std::vector<std::pair<std::string, std::string>> headers = {};
};

class Sidecar {
 public:
  // Its identity is of this trust domain; files that config names are all there.
  explicit Sidecar(const std::string& trust_domain);
  ~Sidecar();

  // A root of the trust domain, in PEM; the same one each time.
  static std::string RootOf(const std::string& trust_domain);

  void Apply(absl::string_view type_url, const EncodedResources& resources);
  // What was refused, and what waits for something that did not come; empty if all is in force.
  std::vector<std::string> Complaints() const;

  // What becomes of a request in plain text to `port` of some address:
  // "cluster=A timeout=5s …", "clusters=80*A,20*B …", "redirect=301 …", "direct=503 …" or "404";
  // behind it whatever the route says, each as key=value.
  std::string Outcome(uint16_t port, const Request& request) const;
  // The cluster or clusters of a connection, as above; "http" if HTTP is understood there.
  std::string ConnectionTo(const std::string& address, uint16_t port,
                           const std::string& server_name = "") const;
  // The same at a router, whose listeners are bound to their ports; `server_name` and `protocol`
  // (ALPN) of TLS, which is what it is if there is a name. "closed" if nothing takes it.
  std::string RequestAt(uint16_t port, const Request& request,
                        const std::string& server_name = "") const;
  std::string ConnectionAt(uint16_t port, const std::string& server_name = "",
                           const std::string& protocol = "") const;
  // The settings of a cluster, each as key=value.
  std::string Settings(const std::string& cluster) const;
  // The addresses of a cluster by priority and locality: "0 eu/a weight 2: 10.0.0.1:80, …", a line
  // each.
  std::string Places(const std::string& cluster) const;
  // Where `picks` requests in a row go, each place once, sorted.
  std::vector<std::string> Picks(const std::string& cluster, int picks) const;

 private:
  struct State;

  std::unique_ptr<State> state_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_SIDECAR_H_
