// Proxy: a sidecar or a gateway without a socket. It takes discovery's updates in delta form; the
// proxy's own compiler and decisions say what becomes of a connection.
//
// It shows nothing of the proxy and knows nothing of the control plane, as both have classes of the
// same names.
#ifndef WEFT_TEST_SIMULATION_PROXY_H_
#define WEFT_TEST_SIMULATION_PROXY_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "certs/certificate.h"

namespace weft {
class ConfigState;
}

namespace weft::simulation {

struct VersionedResource {
  std::string name;
  std::string version;
  std::shared_ptr<const std::string> bytes;  // a serialized Any
};

struct ResourceUpdate {
  std::string type_url;
  std::string nonce;
  std::vector<VersionedResource> changed;
  std::vector<std::string> removed;
};

struct ResourceRequest {
  std::string type_url;
  std::vector<std::string> subscribe;
  std::vector<std::string> unsubscribe;
  std::vector<std::pair<std::string, std::string>> initial_versions;
  std::string nonce;
  std::string error;  // a NACK, and why
};

class Proxy {
 public:
  Proxy(std::string chain_pem, std::string key_pem);
  ~Proxy();
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  // A new stream to discovery is open: what to say first.
  std::vector<ResourceRequest> OnStream();
  // The answer to an update, and what is wanted because of it.
  std::vector<ResourceRequest> OnUpdate(const ResourceUpdate& update);
  // What came and is not in force, and why; empty if all is.
  std::vector<std::string> Complaints() const;

  std::vector<std::string> Clusters() const;  // sorted
  // IP addresses, sorted; none if there is no such cluster.
  std::set<std::string> Endpoints(const std::string& cluster) const;

  struct Choice {
    std::string cluster;
    std::string address;      // IP of the endpoint
    std::string server_name;  // of its TLS
  };
  // Where an application's request to http://HOST:PORT/ goes; none: it fails here.
  std::optional<Choice> Route(const std::string& host, uint16_t port, uint64_t random) const;
  // The pod that a gateway hands a connection with this server name to; none: it is closed.
  std::optional<std::string> Enter(const std::string& server_name, uint64_t random) const;
  // Whether a client that connects by `cluster` takes whoever shows this chain.
  absl::Status AcceptsServer(const std::string& cluster,
                             absl::Span<const certs::Certificate> chain, absl::Time now) const;
  // The identity of a client that shows this chain to a sidecar.
  absl::StatusOr<std::string> AcceptsClient(absl::Span<const certs::Certificate> chain,
                                            absl::Time now) const;

 private:
  ResourceRequest Want(const std::string& type_url, std::vector<std::string> names);

  std::unique_ptr<ConfigState> state_;
  std::map<std::string, std::set<std::string>> wanted_;                   // names by type
  std::map<std::string, std::map<std::string, std::string>> versions_;  // by type and name
  std::map<std::string, std::string> refusals_;                           // by type
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_PROXY_H_
