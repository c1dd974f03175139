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

template <typename Wrapper>
absl::Status Read(absl::string_view field, bool present, const Wrapper& from, Bounds bounds,
                  uint32_t& to) {
  if (!present) return absl::OkStatus();
  if (from.value() < bounds.least || from.value() > bounds.most) {
    return Invalid(field, absl::StrCat("must be ", bounds.least, " to ", bounds.most));
  }
  to = from.value();
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
  const auto read = [&](absl::string_view field, bool present, const auto& value, Bounds bounds,
                        uint32_t& into) {
    if (status.ok()) status = Read(field, present, value, bounds, into);
  };
#define WEFT_READ(field, bounds) read(#field, from.has_##field(), from.field(), bounds, to.field)
  WEFT_READ(hpack_table_size, kAny);
  WEFT_READ(max_concurrent_streams, kStreams);
  WEFT_READ(initial_stream_window_size, kWindow);
  WEFT_READ(initial_connection_window_size, kWindow);
  WEFT_READ(max_outbound_frames, kAtLeastOne);
  WEFT_READ(max_outbound_control_frames, kAtLeastOne);
  WEFT_READ(max_consecutive_inbound_frames_with_empty_payload, kAny);
  WEFT_READ(max_inbound_priority_frames_per_stream, kAny);
  WEFT_READ(max_inbound_window_update_frames_per_data_frame_sent, kAtLeastOne);
#undef WEFT_READ
  if (!status.ok()) return status;
  to.allow_connect = from.allow_connect();
  if (!from.has_connection_keepalive()) return absl::OkStatus();
  status = CompileKeepalive(from.connection_keepalive(), to);
  return status.ok() ? status : Under("connection_keepalive", status);
}

}  // namespace weft
