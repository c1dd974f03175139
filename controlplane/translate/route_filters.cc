#include "controlplane/translate/route_filters.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/envoy/cors.pb.h"
#include "api/envoy/fault.pb.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/route.pb.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/grpc_status.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/parts.h"
#include "controlplane/translate/route_match.h"

namespace weft {
namespace {

using envoy::config::route::v3::Route;
using envoy::extensions::filters::http::cors::v3::Cors;
using envoy::extensions::filters::http::fault::v3::HTTPFault;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using istio::networking::v1alpha3::CorsPolicy;
using istio::networking::v1alpha3::HTTPFaultInjection;
using istio::networking::v1alpha3::HTTPRoute;
using EnvoyCorsPolicy = envoy::extensions::filters::http::cors::v3::CorsPolicy;

constexpr char kFaultFilter[] = "envoy.filters.http.fault";
constexpr char kCorsFilter[] = "envoy.filters.http.cors";

void AddBeforeRouter(const char* name, const google::protobuf::Message& config,
                     HttpConnectionManager& http) {
  auto* filter = http.add_http_filters();
  filter->set_name(name);
  *filter->mutable_typed_config() = PackAny(config);
  const int last = http.http_filters_size() - 1;
  http.mutable_http_filters()->SwapElements(last - 1, last);
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
// Istio deprecated the whole-number spelling; people's files still use it.
double PercentOf(const HTTPFaultInjection::Delay& delay) {
  return delay.has_percentage() ? delay.percentage().value() : delay.percent();
}
#pragma clang diagnostic pop

void SetDelay(const HTTPFaultInjection::Delay& from, HTTPFault& to) {
  SetDuration(DurationOr(from.fixed_delay(), absl::ZeroDuration()),
              to.mutable_delay()->mutable_fixed_delay());
  *to.mutable_delay()->mutable_percentage() = FractionOf(PercentOf(from));
}

void SetAbort(const HTTPFaultInjection::Abort& from, HTTPFault& to) {
  if (from.error_type_case() == HTTPFaultInjection::Abort::kGrpcStatus) {
    to.mutable_abort()->set_grpc_status(GrpcStatusNamed(from.grpc_status()).value_or(2));
  } else {
    to.mutable_abort()->set_http_status(from.http_status());
  }
  *to.mutable_abort()->mutable_percentage() = FractionOf(from.percentage().value());
}

void SetFault(const HTTPFaultInjection& from, Route& route) {
  HTTPFault to;
  if (from.has_delay()) SetDelay(from.delay(), to);
  if (from.has_abort()) SetAbort(from.abort(), to);
  (*route.mutable_typed_per_filter_config())[kFaultFilter] = PackAny(to);
}

#pragma clang diagnostic push
#pragma clang diagnostic ignored "-Wdeprecated-declarations"
void SetOrigins(const CorsPolicy& from, EnvoyCorsPolicy& to) {
  for (const auto& origin : from.allow_origins()) {
    *to.add_allow_origin_string_match() = StringMatcherOf(origin);
  }
  if (!from.allow_origins().empty()) return;
  for (const std::string& origin : from.allow_origin()) {
    auto* matcher = to.add_allow_origin_string_match();
    if (origin == "*") {
      matcher->mutable_safe_regex()->set_regex(".*");
    } else {
      matcher->set_exact(origin);
    }
  }
}
#pragma clang diagnostic pop

void SetCors(const CorsPolicy& from, Route& route) {
  EnvoyCorsPolicy to;
  SetOrigins(from, to);
  to.set_allow_methods(absl::StrJoin(from.allow_methods(), ","));
  to.set_allow_headers(absl::StrJoin(from.allow_headers(), ","));
  to.set_expose_headers(absl::StrJoin(from.expose_headers(), ","));
  if (!from.max_age().empty()) {
    to.set_max_age(
        absl::StrCat(absl::ToInt64Seconds(DurationOr(from.max_age(), absl::ZeroDuration()))));
  }
  if (from.has_allow_credentials()) {
    to.mutable_allow_credentials()->set_value(from.allow_credentials());
  }
  if (from.unmatched_preflights() != CorsPolicy::UNSPECIFIED) {
    to.mutable_forward_not_matching_preflights()->set_value(from.unmatched_preflights() ==
                                                            CorsPolicy::FORWARD);
  }
  (*route.mutable_typed_per_filter_config())[kCorsFilter] = PackAny(to);
}

}  // namespace

void AddRouteFilters(HttpConnectionManager& http) {
  AddBeforeRouter(kCorsFilter, Cors(), http);
  AddBeforeRouter(kFaultFilter, HTTPFault(), http);
}

void SetRouteFilters(const HTTPRoute& from, Route& to) {
  if (from.has_fault()) SetFault(from.fault(), to);
  if (from.has_cors_policy()) SetCors(from.cors_policy(), to);
}

}  // namespace weft
