// ClusterConfig: one compiled Cluster with its endpoints.
//
// The endpoints hang on a pointer of their own: an EDS change copies the small ClusterConfig and
// replaces that pointer, and what else was compiled (TLS contexts above all) stays the same object.
// Immutable, shared by pointer between Snapshots, any thread. What changes per request (active
// requests, recent failures) is the worker's: decide/cluster_load.h.
#ifndef WEFT_PROXY_CONFIG_CLUSTER_CONFIG_H_
#define WEFT_PROXY_CONFIG_CLUSTER_CONFIG_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "proxy/dns/lookup.h"
#include "proxy/net/address.h"
#include "proxy/net/listen_options.h"

namespace weft {

class ClientTlsContext;

enum class ClusterType { kStatic, kStrictDns, kLogicalDns, kEds, kOriginalDst };
enum class LoadBalancing { kRoundRobin, kLeastRequest, kRandom, kRingHash, kMaglev };
// What is spoken to the endpoints; kDownstream: what the request came in.
enum class UpstreamProtocol { kHttp1, kHttp2, kDownstream, kAlpn };
enum class EndpointHealth { kHealthy, kUnhealthy, kDraining, kDegraded };

// What is said of the client before all else, in the PROXY protocol.
enum class ProxyProtocolOut : uint8_t { kNone, kV1, kV2 };

struct Locality {
  std::string region;
  std::string zone;
  std::string sub_zone;

  friend bool operator==(const Locality&, const Locality&) = default;
};

struct EndpointConfig {
  Address address;        // of EndpointSet `named`: AF_UNSPEC, if the host is a name
  std::string host_name;  // DNS types: the name it has the address from; else its `hostname`, or ""
  uint16_t port = 0;
  uint32_t weight = 1;  // its share among the endpoints of its locality
  EndpointHealth health = EndpointHealth::kHealthy;
  uint32_t fanout = 1;  // ready pods behind this address, if it is a gateway; else 1
  std::shared_ptr<const ClientTlsContext> tls;  // null: plaintext
  ProxyProtocolOut proxy_protocol = ProxyProtocolOut::kNone;
  // Stable identity within the cluster: address and the name of the transport socket chosen, as
  // "10.0.0.1:80" or "10.0.0.1:80/tlsMode-istio"; with kLogicalDns the name stands for the address,
  // "example.org:80", so that its connections outlive a change of address. Loads and pools are kept
  // by it across Snapshots; a pool must also compare `tls`, which becomes another object when a
  // certificate rotates.
  std::string key;
};

// The endpoints of one locality at one priority: a run of EndpointSet::endpoints.
struct LocalityConfig {
  Locality locality;
  uint32_t weight = 0;  // 0: no requests, where localities are weighted
  size_t first = 0;     // index of its first endpoint
  size_t count = 0;
};

struct PriorityConfig {
  std::vector<LocalityConfig> localities;
};

// All endpoints of a cluster in one array; the index names an endpoint within one EndpointSet.
struct EndpointSet {
  std::vector<EndpointConfig> endpoints;
  std::vector<PriorityConfig> priorities;  // 0 is the nearest; none is missing, some may be empty
  uint32_t overprovisioning_factor = 140;  // percent
};

// A ring as of Ketama: places of endpoints on a circle of 64-bit hashes, sorted. Made with the
// endpoints when the cluster balances by hash.
struct HashRing {
  struct Place {
    uint64_t hash;
    uint32_t endpoint;
  };
  std::vector<Place> places;
};

struct CircuitBreakerLimits {
  uint32_t max_connections = 1024;
  uint32_t max_pending_requests = 1024;
  uint32_t max_requests = 1024;
  uint32_t max_retries = 3;
};

// Chosen by the first whose `match` the endpoint's envoy.transport_socket_match metadata satisfies.
struct TransportSocketChoice {
  std::string name;
  std::vector<std::pair<std::string, std::string>> match;  // all must be equal; none: always
  std::shared_ptr<const ClientTlsContext> tls;             // null: plaintext
  ProxyProtocolOut proxy_protocol = ProxyProtocolOut::kNone;
};

// How often the names of a cluster are resolved again.
struct DnsRefresh {
  absl::Duration rate = absl::Seconds(5);
  bool respect_ttl = false;  // the records' TTL instead of `rate`, if they have one
  // After failures in a row: the first, doubling to the second.
  absl::Duration failure_base = absl::Seconds(5);
  absl::Duration failure_max = absl::Seconds(5);

  friend bool operator==(const DnsRefresh&, const DnsRefresh&) = default;
};

struct ClusterConfig {
  std::string name;
  ClusterType type = ClusterType::kStatic;
  LoadBalancing balancing = LoadBalancing::kRoundRobin;
  absl::Duration connect_timeout = absl::Seconds(5);
  std::string eds_service_name;           // kEds: the name to subscribe to
  uint32_t panic_threshold_percent = 50;  // 0: never panic
  // Whether localities share a priority by their own weights; else by those of their endpoints.
  bool locality_weighted = false;
  std::shared_ptr<const EndpointSet> endpoints = std::make_shared<EndpointSet>();  // never null
  std::shared_ptr<const HashRing> ring;  // kRingHash and kMaglev, else null
  // kStrictDns and kLogicalDns: the endpoints as configured, by name; `endpoints` are those whose
  // addresses are known. Null for the other types.
  std::shared_ptr<const EndpointSet> named;
  dns::LookupFamily dns_family = dns::LookupFamily::kV4Preferred;
  DnsRefresh dns_refresh;
  // Transport sockets; `tls` is what serves when none matches, and kOriginalDst.
  std::vector<TransportSocketChoice> transport_sockets;
  std::shared_ptr<const ClientTlsContext> tls;
  ProxyProtocolOut proxy_protocol = ProxyProtocolOut::kNone;
  TcpKeepalive keepalive;
  std::optional<Address> source_address;  // to bind outgoing sockets to
  std::optional<uint32_t> mark;           // SO_MARK from upstream_bind_config's socket options
  CircuitBreakerLimits limits;
  uint32_t max_requests_per_connection = 0;  // 0: no limit
  UpstreamProtocol protocol = UpstreamProtocol::kHttp1;
  absl::Duration idle_timeout = absl::Hours(1);  // of a pooled connection; infinite: none
  std::string metadata_json;                     // filter_metadata, for telemetry; "" if none
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_CLUSTER_CONFIG_H_
