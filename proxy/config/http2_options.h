// Http2Options: how HTTP/2 is spoken on a listener's or a cluster's connections. A value, part of
// HttpManagerConfig and ClusterConfig. The names and most defaults are those of Envoy's
// Http2ProtocolOptions.
#ifndef WEFT_PROXY_CONFIG_HTTP2_OPTIONS_H_
#define WEFT_PROXY_CONFIG_HTTP2_OPTIONS_H_

#include <cstdint>

#include "absl/time/time.h"

namespace weft {

// Between gateways of two clusters: who falls silent is found 2.5 s later at the latest.
inline constexpr absl::Duration kGatewayPingInterval = absl::Seconds(1);
inline constexpr absl::Duration kGatewayPingTimeout = absl::Milliseconds(1500);

struct Http2Options {
  // Of the client of a connection between two gateways.
  static Http2Options TowardsGateway() {
    Http2Options options;
    options.keepalive_interval = kGatewayPingInterval;
    options.keepalive_timeout = kGatewayPingTimeout;
    // Many readers share it: one that is slow holds its own window back, and not this one.
    options.initial_connection_window_size = 64 << 20;
    return options;
  }

  uint32_t hpack_table_size = 4096;
  // What a client may have open with us, and the most we open at a server. (Envoy's default is no
  // limit, which lets one connection hold a worker's memory.)
  uint32_t max_concurrent_streams = 1024;
  // How much a peer may send ahead of the reader. The connection's bounds what one peer can make us
  // hold, whatever the number of its streams. (Envoy's default of 256 MiB bounds nothing.)
  uint32_t initial_stream_window_size = 256 * 1024;
  uint32_t initial_connection_window_size = 1024 * 1024;
  // Offers extended CONNECT (RFC 8441): WebSockets and other upgrades.
  bool allow_connect = false;

  // Floods: what a peer may make us do before the connection ends.
  uint32_t max_outbound_frames = 10000;
  uint32_t max_outbound_control_frames = 1000;
  uint32_t max_consecutive_inbound_frames_with_empty_payload = 1;
  uint32_t max_inbound_priority_frames_per_stream = 100;
  uint32_t max_inbound_window_update_frames_per_data_frame_sent = 10;

  // A PING after this long, and how long its answer may take. Infinite: none.
  absl::Duration keepalive_interval = absl::InfiniteDuration();
  absl::Duration keepalive_timeout = absl::InfiniteDuration();

  // Of a head, decoded, as SETTINGS_MAX_HEADER_LIST_SIZE counts; and fields in it.
  uint32_t max_headers_kb = 60;
  uint32_t max_headers_count = 100;
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_HTTP2_OPTIONS_H_
