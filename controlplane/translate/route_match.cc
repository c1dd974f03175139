#include "controlplane/translate/route_match.h"

#include <map>
#include <string>

#include "api/envoy/route.pb.h"
#include "api/istio/networking.pb.h"

namespace weft {
namespace {

using envoy::config::route::v3::HeaderMatcher;
using envoy::config::route::v3::RouteMatch;
using istio::networking::v1alpha3::HTTPMatchRequest;
using istio::networking::v1alpha3::StringMatch;

// No condition on the value: unset, or what Istio reads as "anything".
bool IsPresence(const StringMatch& match) {
  return match.match_type_case() == StringMatch::MATCH_TYPE_NOT_SET ||
         (match.has_regex() && match.regex() == "*") ||
         (match.has_prefix() && match.prefix().empty());
}

void AddHeader(const std::string& name, const StringMatch& match, bool inverted, RouteMatch& to) {
  HeaderMatcher* header = to.add_headers();
  header->set_name(name);
  header->set_invert_match(inverted);
  if (IsPresence(match)) {
    header->set_present_match(true);
    return;
  }
  *header->mutable_string_match() = StringMatcherOf(match);
  // A header that is not there does not have the value either.
  if (inverted) header->set_treat_missing_header_as_empty(true);
}

// Protobuf's maps are in no order; the bytes of a resource have to be.
template <typename ProtoMap>
std::map<std::string, StringMatch> Sorted(const ProtoMap& matches) {
  return {matches.begin(), matches.end()};
}

void SetPrefix(const std::string& prefix, bool whole_segments, RouteMatch& to) {
  if (whole_segments && prefix != "/") {
    to.set_path_separated_prefix(prefix);
  } else {
    to.set_prefix(prefix);
  }
}

void SetPath(const HTTPMatchRequest& match, bool whole_segments, RouteMatch& to) {
  switch (match.uri().match_type_case()) {
    case StringMatch::kExact:
      to.set_path(match.uri().exact());
      break;
    case StringMatch::kPrefix:
      SetPrefix(match.uri().prefix(), whole_segments, to);
      break;
    case StringMatch::kRegex:
      to.mutable_safe_regex()->set_regex(match.uri().regex());
      break;
    case StringMatch::MATCH_TYPE_NOT_SET:
      to.set_prefix("/");
      break;
  }
  if (match.ignore_uri_case()) to.mutable_case_sensitive()->set_value(false);
}

}  // namespace

envoy::type::matcher::v3::StringMatcher StringMatcherOf(const StringMatch& match) {
  envoy::type::matcher::v3::StringMatcher matcher;
  switch (match.match_type_case()) {
    case StringMatch::kExact:
      matcher.set_exact(match.exact());
      break;
    case StringMatch::kPrefix:
      matcher.set_prefix(match.prefix());
      break;
    default:
      matcher.mutable_safe_regex()->set_regex(match.regex());
      break;
  }
  return matcher;
}

RouteMatch RouteMatchOf(const HTTPMatchRequest& match, bool whole_segments) {
  RouteMatch to;
  SetPath(match, whole_segments, to);
  if (match.has_method()) AddHeader(":method", match.method(), false, to);
  if (match.has_authority()) AddHeader(":authority", match.authority(), false, to);
  if (match.has_scheme()) AddHeader(":scheme", match.scheme(), false, to);
  for (const auto& [name, value] : Sorted(match.headers())) AddHeader(name, value, false, to);
  for (const auto& [name, value] : Sorted(match.without_headers())) {
    AddHeader(name, value, true, to);
  }
  for (const auto& [name, value] : Sorted(match.query_params())) {
    auto* parameter = to.add_query_parameters();
    parameter->set_name(name);
    if (IsPresence(value)) {
      parameter->set_present_match(true);
    } else {
      *parameter->mutable_string_match() = StringMatcherOf(value);
    }
  }
  return to;
}

RouteMatch AnyRequest() {
  RouteMatch match;
  match.set_prefix("/");
  return match;
}

bool IsAnyRequest(const RouteMatch& match) {
  return match.prefix() == "/" && match.headers().empty() && match.query_parameters().empty();
}

}  // namespace weft
