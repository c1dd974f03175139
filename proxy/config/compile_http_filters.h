// From the HTTP filters of a connection manager, and what routes say of them, to their configs.
// Only compile_*.cc include this.
#ifndef WEFT_PROXY_CONFIG_COMPILE_HTTP_FILTERS_H_
#define WEFT_PROXY_CONFIG_COMPILE_HTTP_FILTERS_H_

#include <google/protobuf/any.pb.h>
#include <google/protobuf/map.h>

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "api/envoy/http_connection_manager.pb.h"
#include "proxy/config/http_filters.h"
#include "proxy/config/listener_config.h"
#include "proxy/config/secrets.h"

namespace weft {

// The list without the router, which has to be the last; what that one says is set too.
absl::Status CompileHttpFilters(
    const envoy::extensions::filters::network::http_connection_manager::v3::HttpConnectionManager&
        from,
    const Secrets& secrets, HttpManagerConfig& to);

// What one level (a route, a virtual host, …) says in its typed_per_filter_config.
absl::StatusOr<FilterOverrides> CompileFilterOverrides(
    const google::protobuf::Map<std::string, google::protobuf::Any>& from, const Secrets& secrets);

// Adds to `specific` what a level above it says.
void InheritOverrides(const FilterOverrides& general, FilterOverrides& specific);

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_COMPILE_HTTP_FILTERS_H_
