#include "proxy/config/compile_http2.h"

#include "absl/strings/str_cat.h"
#include "proxy/config/fields.h"

namespace weft {
namespace {

using envoy::config::core::v3::Http2ProtocolOptions;
using envoy::config::core::v3::KeepaliveSettings;

struct Bounds {
  uint32_t least;
  uint32_t most;
};
constexpr Bounds kAny = {0, 0xffffffff};
constexpr Bounds kAtLeastOne = {1, 0xffffffff};
constexpr Bounds kStreams = {1, 0x7fffffff};
// A window below that of RFC 9113, section 6.9.2, would have to be taken away from a peer that has
// used it already.
constexpr Bounds kWindow = {65535, 0x7fffffff};

using google::protobuf::UInt32Value;

struct Field {
  const char* name;
  bool (Http2ProtocolOptions::*present)() const;
  const UInt32Value& (Http2ProtocolOptions::*value)() const;
  Bounds bounds;
  uint32_t Http2Options::*to;
};

using From = Http2ProtocolOptions;
using To = Http2Options;
constexpr Field kFields[] = {
    {"hpack_table_size", &From::has_hpack_table_size, &From::hpack_table_size, kAny,
     &To::hpack_table_size},
    {"max_concurrent_streams", &From::has_max_concurrent_streams, &From::max_concurrent_streams,
     kStreams, &To::max_concurrent_streams},
    {"initial_stream_window_size", &From::has_initial_stream_window_size,
     &From::initial_stream_window_size, kWindow, &To::initial_stream_window_size},
    {"initial_connection_window_size", &From::has_initial_connection_window_size,
     &From::initial_connection_window_size, kWindow, &To::initial_connection_window_size},
    {"max_outbound_frames", &From::has_max_outbound_frames, &From::max_outbound_frames, kAtLeastOne,
     &To::max_outbound_frames},
    {"max_outbound_control_frames", &From::has_max_outbound_control_frames,
     &From::max_outbound_control_frames, kAtLeastOne, &To::max_outbound_control_frames},
    {"max_consecutive_inbound_frames_with_empty_payload",
     &From::has_max_consecutive_inbound_frames_with_empty_payload,
     &From::max_consecutive_inbound_frames_with_empty_payload, kAny,
     &To::max_consecutive_inbound_frames_with_empty_payload},
    {"max_inbound_priority_frames_per_stream", &From::has_max_inbound_priority_frames_per_stream,
     &From::max_inbound_priority_frames_per_stream, kAny,
     &To::max_inbound_priority_frames_per_stream},
    {"max_inbound_window_update_frames_per_data_frame_sent",
     &From::has_max_inbound_window_update_frames_per_data_frame_sent,
     &From::max_inbound_window_update_frames_per_data_frame_sent, kAtLeastOne,
     &To::max_inbound_window_update_frames_per_data_frame_sent},
};

absl::Status Read(const Field& field, const Http2ProtocolOptions& from, Http2Options& to) {
  if (!(from.*field.present)()) return absl::OkStatus();
  const uint32_t value = (from.*field.value)().value();
  if (value < field.bounds.least || value > field.bounds.most) {
    return Invalid(field.name,
                   absl::StrCat("must be ", field.bounds.least, " to ", field.bounds.most));
  }
  to.*field.to = value;
  return absl::OkStatus();
}

absl::Status CheckSupported(const Http2ProtocolOptions& from) {
  if (from.allow_metadata()) return Invalid("allow_metadata", "is not supported");
  if (!from.custom_settings_parameters().empty()) {
    return Invalid("custom_settings_parameters", "is not supported");
  }
  if (from.has_override_stream_error_on_invalid_http_message() &&
      !from.override_stream_error_on_invalid_http_message().value()) {
    return Invalid("override_stream_error_on_invalid_http_message",
                   "only true is supported: a malformed message ends its stream");
  }
  return absl::OkStatus();
}

absl::Status CompileKeepalive(const KeepaliveSettings& from, Http2Options& to) {
  constexpr absl::Duration kLeast = absl::Milliseconds(1);
  if (from.has_connection_idle_interval()) {
    return Invalid("connection_idle_interval", "is not supported; use interval");
  }
  if (!from.has_timeout() || ToDuration(from.timeout()) < kLeast) {
    return Invalid("timeout", "must be set, and at least 1ms");
  }
  to.keepalive_timeout = ToDuration(from.timeout());
  if (!from.has_interval()) return absl::OkStatus();
  if (ToDuration(from.interval()) < kLeast) return Invalid("interval", "must be at least 1ms");
  to.keepalive_interval = ToDuration(from.interval());
  return absl::OkStatus();
}

}  // namespace

absl::Status CompileHttp2(const Http2ProtocolOptions& from, Http2Options& to) {
  absl::Status status = CheckSupported(from);
  if (!status.ok()) return status;
  for (const Field& field : kFields) {
    status = Read(field, from, to);
    if (!status.ok()) return status;
  }
  to.allow_connect = from.allow_connect();
  if (!from.has_connection_keepalive()) return absl::OkStatus();
  status = CompileKeepalive(from.connection_keepalive(), to);
  return status.ok() ? status : Under("connection_keepalive", status);
}

}  // namespace weft
