// RequestRecord: what is known of one request (or one TCP connection) when it ends: what the access
// log says of it and what the downstream's counters get. What happens on the way, attempt by
// attempt, the cluster's counters count where it happens.
#ifndef WEFT_PROXY_TELEMETRY_RECORD_H_
#define WEFT_PROXY_TELEMETRY_RECORD_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace weft {

// Why a request did not go as it should; printed as Envoy's RESPONSE_FLAGS.
enum class ResponseFlag : uint8_t {
  kNone,                        // -
  kNoHealthyUpstream,           // UH
  kUpstreamConnectionFailure,   // UF
  kUpstreamOverflow,            // UO
  kNoRouteFound,                // NR
  kUpstreamRetryLimitExceeded,  // URX
  kNoClusterFound,              // NC
  kDownstreamTermination,       // DC
  kUpstreamRequestTimeout,      // UT
  kUpstreamRemoteReset,         // UR
  kUpstreamTermination,         // UC
  kDownstreamProtocolError,     // DPE
  kUpstreamProtocolError,       // UPE
  kStreamIdleTimeout,           // SI
};
absl::string_view FlagName(ResponseFlag flag);

struct RequestRecord {
  absl::Time start_time;
  std::string method;  // empty for TCP
  std::string path;
  std::string protocol;
  int status = 0;
  int grpc_status = -1;  // how a gRPC call ended; -1: it was none, or had no status
  ResponseFlag flag = ResponseFlag::kNone;
  std::string details;           // response code details: "via_upstream", "route_not_found"
  std::string upstream_failure;  // transport failure reason
  uint64_t bytes_received = 0;   // of the request's body
  uint64_t bytes_sent = 0;       // of the response's body
  absl::Duration duration;
  absl::Duration upstream_time = absl::InfiniteDuration();  // infinite: no response came
  std::string forwarded_for;
  std::string user_agent;
  std::string request_id;
  std::string authority;
  std::string upstream_host;
  std::string upstream_cluster;
  std::string upstream_local;
  std::string downstream_local;
  std::string downstream_remote;
  std::string server_name;
  std::string route_name;
};

// One line in the default format of Envoy and Istio; control characters and
// quotes of what a peer sent are escaped. Ends with a newline.
std::string FormatAccessLog(const RequestRecord& record);

}  // namespace weft

#endif  // WEFT_PROXY_TELEMETRY_RECORD_H_
