#include "controlplane/translate/guards.h"

#include <utility>

#include "controlplane/translate/authorization.h"
#include "controlplane/translate/request_authentication.h"

namespace weft {

using envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager;
using envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter;

Guards GuardsOf(const TranslationIndex& index, const ProxyView& view) {
  AuthorizationFilters authorization = AuthorizationFiltersFor(index, view.namespace_, view.labels);
  Guards guards{std::move(authorization.http), std::move(authorization.tcp),
                authorization.asks_path};
  if (auto jwt = JwtFilterFor(index, view.namespace_, view.labels)) {
    guards.http.insert(guards.http.begin(), *std::move(jwt));
  }
  return guards;
}

void AddGuards(const Guards& guards, HttpConnectionManager& http) {
  google::protobuf::RepeatedPtrField<HttpFilter> others;
  others.Swap(http.mutable_http_filters());
  for (const HttpFilter& filter : guards.http) *http.add_http_filters() = filter;
  for (HttpFilter& filter : others) *http.add_http_filters() = std::move(filter);
  if (!guards.asks_path) return;
  // Paths that decide who gets in have one spelling, which the application gets too.
  http.set_merge_slashes(true);
  http.set_path_with_escaped_slashes_action(HttpConnectionManager::UNESCAPE_AND_FORWARD);
}

}  // namespace weft
