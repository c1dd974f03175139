#include "proxy/http/response_flag.h"

#include <array>

namespace weft {
namespace {

struct Names {
  absl::string_view name;
  absl::string_view long_name;
};

// In the order of ResponseFlag.
constexpr std::array<Names, kResponseFlags> kNames = {{
    {"-", "-"},
    {"UH", "NoHealthyUpstream"},
    {"UF", "UpstreamConnectionFailure"},
    {"UO", "UpstreamOverflow"},
    {"NR", "NoRouteFound"},
    {"URX", "UpstreamRetryLimitExceeded"},
    {"NC", "NoClusterFound"},
    {"DC", "DownstreamConnectionTermination"},
    {"UT", "UpstreamRequestTimeout"},
    {"UR", "UpstreamRemoteReset"},
    {"UC", "UpstreamConnectionTermination"},
    {"DPE", "DownstreamProtocolError"},
    {"UPE", "UpstreamProtocolError"},
    {"SI", "StreamIdleTimeout"},
    {"DT", "DurationTimeout"},
    {"LH", "FailedLocalHealthCheck"},
    {"LR", "LocalReset"},
    {"DI", "DelayInjected"},
    {"FI", "FaultInjected"},
    {"RL", "RateLimited"},
    {"UAEX", "UnauthorizedExternalService"},
    {"IH", "InvalidEnvoyRequestHeaders"},
    {"UMSDR", "UpstreamMaxStreamDurationReached"},
    {"NFCF", "NoFilterConfigFound"},
    {"OM", "OverloadManagerTerminated"},
    {"DF", "DnsResolutionFailed"},
}};

}  // namespace

absl::string_view FlagName(ResponseFlag flag) { return kNames[static_cast<size_t>(flag)].name; }

absl::string_view FlagLongName(ResponseFlag flag) {
  return kNames[static_cast<size_t>(flag)].long_name;
}

std::optional<ResponseFlag> FlagOf(absl::string_view name) {
  for (size_t i = 1; i < kNames.size(); ++i) {
    if (kNames[i].name == name) return static_cast<ResponseFlag>(i);
  }
  return std::nullopt;
}

}  // namespace weft
