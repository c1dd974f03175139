// JwtAuthnConfig: one compiled JWT filter: which issuers are known, and which requests need a token
// of which of them. decide/jwt_auth.h evaluates it. Immutable, shared by pointer between Snapshots,
// any thread.
#ifndef WEFT_PROXY_CONFIG_JWT_CONFIG_H_
#define WEFT_PROXY_CONFIG_JWT_CONFIG_H_

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <tuple>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "proxy/config/matchers.h"
#include "proxy/config/route_table.h"

namespace weft {

namespace certs {
class Jwks;
}

// Where the keys of an issuer are fetched from, and how (upstream/jwks_fetch.h does it).
//
// The request goes to the endpoints of `cluster`, wherever they are: that a URI out of a user's
// policy does not lead to loopback or link-local addresses is for the control plane to see to,
// which makes the cluster of it.
struct JwksSource {
  std::string cluster;
  std::string authority;  // of the URI: what Host says
  std::string path;       // with its query
  absl::Duration timeout = absl::Seconds(5);
  absl::Duration cache_duration = absl::Minutes(10);
  absl::Duration failed_refetch = absl::Seconds(1);  // after an attempt that failed
  absl::Duration retry_base = absl::Seconds(1);
  absl::Duration retry_max = absl::Seconds(10);
  uint32_t retries = 0;        // within one attempt
  bool fast_listener = false;  // the listener does not wait for the first attempt

  friend bool operator==(const JwksSource& a, const JwksSource& b) {
    return a.AsTuple() == b.AsTuple();
  }
  friend bool operator<(const JwksSource& a, const JwksSource& b) {
    return a.AsTuple() < b.AsTuple();
  }

 private:
  std::tuple<const std::string&, const std::string&, const std::string&, absl::Duration,
             absl::Duration, absl::Duration, absl::Duration, absl::Duration, uint32_t, bool>
  AsTuple() const {
    return {cluster,        authority,  path,      timeout, cache_duration,
            failed_refetch, retry_base, retry_max, retries, fast_listener};
  }
};

// The keys as they were last fetched; a source that is not there has none. By value: connections
// outlive the listener that they came by, whose providers then are other objects.
using KeySets = std::map<JwksSource, std::shared_ptr<const certs::Jwks>>;

struct JwtProvider {
  struct HeaderPlace {
    std::string name;    // lower case
    std::string prefix;  // "Bearer ", in any case if it is that
  };
  struct ClaimHeader {
    std::string header;             // lower case
    std::vector<std::string> path;  // of the claim
  };

  std::string name;
  std::string issuer;                   // empty: any
  std::vector<std::string> audiences;   // any of them; empty: any
  std::optional<StringMatch> subjects;  // nullopt: any
  bool require_expiration = false;
  absl::Duration max_lifetime = absl::InfiniteDuration();
  absl::Duration clock_skew = absl::Seconds(60);

  // Exactly one.
  std::shared_ptr<const certs::Jwks> local_keys;
  std::shared_ptr<const JwksSource> remote;

  // Where its tokens are looked for.
  std::vector<HeaderPlace> from_headers;
  std::vector<std::string> from_params;
  std::vector<std::string> from_cookies;

  // What becomes of a token once it is verified.
  bool forward = false;                // it stays in the request
  std::string forward_payload_header;  // lower case; empty: none
  bool pad_payload_header = false;
  std::vector<ClaimHeader> claim_headers;
  std::string payload_in_metadata;  // empty: not there
  std::string header_in_metadata;
  std::vector<std::string> space_delimited_claims;  // lists in the metadata
  size_t max_cached_bytes = 0;  // tokens up to this size are remembered; 0: none
};

struct JwtRequirement {
  enum class Kind : uint8_t {
    kProvider,
    kAny,  // `of`
    kAll,  // `of`
    kAllowMissing,
    kAllowMissingOrFailed,
  };
  Kind kind = Kind::kProvider;
  size_t provider = 0;                                // index into JwtAuthnConfig::providers
  std::optional<std::vector<std::string>> audiences;  // instead of the provider's
  std::vector<JwtRequirement> of;
};

struct JwtAuthnConfig {
  std::string stat_prefix;  // in the names of its counters
  struct Rule {
    RouteMatch match;
    std::optional<JwtRequirement> requirement;  // nullopt: none
  };
  std::vector<JwtProvider> providers;  // in the order of their names
  std::vector<Rule> rules;             // the first that matches counts; none: nothing is required
  absl::flat_hash_map<std::string, JwtRequirement> requirements;  // that routes name
  bool bypass_cors_preflight = false;
  bool strip_failure_response = false;
};

// What a route has instead of the rules.
struct JwtRouteConfig {
  bool disabled = false;
  std::string requirement_name;  // in JwtAuthnConfig::requirements
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_JWT_CONFIG_H_
