// What stands before every port of a workload: who it is that asks (RequestAuthentication), and
// whether they may (AuthorizationPolicy). For .cc files only: it includes generated headers.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_GUARDS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_GUARDS_H_

#include <vector>

#include "api/envoy/http_connection_manager.pb.h"
#include "api/envoy/listener.pb.h"
#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace weft {

struct Guards {
  // In their order.
  std::vector<envoy::extensions::filters::network::http_connection_manager::v3::HttpFilter> http;
  std::vector<envoy::config::listener::v3::Filter> tcp;
  bool asks_path = false;
};

Guards GuardsOf(const TranslationIndex& index, const ProxyView& view);

// Before what `http` has. The router is its last one, so filters that routes give orders to come
// after these.
void AddGuards(
    const Guards& guards,
    envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager& http);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_GUARDS_H_
