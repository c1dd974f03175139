// ResponseFlag: why a request did not go as it should; printed as Envoy's RESPONSE_FLAGS.
#ifndef WEFT_PROXY_HTTP_RESPONSE_FLAG_H_
#define WEFT_PROXY_HTTP_RESPONSE_FLAG_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace weft {

enum class ResponseFlag : uint8_t {
  kNone,                         // -
  kNoHealthyUpstream,            // UH
  kUpstreamConnectionFailure,    // UF
  kUpstreamOverflow,             // UO
  kNoRouteFound,                 // NR
  kUpstreamRetryLimitExceeded,   // URX
  kNoClusterFound,               // NC
  kDownstreamTermination,        // DC
  kUpstreamRequestTimeout,       // UT
  kUpstreamRemoteReset,          // UR
  kUpstreamTermination,          // UC
  kDownstreamProtocolError,      // DPE
  kUpstreamProtocolError,        // UPE
  kStreamIdleTimeout,            // SI
  kDurationTimeout,              // DT
  kLocalHealthFail,              // LH
  kLocalReset,                   // LR
  kDelayInjected,                // DI
  kFaultInjected,                // FI
  kRateLimited,                  // RL
  kUnauthorizedExternalService,  // UAEX
  kInvalidEnvoyRequestHeaders,   // IH
  kUpstreamMaxStreamDuration,    // UMSDR
  kNoFilterConfigFound,          // NFCF
  kOverloadManager,              // OM
  kDnsResolutionFailed,          // DF
};
inline constexpr int kResponseFlags = static_cast<int>(ResponseFlag::kDnsResolutionFailed) + 1;

// "UH", and "NoHealthyUpstream"; "-" of kNone.
absl::string_view FlagName(ResponseFlag flag);
absl::string_view FlagLongName(ResponseFlag flag);
// By its short name; nullopt: nobody knows it.
std::optional<ResponseFlag> FlagOf(absl::string_view name);

// A set of them.
class ResponseFlags {
 public:
  void Add(ResponseFlag flag) {
    if (flag != ResponseFlag::kNone) bits_ |= Bit(flag);
  }
  bool Has(ResponseFlag flag) const { return (bits_ & Bit(flag)) != 0; }
  bool empty() const { return bits_ == 0; }
  bool Meets(const ResponseFlags& other) const { return (bits_ & other.bits_) != 0; }

 private:
  static uint32_t Bit(ResponseFlag flag) { return uint32_t{1} << static_cast<int>(flag); }

  uint32_t bits_ = 0;
};

}  // namespace weft

#endif  // WEFT_PROXY_HTTP_RESPONSE_FLAG_H_
