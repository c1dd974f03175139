// RequestRecord: what is known of one request (or one TCP connection) when it ends: what the access
// log says of it and what the downstream's counters get. What happens on the way, attempt by
// attempt, the cluster's counters count where it happens.
#ifndef WEFT_PROXY_TELEMETRY_RECORD_H_
#define WEFT_PROXY_TELEMETRY_RECORD_H_

#include <cstdint>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proxy/http/head.h"
#include "proxy/http/response_flag.h"

namespace weft {

struct RequestRecord {
  absl::Time start_time;
  std::string method;  // as it came; empty for TCP
  std::string path;
  std::string protocol;
  int status = 0;
  int grpc_status = -1;  // how a gRPC call ended; -1: it was none, or had no status
  ResponseFlag flag = ResponseFlag::kNone;  // how it ended; what happened besides is in more_flags
  ResponseFlags more_flags;
  std::string details;              // response code details: "via_upstream", "route_not_found"
  std::string upstream_failure;     // transport failure reason
  std::string downstream_failure;   // the same of the client's connection
  std::string local_reply_body;     // %LOCAL_REPLY_BODY%: of an answer of our own
  std::string termination_details;  // why the connection was ended
  uint64_t bytes_received = 0;      // of the request's body
  uint64_t bytes_sent = 0;          // of the response's body
  absl::Duration duration;
  // From the start to then; infinite: it did not come to that.
  absl::Duration request_received = absl::InfiniteDuration();  // its last byte came
  absl::Duration request_sent = absl::InfiniteDuration();      // its last byte went on
  absl::Duration upstream_time = absl::InfiniteDuration();     // the response's head came
  uint32_t attempts = 0;
  std::string authority;
  std::string upstream_host;
  std::string upstream_host_name;
  std::string upstream_cluster;
  std::string upstream_local;
  std::string upstream_protocol;
  std::string route_name;
  std::string virtual_host;
  // Of the client's connection.
  uint64_t connection_id = 0;
  std::string downstream_local;
  std::string downstream_remote;         // who the request is from, as far as it is believed
  std::string downstream_direct_remote;  // who is connected; empty: the same
  std::string server_name;
  std::string tls_version;
  std::string tls_cipher;
  std::string peer_uri;
  std::string peer_subject;
  std::string peer_hash;
  std::string own_uri;
  std::string filter_chain;
  std::string listener;
  // Only what the logs show (LoggedHeaders).
  Headers response_headers;
  Headers response_trailers;
  Headers request_trailers;

  void AddFlag(ResponseFlag more) { more_flags.Add(more); }
  // All of them.
  ResponseFlags flags() const {
    ResponseFlags all = more_flags;
    all.Add(flag);
    return all;
  }
};

}  // namespace weft

#endif  // WEFT_PROXY_TELEMETRY_RECORD_H_
