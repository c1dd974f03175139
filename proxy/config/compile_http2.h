// Http2ProtocolOptions into Http2Options. Part of compiling listeners and clusters.
#ifndef WEFT_PROXY_CONFIG_COMPILE_HTTP2_H_
#define WEFT_PROXY_CONFIG_COMPILE_HTTP2_H_

#include "absl/status/status.h"
#include "api/envoy/core.pb.h"
#include "proxy/config/http2_options.h"

namespace weft {

// Changes what `from` says and leaves the rest. Errors name the field within `from`.
absl::Status CompileHttp2(const envoy::config::core::v3::Http2ProtocolOptions& from,
                          Http2Options& to);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_HTTP2_H_
