// ListenerConfig: one compiled Listener: where connections are taken, and which filter chain serves
// which of them. Immutable, shared by pointer between Snapshots, any thread.
#ifndef WEFT_PROXY_CONFIG_LISTENER_CONFIG_H_
#define WEFT_PROXY_CONFIG_LISTENER_CONFIG_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "proxy/config/access_log_config.h"
#include "proxy/config/http2_options.h"
#include "proxy/config/http_filters.h"
#include "proxy/config/route_table.h"
#include "proxy/net/address.h"
#include "proxy/net/listen_options.h"

namespace weft {

class ClientTlsContext;
class ServerTlsContext;
struct JwksSource;
struct RbacConfig;

enum class TrafficDirection { kUnspecified, kInbound, kOutbound };
enum class CodecType { kAuto, kHttp1, kHttp2 };
enum class ForwardClientCert {
  kSanitize,
  kForwardOnly,
  kAppendForward,
  kSanitizeSet,
  kAlwaysForwardOnly,
};

// What of the client's certificate x-forwarded-client-cert shows, besides By and Hash.
struct ClientCertDetails {
  bool subject = false;
  bool cert = false;
  bool chain = false;
  bool dns = false;
  bool uri = false;
};

struct PathNormalisation {
  enum class EscapedSlashes { kKeep, kReject, kRedirect, kForward };
  bool normalize = false;  // RFC 3986: dot segments, escapes of unreserved characters, '\' to '/'
  bool merge_slashes = false;
  EscapedSlashes escaped_slashes = EscapedSlashes::kKeep;  // %2F and %5C
};

// What becomes of fields whose names hold '_', which some servers take for '-'.
enum class UnderscoreAction { kAllow, kReject, kDrop };
enum class ServerHeader { kOverwrite, kAppendIfAbsent, kPassThrough };

// A change of the proxy's own answers: the first whose filter lets an answer pass makes it.
struct LocalReplyMapper {
  AccessLogFilter filter;
  uint32_t status = 0;  // 0: stays
  std::optional<std::string> body;
  std::shared_ptr<const AccessLogConfig> body_format;  // its text or JSON; null: the common one
  HeaderMutations headers;
};

struct LocalReplyConfig {
  std::vector<LocalReplyMapper> mappers;
  std::shared_ptr<const AccessLogConfig> body_format;  // null: the body is sent as it is
  std::string content_type;                            // of body_format; "": by its kind

  bool empty() const { return mappers.empty() && body_format == nullptr; }
};

struct IpPrefix {
  std::string bytes;    // 4 or 16, as Address::ip_bytes()
  uint32_t length = 0;  // in bits

  bool Contains(absl::string_view ip_bytes) const;
};

struct HttpManagerConfig {
  std::string stat_prefix;
  // Exactly one: the name in Snapshot::routes, or the table itself.
  std::string route_config_name;
  std::shared_ptr<const RouteTable> route_table;

  CodecType codec = CodecType::kAuto;
  std::vector<HttpFilter> filters;  // in their order; the router, which is always last, is not here
  bool suppress_envoy_headers = false;  // of the router: x-envoy-* in what goes out

  Http2Options http2;
  std::string server_name = "envoy";
  ServerHeader server_header = ServerHeader::kOverwrite;
  std::string via;                  // appended to Via both ways; "": not
  bool proxy_100_continue = false;  // else we answer Expect ourselves

  bool use_remote_address = false;
  uint32_t xff_trusted_hops = 0;
  bool skip_xff_append = false;
  bool append_x_forwarded_port = false;
  bool internal_unix_sockets = false;
  std::vector<IpPrefix> internal_ranges;  // whose requests may hold x-envoy-* fields
  std::string scheme_to_overwrite;        // "http", "https" or "": what it is
  bool generate_request_id = true;
  bool preserve_external_request_id = false;
  bool request_id_in_response = false;
  ForwardClientCert forward_client_cert = ForwardClientCert::kSanitize;
  ClientCertDetails client_cert_details;
  PathNormalisation path;
  bool strip_matching_host_port = false;
  bool strip_any_host_port = false;
  bool strip_trailing_host_dot = false;
  UnderscoreAction underscores = UnderscoreAction::kAllow;
  std::string default_host_for_http_10;  // "": such a request without Host is refused
  std::vector<std::string> upgrades;     // lower case: "websocket"
  // Infinite: none.
  absl::Duration stream_idle_timeout = absl::Minutes(5);
  absl::Duration request_timeout = absl::InfiniteDuration();  // until the request is received
  absl::Duration request_headers_timeout = absl::InfiniteDuration();
  absl::Duration idle_timeout = absl::Hours(1);  // of a connection without a request
  absl::Duration max_connection_duration = absl::InfiniteDuration();  // then it is drained
  absl::Duration max_stream_duration = absl::InfiniteDuration();
  uint32_t max_requests_per_connection = 0;  // 0: no limit
  absl::Duration drain_timeout = absl::Seconds(5);
  uint32_t max_request_headers_kb = 60;
  uint32_t max_headers_count = 100;
  LocalReplyConfig local_reply;
  std::vector<AccessLogConfig> access_logs;
  LoggedHeaders logged_headers;
};

struct TcpProxyConfig {
  std::string stat_prefix;
  bool sni_cluster = false;  // the server name is the cluster; `clusters` if there was none
  std::vector<WeightedTarget> clusters;
  uint64_t total_weight = 0;
  absl::Duration idle_timeout = absl::Hours(1);  // infinite: none
  absl::Duration max_connection_duration = absl::InfiniteDuration();
  uint32_t max_connect_attempts = 1;
  bool hash_source_ip = false;  // what clusters that balance by hash go by
  std::vector<AccessLogConfig> access_logs;
};

// The client is a gateway that dialed us so that we open streams to it (api/weft/tunnel.proto).
struct ReverseTunnelConfig {};

// A listener that dials instead of listening; what it dialed is served by its one chain, an HTTP
// connection manager that speaks HTTP/2, as if it had been accepted.
struct DialConfig {
  static constexpr char kAlpn[] = "weft-reverse";

  std::vector<Address> gateways;
  // By the connection's index, whose server name says it; as many as are dialed to each gateway.
  std::vector<std::shared_ptr<const ClientTlsContext>> tls;
};

// Where a client connects from.
enum class SourceType { kAny, kSameIpOrLoopback, kExternal };

// Empty lists and nullopt match everything.
struct FilterChainMatch {
  std::optional<uint16_t> destination_port;
  std::vector<IpPrefix> prefix_ranges;
  std::vector<std::string> server_names;  // lower case; "*.suffix" is kept as ".suffix"
  std::string transport_protocol;         // "tls", "raw_buffer" or ""
  std::vector<std::string> application_protocols;
  // Of the peer itself, and of the client that a PROXY header names.
  std::vector<IpPrefix> direct_source_prefix_ranges;
  SourceType source_type = SourceType::kAny;
  std::vector<IpPrefix> source_prefix_ranges;
  std::vector<uint16_t> source_ports;
};

// A bound on the connections of a chain, shared out evenly among the workers.
struct ConnectionLimit {
  uint64_t max_connections = 0;
  absl::Duration delay;  // how long one too many is left waiting before it is closed
};

struct FilterChainConfig {
  std::string name;
  // Of all that config says of the chain, but not of the secrets it names: while it stays, the
  // chain's connections may go on.
  uint64_t fingerprint = 0;
  absl::Duration handshake_timeout = absl::Seconds(10);
  std::optional<ConnectionLimit> connection_limit;
  FilterChainMatch match;
  std::shared_ptr<const ServerTlsContext> tls;  // null: plaintext
  // Asked in their order before a connection is served; one that denies closes it.
  std::vector<std::shared_ptr<const RbacConfig>> authorization;
  std::variant<HttpManagerConfig, TcpProxyConfig, ReverseTunnelConfig> service;
};

// What is found out of a connection before a chain is matched.
enum class ListenerFilter { kOriginalDst, kProxyProtocol, kTlsInspector, kHttpInspector };

struct ProxyProtocolRules {
  bool optional = false;  // connections without a header are served as they are
  bool version_1 = true;
  bool version_2 = true;
};

// One of the sockets of a listener.
struct ListenSocket {
  Address address;
  ListenOptions options;

  friend bool operator==(const ListenSocket&, const ListenSocket&) = default;
};

struct ListenerConfig {
  std::string name;
  Address address;                         // of its first socket
  std::vector<ListenSocket> sockets;       // empty only if it dials
  std::shared_ptr<const DialConfig> dial;  // null: it listens
  bool bind_to_port = true;
  bool use_original_dst = false;        // hand each connection to MatchListener(its destination)
  std::vector<ListenerFilter> filters;  // in order
  ProxyProtocolRules proxy_protocol;
  absl::Duration listener_filters_timeout = absl::Seconds(15);
  bool continue_on_listener_filters_timeout = false;
  bool ignore_global_conn_limit = false;
  uint64_t max_connections = 0;  // of the process; 0: no limit
  bool bypass_overload_manager = false;
  bool drains_on_changes_alone = false;  // not when the operator fails the health check
  // How much may be buffered for one connection. We hold at most a read's worth a direction, but
  // what assembles messages has to keep to it.
  uint32_t buffer_limit = 1 << 20;
  TrafficDirection direction = TrafficDirection::kUnspecified;
  std::vector<FilterChainConfig> chains;
  std::optional<FilterChainConfig> default_chain;

  // Names its chains need in Snapshot::routes, sorted, each once.
  std::vector<std::string> route_names;
  // Names of the clusters that its chains choose without RDS; sorted, each once.
  std::vector<std::string> clusters;
  // Where its JWT filters' keys come from. Their clusters are not among `clusters`: who waits for
  // keys waits for them as well, and who does not wants neither.
  std::vector<std::shared_ptr<const JwksSource>> jwks_sources;
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_LISTENER_CONFIG_H_
