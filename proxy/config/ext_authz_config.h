// ExtAuthzConfig: one compiled ext_authz filter: which service is asked whether a request may pass,
// what it is told, and what its answer may change. decide/ext_authz.h evaluates it,
// serve/ext_authz_filter.h asks. Immutable, shared by pointer between Snapshots, any thread.
#ifndef WEFT_PROXY_CONFIG_EXT_AUTHZ_CONFIG_H_
#define WEFT_PROXY_CONFIG_EXT_AUTHZ_CONFIG_H_

#include <cstddef>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proxy/config/fraction.h"
#include "proxy/config/header_mutations.h"
#include "proxy/config/matchers.h"
#include "proxy/config/metadata_match.h"

namespace weft {

// Some names of fields, in any case.
struct HeaderNames {
  std::vector<StringMatch> matches;

  bool Has(absl::string_view name) const;
};

// What is asked of the metadata that RBAC's shadow rules leave (decide/shadow_verdict.h).
struct ShadowMatch {
  std::string key;
  ValueMatch value;
  bool invert = false;
};

struct ExtAuthzConfig {
  // Asked by a request like the client's.
  struct Http {
    std::string path_prefix;
    HeaderNames upstream;               // of an OK: fields that replace the request's
    HeaderNames upstream_append;        // fields that are added to the request's own
    HeaderNames client_on_ok;           // fields that the client's response gets
    std::optional<HeaderNames> client;  // of a denial; nullopt: all
  };
  // Asked by a call of envoy.service.auth.v3.Authorization.
  struct Grpc {
    std::string authority;
  };
  std::variant<Http, Grpc> service;
  std::string cluster;
  absl::Duration timeout = absl::Milliseconds(200);
  HeaderMutations check_headers;  // what the question gets besides

  // What of the request's fields is told; nullopt: over HTTP none, over gRPC all.
  std::optional<HeaderNames> told_headers;
  // The start of its body too, up to this size; nullopt: nothing.
  std::optional<size_t> most_body;
  bool partial_body = false;  // a body that is longer is told in part, else refused with 413
  bool body_as_bytes = false;
  bool tells_server_name = false;
  std::vector<std::string> metadata_namespaces;

  bool allow_on_error = false;
  int status_on_error = 403;
  bool clear_route_cache = false;

  // Of which requests it is asked at all: a share of those whose metadata match.
  Fraction enabled;
  std::optional<ShadowMatch> enabled_by;
  bool deny_at_disable = false;  // the others are refused

  std::string stat_prefix;  // in the names of its counters
};

// What a route has of its own.
struct ExtAuthzRouteConfig {
  bool disabled = false;
  bool without_body = false;
  std::map<std::string, std::string> context_extensions;
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_EXT_AUTHZ_CONFIG_H_
