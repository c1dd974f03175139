#include "proxy/telemetry/record.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"

namespace weft {
namespace {

std::string Or(absl::string_view value) {
  return value.empty() ? std::string("-") : absl::CHexEscape(value);
}

}  // namespace

absl::string_view FlagName(ResponseFlag flag) {
  switch (flag) {
    case ResponseFlag::kNone:
      return "-";
    case ResponseFlag::kNoHealthyUpstream:
      return "UH";
    case ResponseFlag::kUpstreamConnectionFailure:
      return "UF";
    case ResponseFlag::kUpstreamOverflow:
      return "UO";
    case ResponseFlag::kNoRouteFound:
      return "NR";
    case ResponseFlag::kUpstreamRetryLimitExceeded:
      return "URX";
    case ResponseFlag::kNoClusterFound:
      return "NC";
    case ResponseFlag::kDownstreamTermination:
      return "DC";
    case ResponseFlag::kUpstreamRequestTimeout:
      return "UT";
    case ResponseFlag::kUpstreamRemoteReset:
      return "UR";
    case ResponseFlag::kUpstreamTermination:
      return "UC";
    case ResponseFlag::kDownstreamProtocolError:
      return "DPE";
    case ResponseFlag::kUpstreamProtocolError:
      return "UPE";
    case ResponseFlag::kStreamIdleTimeout:
      return "SI";
  }
  return "-";
}

std::string FormatAccessLog(const RequestRecord& r) {
  const std::string upstream_time = r.upstream_time == absl::InfiniteDuration()
                                        ? "-"
                                        : absl::StrCat(absl::ToInt64Milliseconds(r.upstream_time));
  return absl::StrCat(
      "[", absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", r.start_time, absl::UTCTimeZone()), "] \"",
      Or(r.method), " ", Or(r.path), " ", Or(r.protocol), "\" ", r.status, " ", FlagName(r.flag),
      " ", Or(r.details), " - \"", Or(r.upstream_failure), "\" ", r.bytes_received, " ",
      r.bytes_sent, " ", absl::ToInt64Milliseconds(r.duration), " ", upstream_time, " \"",
      Or(r.forwarded_for), "\" \"", Or(r.user_agent), "\" \"", Or(r.request_id), "\" \"",
      Or(r.authority), "\" \"", Or(r.upstream_host), "\" ", Or(r.upstream_cluster), " ",
      Or(r.upstream_local), " ", Or(r.downstream_local), " ", Or(r.downstream_remote), " ",
      Or(r.server_name), " ", Or(r.route_name), "\n");
}

}  // namespace weft
