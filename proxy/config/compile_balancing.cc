#include "proxy/config/compile_balancing.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "proxy/config/compile_subsets.h"
#include "proxy/config/fields.h"
#include "proxy/config/hash_table.h"

namespace weft {
namespace {

namespace core = envoy::config::core::v3;
using envoy::config::cluster::v3::CircuitBreakers;
using envoy::config::cluster::v3::Cluster;
using envoy::config::cluster::v3::LoadBalancingPolicy;
using google::protobuf::UInt64Value;

// Envoy's bounds.
constexpr uint64_t kMostRingPlaces = 8 * 1024 * 1024;
constexpr uint64_t kMostMaglevSlots = 5'000'011;
constexpr char kOriginalDestination[] = "x-envoy-original-dst-host";

struct PolicyName {
  absl::string_view type;
  absl::string_view name;
  LoadBalancing balancing;
};
constexpr PolicyName kPolicies[] = {
    {"envoy.extensions.load_balancing_policies.round_robin.v3.RoundRobin",
     "envoy.load_balancing_policies.round_robin", LoadBalancing::kRoundRobin},
    {"envoy.extensions.load_balancing_policies.least_request.v3.LeastRequest",
     "envoy.load_balancing_policies.least_request", LoadBalancing::kLeastRequest},
    {"envoy.extensions.load_balancing_policies.random.v3.Random",
     "envoy.load_balancing_policies.random", LoadBalancing::kRandom},
    {"envoy.extensions.load_balancing_policies.ring_hash.v3.RingHash",
     "envoy.load_balancing_policies.ring_hash", LoadBalancing::kRingHash},
    {"envoy.extensions.load_balancing_policies.maglev.v3.Maglev",
     "envoy.load_balancing_policies.maglev", LoadBalancing::kMaglev},
};

// The first policy that is known, as load_balancing_policy asks for.
absl::StatusOr<LoadBalancing> FromPolicyList(const LoadBalancingPolicy& list) {
  for (int i = 0; i < list.policies_size(); ++i) {
    const core::TypedExtensionConfig& policy = list.policies(i).typed_extension_config();
    for (const PolicyName& known : kPolicies) {
      const bool by_type = TypeOf(policy.typed_config()) == known.type;
      const bool by_name = policy.typed_config().type_url().empty() && policy.name() == known.name;
      if (!by_type && !by_name) continue;
      if (policy.typed_config().value().empty()) return known.balancing;
      return Invalid(absl::StrCat(Index("policies", i), ".typed_extension_config.typed_config"),
                     "settings are not supported here; state them in the cluster's lb_policy and "
                     "…_lb_config");
    }
  }
  return Invalid("", "none of its policies is supported");
}

absl::StatusOr<LoadBalancing> BalancingOf(const Cluster& from) {
  if (from.has_load_balancing_policy()) {
    absl::StatusOr<LoadBalancing> policy = FromPolicyList(from.load_balancing_policy());
    if (!policy.ok()) return Under("load_balancing_policy", policy.status());
    return policy;
  }
  switch (from.lb_policy()) {
    case Cluster::ROUND_ROBIN:
    case Cluster::CLUSTER_PROVIDED:  // ORIGINAL_DST: there is nothing to balance
      return LoadBalancing::kRoundRobin;
    case Cluster::LEAST_REQUEST:
      return LoadBalancing::kLeastRequest;
    case Cluster::RANDOM:
      return LoadBalancing::kRandom;
    case Cluster::RING_HASH:
      return LoadBalancing::kRingHash;
    case Cluster::MAGLEV:
      return LoadBalancing::kMaglev;
    default:
      return Invalid("lb_policy",
                     absl::StrCat("unsupported policy ", Cluster::LbPolicy_Name(from.lb_policy())));
  }
}

absl::Status CompilePercent(absl::string_view field, double from, double& to) {
  if (!(from >= 0 && from <= 100)) return Invalid(field, "must be 0 to 100");
  to = from;
  return absl::OkStatus();
}

// ---- The settings of each policy.

absl::Status CompileSlowStart(const Cluster::SlowStartConfig& from, SlowStart& to) {
  to.window = ToDuration(from.slow_start_window());
  if (to.window <= absl::ZeroDuration()) return Invalid("slow_start_window", "must be above 0");
  if (from.has_aggression()) {
    to.aggression = from.aggression().default_value();
    if (!(to.aggression > 0)) return Invalid("aggression", "must be above 0");
  }
  if (!from.has_min_weight_percent()) return absl::OkStatus();
  double percent = 0;
  absl::Status status =
      CompilePercent("min_weight_percent", from.min_weight_percent().value(), percent);
  to.min_weight = percent / 100;
  return status;
}

absl::Status CompileLeastRequest(const Cluster::LeastRequestLbConfig& from, BalancingOptions& to) {
  if (from.has_choice_count()) {
    to.choice_count = from.choice_count().value();
    if (to.choice_count < 2) return Invalid("choice_count", "must be at least 2");
  }
  if (from.has_active_request_bias()) {
    to.active_request_bias = from.active_request_bias().default_value();
    if (!(to.active_request_bias >= 0))
      return Invalid("active_request_bias", "must not be below 0");
  }
  if (!from.has_slow_start_config()) return absl::OkStatus();
  absl::Status status = CompileSlowStart(from.slow_start_config(), to.slow_start);
  return status.ok() ? status : Under("slow_start_config", status);
}

absl::Status CompileRingHash(const Cluster::RingHashLbConfig& from, BalancingOptions& to) {
  if (from.hash_function() != Cluster::RingHashLbConfig::XX_HASH) {
    return Invalid("hash_function", "only XX_HASH is supported");
  }
  if (from.has_minimum_ring_size()) to.ring_min_size = from.minimum_ring_size().value();
  if (from.has_maximum_ring_size()) to.ring_max_size = from.maximum_ring_size().value();
  if (to.ring_max_size == 0 || to.ring_max_size > kMostRingPlaces) {
    return Invalid("maximum_ring_size", absl::StrCat("must be 1 to ", kMostRingPlaces));
  }
  if (to.ring_min_size == 0 || to.ring_min_size > to.ring_max_size) {
    return Invalid("minimum_ring_size", "must be 1 to maximum_ring_size");
  }
  return absl::OkStatus();
}

absl::Status CompileMaglev(const Cluster::MaglevLbConfig& from, BalancingOptions& to) {
  if (!from.has_table_size()) return absl::OkStatus();
  to.maglev_table_size = from.table_size().value();
  if (to.maglev_table_size > kMostMaglevSlots || !IsPrime(to.maglev_table_size) ||
      to.maglev_table_size < 3) {
    return Invalid("table_size", absl::StrCat("must be a prime from 3 to ", kMostMaglevSlots));
  }
  return absl::OkStatus();
}

absl::Status CompileOriginalDst(const Cluster::OriginalDstLbConfig& from, BalancingOptions& to) {
  if (from.use_http_header()) {
    to.destination_header = from.http_header_name().empty()
                                ? kOriginalDestination
                                : absl::AsciiStrToLower(from.http_header_name());
  }
  const uint32_t port = from.upstream_port_override().value();
  if (port > 65535) return Invalid("upstream_port_override", "is above 65535");
  to.destination_port = static_cast<uint16_t>(port);
  return absl::OkStatus();
}

absl::Status CompilePolicySettings(const Cluster& from, BalancingOptions& to) {
  absl::Status status;
  switch (from.lb_config_case()) {
    case Cluster::kRingHashLbConfig:
      status = CompileRingHash(from.ring_hash_lb_config(), to);
      return status.ok() ? status : Under("ring_hash_lb_config", status);
    case Cluster::kMaglevLbConfig:
      status = CompileMaglev(from.maglev_lb_config(), to);
      return status.ok() ? status : Under("maglev_lb_config", status);
    case Cluster::kLeastRequestLbConfig:
      status = CompileLeastRequest(from.least_request_lb_config(), to);
      return status.ok() ? status : Under("least_request_lb_config", status);
    case Cluster::kRoundRobinLbConfig:
      if (!from.round_robin_lb_config().has_slow_start_config()) return status;
      status = CompileSlowStart(from.round_robin_lb_config().slow_start_config(), to.slow_start);
      return status.ok() ? status : Under("round_robin_lb_config.slow_start_config", status);
    case Cluster::kOriginalDstLbConfig:
      status = CompileOriginalDst(from.original_dst_lb_config(), to);
      return status.ok() ? status : Under("original_dst_lb_config", status);
    case Cluster::LB_CONFIG_NOT_SET:
      break;
  }
  return status;
}

// ---- What is common to all policies.

absl::Status CompileZoneAware(const Cluster::CommonLbConfig::ZoneAwareLbConfig& from,
                              BalancingOptions& to) {
  ZoneAware zones;
  if (from.has_routing_enabled()) {
    double percent = 100;
    absl::Status status =
        CompilePercent("routing_enabled", from.routing_enabled().value(), percent);
    if (!status.ok()) return status;
    zones.routing_enabled = percent / 100;
  }
  if (from.has_min_cluster_size()) zones.min_cluster_size = from.min_cluster_size().value();
  zones.fail_on_panic = from.fail_traffic_on_panic();
  to.zone_aware = zones;
  return absl::OkStatus();
}

// update_merge_window and close_connections_on_host_set_change change nothing here: endpoints are
// taken as they come, and pools outlive them.
absl::Status CompileCommon(const Cluster::CommonLbConfig& from, ClusterConfig& to,
                           BalancingOptions& options) {
  if (from.has_healthy_panic_threshold()) {
    double percent = 0;
    absl::Status status =
        CompilePercent("healthy_panic_threshold", from.healthy_panic_threshold().value(), percent);
    if (!status.ok()) return status;
    to.panic_threshold_percent = static_cast<uint32_t>(percent);
  }
  to.locality_weighted = from.has_locality_weighted_lb_config();
  // Envoy's default is zone-aware routing too, where the proxies' own cluster is known.
  if (!to.locality_weighted) {
    absl::Status status = CompileZoneAware(from.zone_aware_lb_config(), options);
    if (!status.ok()) return Under("zone_aware_lb_config", status);
  }
  if (from.consistent_hashing_lb_config().has_hash_balance_factor()) {
    return Invalid("consistent_hashing_lb_config.hash_balance_factor", "is not supported");
  }
  options.hash_by_host_name = from.consistent_hashing_lb_config().use_hostname_for_hashing();
  if (from.has_override_host_status()) return Invalid("override_host_status", "is not supported");
  return absl::OkStatus();
}

absl::Status CompileThresholds(const CircuitBreakers::Thresholds& from, CircuitBreakerLimits& to) {
  if (from.has_max_connections()) to.max_connections = from.max_connections().value();
  if (from.has_max_pending_requests()) {
    to.max_pending_requests = from.max_pending_requests().value();
  }
  if (from.has_max_requests()) to.max_requests = from.max_requests().value();
  if (from.has_max_retries()) to.max_retries = from.max_retries().value();
  if (from.has_max_connection_pools()) return Invalid("max_connection_pools", "is not supported");
  if (!from.has_retry_budget()) return absl::OkStatus();
  RetryBudget budget;
  if (from.retry_budget().has_budget_percent()) {
    absl::Status status = CompilePercent(
        "budget_percent", from.retry_budget().budget_percent().value(), budget.percent);
    if (!status.ok()) return Under("retry_budget", status);
  }
  if (from.retry_budget().has_min_retry_concurrency()) {
    budget.min_concurrency = from.retry_budget().min_retry_concurrency().value();
  }
  to.retry_budget = budget;
  return absl::OkStatus();
}

}  // namespace

absl::Status CompileBalancing(const Cluster& from, ClusterConfig& to) {
  absl::StatusOr<LoadBalancing> balancing = BalancingOf(from);
  if (!balancing.ok()) return balancing.status();
  to.balancing = *balancing;
  BalancingOptions options;
  absl::Status status = CompilePolicySettings(from, options);
  if (!status.ok()) return status;
  status = CompileCommon(from.common_lb_config(), to, options);
  if (!status.ok()) return Under("common_lb_config", status);
  const bool plain =
      from.lb_config_case() == Cluster::LB_CONFIG_NOT_SET && !from.has_common_lb_config();
  if (!plain) {
    to.options = std::make_shared<BalancingOptions>(std::move(options));
  }
  if (from.lb_subset_config().subset_selectors().empty()) return absl::OkStatus();
  absl::StatusOr<std::shared_ptr<const SubsetConfig>> subsets =
      CompileSubsets(from.lb_subset_config());
  if (!subsets.ok()) return Under("lb_subset_config", subsets.status());
  to.subsets = *std::move(subsets);
  return absl::OkStatus();
}

absl::Status CompileCircuitBreakers(const CircuitBreakers& from, ClusterConfig& to) {
  for (int i = 0; i < from.thresholds_size(); ++i) {
    const CircuitBreakers::Thresholds& one = from.thresholds(i);
    absl::Status status =
        CompileThresholds(one, one.priority() == core::HIGH ? to.high_limits : to.limits);
    if (!status.ok()) return Under(Index("thresholds", i), status);
  }
  if (from.per_host_thresholds_size() > 0) {
    return Invalid("per_host_thresholds", "are not supported");
  }
  return absl::OkStatus();
}

}  // namespace weft
