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

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "proxy/config/health_check_config.h"
#include "proxy/config/http2_options.h"
#include "proxy/config/outlier_config.h"
#include "proxy/config/subset_criteria.h"
#include "proxy/config/tunnel_config.h"
#include "proxy/dns/lookup.h"
#include "proxy/net/address.h"
#include "proxy/net/listen_options.h"

namespace weft {

class ClientTlsContext;

enum class ClusterType : uint8_t { kStatic, kStrictDns, kLogicalDns, kEds, kOriginalDst };
enum class LoadBalancing : uint8_t { kRoundRobin, kLeastRequest, kRandom, kRingHash, kMaglev };
// What is spoken to the endpoints; kDownstream: what the request came in.
enum class UpstreamProtocol : uint8_t { kHttp1, kHttp2, kDownstream, kAlpn };
// What the control plane states.
enum class EndpointHealth : uint8_t { kHealthy, kUnhealthy, kDraining, kDegraded };
// What the proxy's own health checks say, where there are any. Until the first one is over, an
// endpoint counts as failing.
enum class CheckedHealth : uint8_t { kNotChecked, kPassing, kDegraded, kFailing };

// What is said of the client before all else, in the PROXY protocol.
enum class ProxyProtocolOut : uint8_t { kNone, kV1, kV2 };

struct EndpointLocality {
  std::string region;
  std::string zone;
  std::string sub_zone;

  friend bool operator==(const EndpointLocality&, const EndpointLocality&) = default;
};

// Where an endpoint is checked instead of where it serves.
struct CheckTarget {
  std::optional<Address> address;
  uint16_t port = 0;      // 0: the endpoint's
  std::string host_name;  // in place of the check's host; "": that one
  bool disabled = false;  // never checked: as the control plane states
};

// The values of an endpoint's "envoy.lb" metadata by key, sorted, each as SubsetCriteria has them;
// more than one where a list stands for any of its members.
using EndpointLabels = std::vector<std::pair<std::string, std::vector<std::string>>>;

struct EndpointConfig {
  Address address;        // of EndpointSet `named`: AF_UNSPEC, if the host is a name
  std::string host_name;  // DNS types: the name it has the address from; else its `hostname`, or ""
  uint16_t port = 0;
  uint32_t weight = 1;  // its share among the endpoints of its locality
  EndpointHealth health = EndpointHealth::kHealthy;
  CheckedHealth checked = CheckedHealth::kNotChecked;
  uint32_t fanout = 1;  // ready pods behind this address, if it is a gateway; else 1
  std::shared_ptr<const ClientTlsContext> tls;      // null: plaintext
  std::shared_ptr<const EndpointLabels> labels;     // of a cluster with subsets; null: none
  std::shared_ptr<const CheckTarget> check_target;  // null: the endpoint itself
  ProxyProtocolOut proxy_protocol = ProxyProtocolOut::kNone;
  std::shared_ptr<const TunnelConfig> tunnel;  // null: connections are made directly
  // Stable identity within the cluster: address and the name of the transport socket chosen, as
  // "10.0.0.1:80" or "10.0.0.1:80/tlsMode-istio"; with kLogicalDns the name stands for the address,
  // "example.org:80", so that its connections outlive a change of address. Loads and pools are kept
  // by it across Snapshots; a pool must also compare `tls`, which becomes another object when a
  // certificate rotates.
  std::string key;
};

// The endpoints of one locality at one priority: a run of EndpointSet::endpoints.
struct LocalityConfig {
  EndpointLocality locality;
  uint32_t weight = 0;  // 0: no requests, where localities are weighted
  size_t first = 0;     // index of its first endpoint
  size_t count = 0;
};

struct PriorityConfig {
  std::vector<LocalityConfig> localities;
};

// How a hash finds an endpoint; made with the endpoints of a cluster that balances by hash, over
// all endpoints of one priority, whatever their health: who is not to be picked is passed by, so
// that only its own keys move.
struct HashTable {
  // A ring as of Ketama: places of endpoints on a circle of 64-bit hashes, sorted.
  struct Place {
    uint64_t hash;
    uint32_t endpoint;
  };
  std::vector<Place> ring;
  std::vector<uint32_t> slots;  // Maglev: endpoints, by hash modulo the size
};
using HashTables = std::vector<std::shared_ptr<const HashTable>>;  // by priority; null: no endpoint

// The endpoints that have certain values of metadata.
struct Subset {
  std::vector<uint32_t> members;  // indices of endpoints, ascending
  HashTables tables;
};
struct Subsets {
  std::vector<Subset> list;
  absl::flat_hash_map<uint64_t, uint32_t> by_hash;  // SubsetCriteria::hash to index of `list`
  std::optional<uint32_t> default_subset;           // index; none: it has no endpoint
};

// All endpoints of a cluster in one array; the index names an endpoint within one EndpointSet.
// Whatever balancing depends on hangs on this object: a cluster with other settings has another
// EndpointSet too.
struct EndpointSet {
  std::vector<EndpointConfig> endpoints;
  std::vector<PriorityConfig> priorities;  // 0 is the nearest; none is missing, some may be empty
  uint32_t overprovisioning_factor = 140;  // percent
  HashTables tables;                       // kRingHash and kMaglev, else empty
  std::shared_ptr<const Subsets> subsets;  // null: the cluster has none
};

struct RetryBudget {
  double percent = 20;  // of the requests under way
  uint32_t min_concurrency = 3;
};

struct CircuitBreakerLimits {
  uint32_t max_connections = 1024;
  uint32_t max_pending_requests = 1024;
  uint32_t max_requests = 1024;
  uint32_t max_retries = 3;
  std::optional<RetryBudget> retry_budget;  // in place of max_retries
};

// An endpoint that is new, or well again, gets less at first.
struct SlowStart {
  absl::Duration window = absl::ZeroDuration();  // 0: off
  double aggression = 1;                         // 1: linear; above, it gets more sooner
  double min_weight = 0.1;                       // of its own weight
};

// Keeping requests in the zone they come from, as far as its endpoints can carry them.
struct ZoneAware {
  double routing_enabled = 1;  // the part of requests that it concerns
  uint64_t min_cluster_size = 6;
  bool fail_on_panic = false;
};

// kNotDefined, kKeys: of a selector only.
enum class SubsetFallback : uint8_t { kNotDefined, kNone, kAny, kDefault, kKeys };

struct SubsetSelector {
  std::vector<std::string> keys;  // sorted
  uint64_t keys_hash = 0;
  SubsetFallback fallback = SubsetFallback::kNotDefined;
  std::vector<std::string> fallback_keys;  // kKeys: fewer than `keys`, sorted
  bool single_endpoint = false;            // the first endpoint with these values stands for all
};

struct SubsetConfig {
  SubsetFallback fallback = SubsetFallback::kNone;
  SubsetCriteria default_subset;
  std::vector<SubsetSelector> selectors;
  bool locality_weight_aware = false;
  bool scale_locality_weight = false;  // by the part of a locality's endpoints that are members
  bool panic_mode_any = false;
  bool list_as_any = false;
};

// What balancing does besides its policy. Few clusters state any of it; the others share one.
struct BalancingOptions {
  uint32_t choice_count = 2;  // kLeastRequest
  double active_request_bias = 1;
  SlowStart slow_start;  // kRoundRobin and kLeastRequest
  uint64_t ring_min_size = 1024;
  uint64_t ring_max_size = 8 * 1024 * 1024;
  uint64_t maglev_table_size = 65537;
  bool hash_by_host_name = false;
  std::optional<ZoneAware> zone_aware;
  // kOriginalDst: the request header that says where to, in lower case; "": where the client
  // wanted to.
  std::string destination_header;
  uint16_t destination_port = 0;  // kOriginalDst: in place of the port found; 0: that one
};

// Where the proxies of this workload run, for zone-aware routing.
struct LocalZones {
  EndpointLocality own;
  std::vector<std::pair<EndpointLocality, uint64_t>> proxies;  // how many, by locality
};

// Chosen by the first whose `match` the endpoint's envoy.transport_socket_match metadata satisfies.
struct TransportSocketChoice {
  std::string name;
  std::vector<std::pair<std::string, std::string>> match;  // all must be equal; none: always
  std::shared_ptr<const ClientTlsContext> tls;             // null: plaintext
  ProxyProtocolOut proxy_protocol = ProxyProtocolOut::kNone;
  std::shared_ptr<const TunnelConfig> tunnel;
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

std::shared_ptr<const BalancingOptions> DefaultBalancing();
std::shared_ptr<const EndpointSet> NoEndpoints();

struct ClusterConfig {
  std::string name;
  ClusterType type = ClusterType::kStatic;
  LoadBalancing balancing = LoadBalancing::kRoundRobin;
  absl::Duration connect_timeout = absl::Seconds(5);
  std::string eds_service_name;           // kEds: the name to subscribe to
  uint32_t panic_threshold_percent = 50;  // 0: never panic
  // Whether localities share a priority by their own weights; else by those of their endpoints.
  bool locality_weighted = false;
  std::shared_ptr<const BalancingOptions> options = DefaultBalancing();  // never null
  std::shared_ptr<const SubsetConfig> subsets;                           // null: none
  std::shared_ptr<const OutlierConfig> outlier;                          // null: none
  std::shared_ptr<const HealthCheckConfig> health_check;                 // null: none
  std::shared_ptr<const EndpointSet> endpoints = NoEndpoints();          // never null
  // kStrictDns and kLogicalDns: the endpoints as configured, by name; `endpoints` are those whose
  // addresses are known. Null for the other types.
  std::shared_ptr<const EndpointSet> named;
  dns::LookupFamily dns_family = dns::LookupFamily::kV4Preferred;
  DnsRefresh dns_refresh;
  // Transport sockets; `tls` is what serves when none matches, and kOriginalDst.
  std::vector<TransportSocketChoice> transport_sockets;
  std::shared_ptr<const ClientTlsContext> tls;
  ProxyProtocolOut proxy_protocol = ProxyProtocolOut::kNone;
  std::shared_ptr<const TunnelConfig> tunnel;
  TcpKeepalive keepalive;
  std::vector<Address> source_addresses;     // to bind outgoing sockets to: see SourceFor
  std::optional<uint32_t> mark;              // SO_MARK from upstream_bind_config's socket options
  CircuitBreakerLimits limits;               // of requests of the default priority
  CircuitBreakerLimits high_limits;          // of those of routes with priority HIGH
  uint32_t max_requests_per_connection = 0;  // 0: no limit
  UpstreamProtocol protocol = UpstreamProtocol::kHttp1;
  Http2Options http2;
  absl::Duration idle_timeout = absl::Hours(1);  // of a pooled connection; infinite: none
  std::string metadata_json;                     // filter_metadata, for telemetry; "" if none
};

// What a connection to `endpoint` is bound to: the first address of its IP family. Without one the
// first of all, so that it fails rather than go out under an address that nobody asked for.
inline std::optional<Address> SourceFor(const ClusterConfig& cluster, const Address& endpoint) {
  if (cluster.source_addresses.empty() || endpoint.family() == AF_UNIX) return std::nullopt;
  for (const Address& source : cluster.source_addresses) {
    if (source.family() == endpoint.family()) return source;
  }
  return cluster.source_addresses.front();
}

// Whether the endpoint is to be left out, by what is stated and what was checked.
inline bool IsUnhealthy(const EndpointConfig& endpoint) {
  return endpoint.health == EndpointHealth::kUnhealthy ||
         endpoint.health == EndpointHealth::kDraining ||
         endpoint.checked == CheckedHealth::kFailing;
}
inline bool IsDegraded(const EndpointConfig& endpoint) {
  return endpoint.health == EndpointHealth::kDegraded ||
         endpoint.checked == CheckedHealth::kDegraded;
}

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_CLUSTER_CONFIG_H_
