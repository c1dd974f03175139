// RouteTable: one compiled RouteConfiguration: virtual hosts found by authority, and in each the
// routes in their order. decide/match_route.h searches it; nothing changes it once compiled.
// Shared by pointer between Snapshots, any thread.
#ifndef WEFT_PROXY_CONFIG_ROUTE_TABLE_H_
#define WEFT_PROXY_CONFIG_ROUTE_TABLE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "proxy/config/fraction.h"
#include "proxy/config/header_mutations.h"
#include "proxy/config/http_filters.h"
#include "proxy/config/matchers.h"

namespace weft {

// retry_on, as bits. Names as in Envoy's x-envoy-retry-on and x-envoy-retry-grpc-on.
enum RetryOn : uint32_t {
  kRetryOn5xx = 1 << 0,
  kRetryOnGatewayError = 1 << 1,  // 502, 503, 504
  kRetryOnReset = 1 << 2,         // no response at all
  kRetryOnResetBeforeRequest = 1 << 3,
  kRetryOnConnectFailure = 1 << 4,
  kRetryOnRefusedStream = 1 << 5,
  kRetryOnRetriable4xx = 1 << 6,  // 409
  kRetryOnRetriableStatusCodes = 1 << 7,
  kRetryOnRetriableHeaders = 1 << 8,
  kRetryOnGrpcCancelled = 1 << 9,
  kRetryOnGrpcDeadlineExceeded = 1 << 10,
  kRetryOnGrpcInternal = 1 << 11,
  kRetryOnGrpcResourceExhausted = 1 << 12,
  kRetryOnGrpcUnavailable = 1 << 13,
  kRetryOnEnvoyRateLimited = 1 << 14,  // x-envoy-ratelimited; else that forbids a retry
};

// A header of a response that says when to come back.
struct ResetHeader {
  std::string name;
  bool unix_timestamp = false;  // else seconds from now
};

struct RetryPolicy {
  uint32_t retry_on = 0;     // bits of RetryOn
  uint32_t num_retries = 1;  // beyond the first attempt
  absl::Duration per_try_timeout = absl::InfiniteDuration();
  absl::Duration per_try_idle_timeout = absl::InfiniteDuration();
  std::vector<uint32_t> retriable_status_codes;
  std::vector<HeaderMatch> retriable_headers;          // of the response
  std::vector<HeaderMatch> retriable_request_headers;  // if any: one must match, or no retry
  absl::Duration base_interval = absl::Milliseconds(25);
  absl::Duration max_interval = absl::Milliseconds(250);
  // rate_limited_retry_back_off: the first that a response has, instead of the intervals above,
  // unless it asks for more than the most.
  std::vector<ResetHeader> reset_headers;
  absl::Duration most_reset = absl::Seconds(300);
};

// One of the clusters that a route spreads its requests over.
struct WeightedTarget {
  std::string cluster;
  uint32_t weight = 1;
  std::optional<std::string> host_rewrite;
  HeaderMutations request_headers;  // before those of the route
  HeaderMutations response_headers;
  // Instead of the route's, whose they include; empty: the route's.
  FilterOverrides filters;
  // metadata_match with the route's: "envoy.lb" by key, the values as JSON.
  std::vector<std::pair<std::string, std::string>> subset;
};

struct HashPolicy {
  enum class Source { kHeader, kCookie, kQueryParameter, kSourceIp };
  Source source = Source::kSourceIp;
  std::string name;
  std::optional<RegexRewrite> regex_rewrite;  // of a header's value before it is hashed
  std::optional<absl::Duration> cookie_ttl;   // if set, a missing cookie is made; 0: of the session
  std::string cookie_path;
  std::string cookie_attributes;  // "; SameSite=None; Secure": what is put behind
  bool terminal = false;          // if it gave a hash, the later ones are not asked
};

struct RequestMirror {
  std::string cluster;
  std::string cluster_header;  // lower case; names the cluster where `cluster` is empty
  Fraction share;
  bool shadow_suffix = true;  // "-shadow" behind the host's name
};

struct ForwardAction {
  std::vector<WeightedTarget> clusters;        // one if the route names a single cluster
  uint64_t total_weight = 0;                   // 0 only if cluster_header is set
  std::string cluster_header;                  // lower case; the request names its cluster
  absl::Duration timeout = absl::Seconds(15);  // whole request with its retries; infinite: none
  std::optional<absl::Duration> idle_timeout;  // overrides stream_idle_timeout
  // Overrides that of the connection manager.
  std::optional<absl::Duration> max_stream_duration;
  // grpc-timeout of the request instead of max_stream_duration, at most this (infinite: as it
  // says) and less the offset. Nullopt: the header is not looked at.
  std::optional<absl::Duration> grpc_timeout_max;
  absl::Duration grpc_timeout_offset;
  // The old spelling, where grpc-timeout takes the place of `timeout`.
  std::optional<absl::Duration> max_grpc_timeout;
  std::optional<RetryPolicy> retry;  // the virtual host's if the route has none
  std::string prefix_rewrite;        // empty: none
  std::optional<RegexRewrite> regex_rewrite;
  std::optional<std::string> host_rewrite;
  std::string host_rewrite_header;                // lower case; empty: none
  std::optional<RegexRewrite> host_rewrite_path;  // of the path without query
  bool auto_host_rewrite = false;                 // the endpoint's host name
  bool append_x_forwarded_host = false;           // the host before it is rewritten
  std::string random_value_header;                // decides between `clusters` if it is there
  std::vector<HashPolicy> hash_policies;
  std::vector<RequestMirror> mirrors;
  uint32_t cluster_not_found_status = 503;
  bool ends_connect = false;  // a CONNECT ends here: what comes in it goes on as bytes
};

struct RedirectAction {
  std::string scheme;  // empty: the request's
  std::string host;    // empty: the request's
  uint32_t port = 0;   // 0: the request's, or none if host or scheme changed
  std::string path;    // path_redirect, may have a query; empty: see below
  std::string prefix_rewrite;
  std::optional<RegexRewrite> regex_rewrite;
  uint32_t status = 301;
  bool strip_query = false;
};

struct DirectResponse {
  uint32_t status = 200;
  std::string body;
};

struct RouteMatch {
  enum class PathKind { kPrefix, kExact, kSeparatedPrefix, kRegex, kConnect };
  PathKind path_kind = PathKind::kPrefix;
  std::string path = "/";
  bool case_sensitive = true;
  std::shared_ptr<const re2::RE2> pattern;  // kRegex; matches the whole path without the query
  std::vector<HeaderMatch> headers;
  std::vector<QueryMatch> query_parameters;
  bool grpc_only = false;
  Fraction share;  // of the requests that fit
};

// Whose requests in plain text are sent away to https.
enum class RequireTls { kNone, kExternalOnly, kAll };

struct Route {
  std::string name;
  RouteMatch match;
  std::variant<ForwardAction, RedirectAction, DirectResponse> action;
  // Of the route, then of its virtual host, then of the route configuration.
  HeaderMutations request_headers;
  HeaderMutations response_headers;
  FilterOverrides filters;
  // Of its virtual host.
  std::string virtual_host;
  RequireTls require_tls = RequireTls::kNone;
  bool attempt_count_in_request = false;  // x-envoy-attempt-count
  bool attempt_count_in_response = false;
};

struct VirtualHost {
  std::string name;
  std::vector<Route> routes;
};

struct RouteTable {
  std::string name;
  std::vector<VirtualHost> virtual_hosts;
  bool ignore_port_in_host_matching = false;
  bool ignore_path_parameters = false;             // ";v=1" at the end of the path, when matching
  std::vector<std::string> internal_only_headers;  // lower case; removed from others' requests

  // Domains in lower case, to indices of virtual_hosts. "*.suffix" is kept as ".suffix" and
  // "prefix.*" as "prefix.", each list longest first.
  absl::flat_hash_map<std::string, size_t> exact_domains;
  std::vector<std::pair<std::string, size_t>> suffix_domains;
  std::vector<std::pair<std::string, size_t>> prefix_domains;
  std::optional<size_t> any_domain;  // "*"

  // Names of every cluster a route can choose, sorted, each once; what has to be warm.
  std::vector<std::string> clusters;
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_ROUTE_TABLE_H_
