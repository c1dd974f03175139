// The forwarding action of a route: where to, how long, and what is rewritten.
#include <google/protobuf/util/json_util.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "proxy/config/compile_http_filters.h"
#include "proxy/config/compile_matchers.h"
#include "proxy/config/compile_retry.h"
#include "proxy/config/compile_route.h"

namespace weft {
namespace {

namespace route = envoy::config::route::v3;

namespace core = envoy::config::core::v3;

using Subset = std::vector<std::pair<std::string, std::string>>;

// The "envoy.lb" part of a metadata_match, onto the end of `to` but for keys that are there.
absl::Status AddSubset(const core::Metadata& from, Subset& to) {
  const auto wanted = from.filter_metadata().find("envoy.lb");
  if (wanted == from.filter_metadata().end()) return absl::OkStatus();
  const size_t own = to.size();
  for (const auto& [key, value] : wanted->second.fields()) {
    const std::string& name = key;
    const bool known = std::any_of(to.begin(), to.begin() + static_cast<ptrdiff_t>(own),
                                   [&](const auto& one) { return one.first == name; });
    std::string json;
    if (!google::protobuf::util::MessageToJsonString(value, &json).ok()) {
      return Invalid(absl::StrCat("filter_metadata[envoy.lb].", key), "is not a value of JSON");
    }
    if (!known) to.emplace_back(key, std::move(json));
  }
  std::sort(to.begin(), to.end());
  return absl::OkStatus();
}

absl::StatusOr<WeightedTarget> CompileTarget(const route::WeightedCluster::ClusterWeight& from,
                                             const Secrets& secrets) {
  WeightedTarget to;
  if (!from.cluster_header().empty()) {
    return Invalid("cluster_header", "is not supported among weighted clusters");
  }
  if (from.name().empty()) return Invalid("name", "must not be empty");
  to.cluster = from.name();
  to.weight = from.weight().value();
  if (!from.host_rewrite_literal().empty()) to.host_rewrite = from.host_rewrite_literal();
  absl::Status status = CompileHeaderMutations(from, to.request_headers, to.response_headers);
  if (!status.ok()) return status;
  status = AddSubset(from.metadata_match(), to.subset);
  if (!status.ok()) return Under("metadata_match", status);
  absl::StatusOr<FilterOverrides> filters =
      CompileFilterOverrides(from.typed_per_filter_config(), secrets);
  if (!filters.ok()) return filters.status();
  to.filters = *std::move(filters);
  return to;
}

absl::Status CompileWeighted(const route::WeightedCluster& from, const Secrets& secrets,
                             ForwardAction& to) {
  if (from.random_value_specifier_case() == route::WeightedCluster::kUseHashPolicy &&
      from.use_hash_policy().value()) {
    return Invalid("use_hash_policy", "is not supported by this proxy");
  }
  to.random_value_header = absl::AsciiStrToLower(from.header_name());
  return CompileEach("clusters", from.clusters(), to.clusters,
                     [&](const route::WeightedCluster::ClusterWeight& one) {
                       return CompileTarget(one, secrets);
                     });
}

absl::Status CompileClusters(const route::RouteAction& from, const Secrets& secrets,
                             ForwardAction& to) {
  switch (from.cluster_specifier_case()) {
    case route::RouteAction::kCluster:
      if (from.cluster().empty()) return Invalid("cluster", "must not be empty");
      to.clusters.emplace_back().cluster = from.cluster();
      break;
    case route::RouteAction::kClusterHeader:
      if (from.cluster_header().empty()) return Invalid("cluster_header", "must not be empty");
      to.cluster_header = absl::AsciiStrToLower(from.cluster_header());
      // The name is the request's: what else a target says holds for all of them.
      to.clusters.emplace_back();
      break;
    case route::RouteAction::kWeightedClusters: {
      absl::Status status = CompileWeighted(from.weighted_clusters(), secrets, to);
      if (!status.ok()) return Under("weighted_clusters", status);
      break;
    }
    case route::RouteAction::kClusterSpecifierPlugin:
      return Invalid("cluster_specifier_plugin", "is not supported by this proxy");
    case route::RouteAction::CLUSTER_SPECIFIER_NOT_SET:
      return Invalid("", "needs one of cluster, weighted_clusters, cluster_header");
  }
  for (WeightedTarget& target : to.clusters) {
    to.total_weight += target.weight;
    absl::Status status = AddSubset(from.metadata_match(), target.subset);
    if (!status.ok()) return Under("metadata_match", status);
  }
  if (to.total_weight == 0) return Invalid("weighted_clusters", "the weights must not sum to 0");
  return absl::OkStatus();
}

absl::Status CompileHostRewrite(const route::RouteAction& from, ForwardAction& to) {
  switch (from.host_rewrite_specifier_case()) {
    case route::RouteAction::kHostRewriteLiteral:
      to.host_rewrite = from.host_rewrite_literal();
      break;
    case route::RouteAction::kAutoHostRewrite:
      to.auto_host_rewrite = from.auto_host_rewrite().value();
      break;
    case route::RouteAction::kHostRewriteHeader:
      to.host_rewrite_header = absl::AsciiStrToLower(from.host_rewrite_header());
      break;
    case route::RouteAction::kHostRewritePathRegex: {
      absl::StatusOr<RegexRewrite> rewrite = CompileRegexRewrite(from.host_rewrite_path_regex());
      if (!rewrite.ok()) return Under("host_rewrite_path_regex", rewrite.status());
      to.host_rewrite_path = *std::move(rewrite);
      break;
    }
    case route::RouteAction::HOST_REWRITE_SPECIFIER_NOT_SET:
      break;
  }
  to.append_x_forwarded_host = from.append_x_forwarded_host();
  return absl::OkStatus();
}

absl::StatusOr<HashPolicy> CompileHashPolicy(const route::RouteAction::HashPolicy& from) {
  HashPolicy to;
  to.terminal = from.terminal();
  switch (from.policy_specifier_case()) {
    case route::RouteAction::HashPolicy::kHeader:
      to.source = HashPolicy::Source::kHeader;
      to.name = absl::AsciiStrToLower(from.header().header_name());
      if (from.header().has_regex_rewrite()) {
        absl::StatusOr<RegexRewrite> rewrite = CompileRegexRewrite(from.header().regex_rewrite());
        if (!rewrite.ok()) return Under("header.regex_rewrite", rewrite.status());
        to.regex_rewrite = *std::move(rewrite);
      }
      break;
    case route::RouteAction::HashPolicy::kCookie:
      to.source = HashPolicy::Source::kCookie;
      to.name = from.cookie().name();
      to.cookie_path = from.cookie().path();
      for (const auto& attribute : from.cookie().attributes()) {
        absl::StrAppend(&to.cookie_attributes, "; ", attribute.name());
        if (!attribute.value().empty()) {
          absl::StrAppend(&to.cookie_attributes, "=", attribute.value());
        }
      }
      if (from.cookie().has_ttl()) to.cookie_ttl = ToDuration(from.cookie().ttl());
      break;
    case route::RouteAction::HashPolicy::kQueryParameter:
      to.source = HashPolicy::Source::kQueryParameter;
      to.name = from.query_parameter().name();
      break;
    case route::RouteAction::HashPolicy::kConnectionProperties:
      to.source = HashPolicy::Source::kSourceIp;
      return to;
    default:
      return Invalid("", "needs one of header, cookie, query_parameter, connection_properties");
  }
  if (to.name.empty()) return Invalid("", "needs a name");
  return to;
}

absl::StatusOr<RequestMirror> CompileMirror(const route::RouteAction::RequestMirrorPolicy& from,
                                            const RuntimeValues& runtime) {
  RequestMirror to;
  to.cluster = from.cluster();
  to.cluster_header = absl::AsciiStrToLower(from.cluster_header());
  if (to.cluster.empty() == to.cluster_header.empty()) {
    return Invalid("", "needs one of cluster, cluster_header");
  }
  if (from.has_runtime_fraction()) to.share = CompileFraction(from.runtime_fraction(), runtime);
  to.shadow_suffix = !from.disable_shadow_host_suffix_append();
  return to;
}

absl::Status CheckUnsupported(const route::RouteAction& from) {
  if (from.has_cors()) {
    return Invalid("cors", "give it as typed_per_filter_config of the CORS filter");
  }
  if (!from.rate_limits().empty()) return Invalid("rate_limits", "is not supported by this proxy");
  if (from.has_internal_redirect_policy()) {
    return Invalid("internal_redirect_policy", "is not supported by this proxy");
  }
  if (from.has_path_rewrite_policy()) {
    return Invalid("path_rewrite_policy", "is not supported by this proxy");
  }
  if (from.hedge_policy().hedge_on_per_try_timeout()) {
    return Invalid("hedge_policy.hedge_on_per_try_timeout", "is not supported by this proxy");
  }
  return absl::OkStatus();
}

// Of upgrades on a route, only the end of a CONNECT.
absl::Status CompileUpgrades(const route::RouteAction& from, ForwardAction& to) {
  for (int i = 0; i < from.upgrade_configs_size(); ++i) {
    const auto& upgrade = from.upgrade_configs(i);
    const bool connect = absl::EqualsIgnoreCase(upgrade.upgrade_type(), "CONNECT");
    if (!connect || !upgrade.has_connect_config()) {
      return Invalid(
          Index("upgrade_configs", i),
          "is not supported on routes, only for the whole listener; but for CONNECT with "
          "a connect_config");
    }
    to.ends_connect = !upgrade.has_enabled() || upgrade.enabled().value();
  }
  return absl::OkStatus();
}

void CompileTimeouts(const route::RouteAction& from, ForwardAction& to) {
  if (from.has_timeout()) to.timeout = ToTimeout(from.timeout());
  if (from.has_idle_timeout()) to.idle_timeout = ToTimeout(from.idle_timeout());
  const route::RouteAction::MaxStreamDuration& longest = from.max_stream_duration();
  if (longest.has_max_stream_duration()) {
    to.max_stream_duration = ToTimeout(longest.max_stream_duration());
  }
  if (longest.has_grpc_timeout_header_max()) {
    to.grpc_timeout_max = ToTimeout(longest.grpc_timeout_header_max());
  }
  to.grpc_timeout_offset = ToDuration(longest.grpc_timeout_header_offset());
  if (from.has_max_grpc_timeout()) {
    to.max_grpc_timeout = ToTimeout(from.max_grpc_timeout());
    if (from.has_grpc_timeout_offset()) {
      to.grpc_timeout_offset = ToDuration(from.grpc_timeout_offset());
    }
  }
}

absl::Status CompileRewrites(const route::RouteAction& from, ForwardAction& to) {
  to.prefix_rewrite = from.prefix_rewrite();
  if (from.has_regex_rewrite()) {
    if (!to.prefix_rewrite.empty()) {
      return Invalid("regex_rewrite", "cannot be set together with prefix_rewrite");
    }
    absl::StatusOr<RegexRewrite> rewrite = CompileRegexRewrite(from.regex_rewrite());
    if (!rewrite.ok()) return Under("regex_rewrite", rewrite.status());
    to.regex_rewrite = *std::move(rewrite);
  }
  return CompileHostRewrite(from, to);
}

}  // namespace

absl::StatusOr<std::vector<RequestMirror>> CompileMirrors(
    const google::protobuf::RepeatedPtrField<route::RouteAction::RequestMirrorPolicy>& from,
    const RuntimeValues& runtime) {
  std::vector<RequestMirror> to;
  absl::Status status = CompileEach("request_mirror_policies", from, to,
                                    [&](const route::RouteAction::RequestMirrorPolicy& one) {
                                      return CompileMirror(one, runtime);
                                    });
  if (!status.ok()) return status;
  return to;
}

absl::StatusOr<ForwardAction> CompileForwardAction(const route::RouteAction& from,
                                                   const Secrets& secrets) {
  ForwardAction to;
  absl::Status status = CheckUnsupported(from);
  if (!status.ok()) return status;
  status = CompileClusters(from, secrets, to);
  if (!status.ok()) return status;
  status = CompileRewrites(from, to);
  if (!status.ok()) return status;
  CompileTimeouts(from, to);
  status = CompileUpgrades(from, to);
  if (!status.ok()) return status;
  if (from.has_retry_policy()) {
    absl::StatusOr<RetryPolicy> retry = CompileRetryPolicy(from.retry_policy());
    if (!retry.ok()) return Under("retry_policy", retry.status());
    to.retry = *std::move(retry);
  }
  status = CompileEach("hash_policy", from.hash_policy(), to.hash_policies, CompileHashPolicy);
  if (!status.ok()) return status;
  absl::StatusOr<std::vector<RequestMirror>> mirrors =
      CompileMirrors(from.request_mirror_policies(), secrets.runtime);
  if (!mirrors.ok()) return mirrors.status();
  to.mirrors = *std::move(mirrors);
  if (from.cluster_not_found_response_code() == route::RouteAction::NOT_FOUND) {
    to.cluster_not_found_status = 404;
  } else if (from.cluster_not_found_response_code() == route::RouteAction::INTERNAL_SERVER_ERROR) {
    to.cluster_not_found_status = 500;
  }
  return to;
}

}  // namespace weft
