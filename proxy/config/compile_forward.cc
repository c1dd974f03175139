// The forwarding action of a route: where to, how long, and what is rewritten.
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "proxy/config/compile_matchers.h"
#include "proxy/config/compile_retry.h"
#include "proxy/config/compile_route.h"

namespace weft {
namespace {

namespace route = envoy::config::route::v3;

absl::StatusOr<WeightedTarget> CompileTarget(const route::WeightedCluster::ClusterWeight& from) {
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
  return to;
}

absl::Status CompileClusters(const route::RouteAction& from, ForwardAction& to) {
  switch (from.cluster_specifier_case()) {
    case route::RouteAction::kCluster:
      if (from.cluster().empty()) return Invalid("cluster", "must not be empty");
      to.clusters.emplace_back().cluster = from.cluster();
      break;
    case route::RouteAction::kClusterHeader:
      if (from.cluster_header().empty()) return Invalid("cluster_header", "must not be empty");
      to.cluster_header = absl::AsciiStrToLower(from.cluster_header());
      return absl::OkStatus();
    case route::RouteAction::kWeightedClusters: {
      absl::Status status =
          CompileEach("weighted_clusters.clusters", from.weighted_clusters().clusters(),
                      to.clusters, CompileTarget);
      if (!status.ok()) return status;
      break;
    }
    case route::RouteAction::CLUSTER_SPECIFIER_NOT_SET:
      return Invalid("", "needs one of cluster, weighted_clusters, cluster_header");
  }
  for (const WeightedTarget& target : to.clusters) to.total_weight += target.weight;
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
    case route::RouteAction::kHostRewritePathRegex:
      return Invalid("host_rewrite_path_regex", "is not supported by this proxy");
    case route::RouteAction::HOST_REWRITE_SPECIFIER_NOT_SET:
      break;
  }
  return absl::OkStatus();
}

absl::StatusOr<HashPolicy> CompileHashPolicy(const route::RouteAction::HashPolicy& from) {
  HashPolicy to;
  to.terminal = from.terminal();
  switch (from.policy_specifier_case()) {
    case route::RouteAction::HashPolicy::kHeader:
      to.source = HashPolicy::Source::kHeader;
      to.name = absl::AsciiStrToLower(from.header().header_name());
      break;
    case route::RouteAction::HashPolicy::kCookie:
      to.source = HashPolicy::Source::kCookie;
      to.name = from.cookie().name();
      to.cookie_path = from.cookie().path();
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

absl::StatusOr<RequestMirror> CompileMirror(const route::RouteAction::RequestMirrorPolicy& from) {
  if (from.cluster().empty()) return Invalid("cluster", "must not be empty");
  RequestMirror to;
  to.cluster = from.cluster();
  if (from.has_runtime_fraction()) {
    const envoy::type::v3::FractionalPercent& share = from.runtime_fraction().default_value();
    to.numerator = share.numerator();
    to.denominator = share.denominator() == envoy::type::v3::FractionalPercent::MILLION ? 1'000'000
                     : share.denominator() == envoy::type::v3::FractionalPercent::TEN_THOUSAND
                         ? 10'000
                         : 100;
  }
  return to;
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

absl::StatusOr<ForwardAction> CompileForwardAction(const route::RouteAction& from) {
  ForwardAction to;
  absl::Status status = CompileClusters(from, to);
  if (!status.ok()) return status;
  status = CompileRewrites(from, to);
  if (!status.ok()) return status;
  if (from.has_timeout()) to.timeout = ToTimeout(from.timeout());
  if (from.has_idle_timeout()) to.idle_timeout = ToTimeout(from.idle_timeout());
  if (from.has_retry_policy()) {
    absl::StatusOr<RetryPolicy> retry = CompileRetryPolicy(from.retry_policy());
    if (!retry.ok()) return Under("retry_policy", retry.status());
    to.retry = *std::move(retry);
  }
  status = CompileEach("hash_policy", from.hash_policy(), to.hash_policies, CompileHashPolicy);
  if (!status.ok()) return status;
  status = CompileEach("request_mirror_policies", from.request_mirror_policies(), to.mirrors,
                       CompileMirror);
  if (!status.ok()) return status;
  if (from.cluster_not_found_response_code() == route::RouteAction::NOT_FOUND) {
    to.cluster_not_found_status = 404;
  } else if (from.cluster_not_found_response_code() == route::RouteAction::INTERNAL_SERVER_ERROR) {
    to.cluster_not_found_status = 500;
  }
  return to;
}

}  // namespace weft
