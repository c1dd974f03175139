#include <optional>

#include "absl/strings/str_cat.h"
#include "api/envoy/downstream_connections.pb.h"
#include "api/envoy/fixed_heap.pb.h"
#include "api/envoy/overload.pb.h"
#include "proxy/config/fields.h"
#include "proxy/config/overload.h"

namespace weft {
namespace {

namespace overload = envoy::config::overload::v3;
namespace monitors = envoy::extensions::resource_monitors;
using monitors::downstream_connections::v3::DownstreamConnectionsConfig;
using monitors::fixed_heap::v3::FixedHeapConfig;

constexpr absl::string_view kHeap = "envoy.resource_monitors.fixed_heap";

struct ActionName {
  absl::string_view name;
  OverloadAction action;
};
constexpr ActionName kActions[] = {
    {"envoy.overload_actions.stop_accepting_requests", OverloadAction::kStopAcceptingRequests},
    {"envoy.overload_actions.disable_http_keepalive", OverloadAction::kDisableHttpKeepalive},
    {"envoy.overload_actions.stop_accepting_connections",
     OverloadAction::kStopAcceptingConnections},
    {"envoy.overload_actions.reject_incoming_connections",
     OverloadAction::kRejectIncomingConnections},
    {"envoy.overload_actions.shrink_heap", OverloadAction::kShrinkHeap},
};

absl::Status CompileMonitor(const overload::ResourceMonitor& from, OverloadConfig& to) {
  const google::protobuf::Any& any = from.typed_config();
  if (any.Is<FixedHeapConfig>()) {
    if (from.name() != kHeap) return Invalid("name", absl::StrCat("must be ", kHeap));
    absl::StatusOr<FixedHeapConfig> heap = Unpack<FixedHeapConfig>(any);
    if (!heap.ok()) return heap.status();
    to.max_heap_bytes = heap->max_heap_size_bytes();
    if (to.max_heap_bytes == 0) {
      return Invalid("typed_config.max_heap_size_bytes", "must be above 0");
    }
    return absl::OkStatus();
  }
  if (any.Is<DownstreamConnectionsConfig>()) {
    absl::StatusOr<DownstreamConnectionsConfig> limit = Unpack<DownstreamConnectionsConfig>(any);
    if (!limit.ok()) return limit.status();
    if (limit->max_active_downstream_connections() <= 0) {
      return Invalid("typed_config.max_active_downstream_connections", "must be above 0");
    }
    to.max_connections = static_cast<uint64_t>(limit->max_active_downstream_connections());
    return absl::OkStatus();
  }
  return Invalid("", absl::StrCat("unsupported resource monitor '", from.name(), "'"));
}

std::optional<OverloadAction> ActionOf(absl::string_view name) {
  for (const ActionName& known : kActions) {
    if (known.name == name) return known.action;
  }
  return std::nullopt;
}

absl::StatusOr<double> CompileTrigger(const overload::Trigger& from, const OverloadConfig& config) {
  if (from.name() != kHeap || config.max_heap_bytes == 0) {
    return Invalid("name",
                   absl::StrCat("'", from.name(), "' is no resource monitor that measures"));
  }
  switch (from.trigger_oneof_case()) {
    case overload::Trigger::kThreshold:
      if (from.threshold().value() < 0 || from.threshold().value() > 1) {
        return Invalid("threshold.value", "must be 0 to 1");
      }
      return from.threshold().value();
    case overload::Trigger::kScaled:
      return Invalid("scaled", "is not supported by this proxy");
    case overload::Trigger::TRIGGER_ONEOF_NOT_SET:
      break;
  }
  return Invalid("", "needs threshold");
}

absl::Status CompileAction(const overload::OverloadAction& from, OverloadConfig& to) {
  const std::optional<OverloadAction> action = ActionOf(from.name());
  if (!action.has_value()) {
    return Invalid("name", absl::StrCat("unsupported overload action '", from.name(), "'"));
  }
  if (from.triggers().empty()) return Invalid("triggers", "must not be empty");
  for (int i = 0; i < from.triggers_size(); ++i) {
    absl::StatusOr<double> threshold = CompileTrigger(from.triggers(i), to);
    if (!threshold.ok()) return Under(Index("triggers", i), threshold.status());
    to.triggers.push_back({*action, *threshold});
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<OverloadConfig> CompileOverload(const overload::OverloadManager& from) {
  OverloadConfig to;
  if (!from.loadshed_points().empty()) {
    return Invalid("loadshed_points", "is not supported by this proxy");
  }
  if (from.has_refresh_interval()) {
    to.refresh_interval = ToDuration(from.refresh_interval());
    if (to.refresh_interval < absl::Milliseconds(1)) {
      return Invalid("refresh_interval", "must be at least 1 ms");
    }
  }
  for (int i = 0; i < from.resource_monitors_size(); ++i) {
    absl::Status status = CompileMonitor(from.resource_monitors(i), to);
    if (!status.ok()) return Under(Index("resource_monitors", i), status);
  }
  for (int i = 0; i < from.actions_size(); ++i) {
    absl::Status status = CompileAction(from.actions(i), to);
    if (!status.ok()) return Under(Index("actions", i), status);
  }
  return to;
}

}  // namespace weft
