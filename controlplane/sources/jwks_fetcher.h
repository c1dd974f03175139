// JwksFetcher: keeps the key sets fetched that RequestAuthentications name by a jwksUri.
//
// Each URI has a task that resolves its host, connects to an address that it is allowed to go to,
// asks, tells the keys, sleeps, and goes again. The address that was judged is the one that is
// connected to, so a name that leads elsewhere a moment later (DNS rebinding) leads nowhere. A
// failure tells nothing: whoever holds the last good keys keeps them. Servers of https are verified
// by the system's roots and the URI's host. Redirects are not followed. Where the URI is an issuer's
// discovery document, the one that it names is asked next, and judged alike.
//
// One loop, one thread.
#ifndef WEFT_CONTROLPLANE_SOURCES_JWKS_FETCHER_H_
#define WEFT_CONTROLPLANE_SOURCES_JWKS_FETCHER_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "controlplane/model/jwks_uri.h"
#include "proxy/dns/resolver.h"
#include "proxy/net/byte_stream.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

// Where Debian and Alpine, and so most images, keep the roots that the system trusts.
inline constexpr char kSystemRoots[] = "/etc/ssl/certs/ca-certificates.crt";

class JwksFetcher {
 public:
  // `jwks` was parsed once and has usable keys. Called when it is another than before. May not call
  // Follow().
  using OnKeys = std::function<void(const std::string& uri, const std::string& jwks)>;
  using Forbidden = bool (*)(absl::string_view ip_bytes);

  struct Options {
    std::string roots_pem;  // empty: no https server is believed
    dns::Resolver::Options dns = {};
    Forbidden forbidden = IsForbiddenJwksAddress;
    absl::Duration refresh = absl::Minutes(20);  // as often as Istio
    absl::Duration first_pause = absl::Seconds(1);
    absl::Duration longest_pause = absl::Seconds(60);
    uint64_t seed = 0;  // of the jitter
    OnKeys on_keys;
  };

  // `loop` must outlive this.
  JwksFetcher(EventLoop& loop, Options options);

  // Fetches these from now on and no others; by URI, how long one attempt may take.
  void Follow(const std::map<std::string, absl::Duration>& uris);

 private:
  struct Followed {
    absl::Duration timeout;
    std::unique_ptr<Scope> task;
  };

  Task<> KeepFetched(std::string uri, absl::Duration timeout);
  Task<absl::StatusOr<std::string>> Fetch(JwksUri uri, MonotonicTime deadline);
  Task<absl::StatusOr<std::string>> Get(JwksUri uri, MonotonicTime deadline);
  Task<absl::StatusOr<std::vector<Address>>> AddressesOf(JwksUri uri);
  Task<absl::StatusOr<std::unique_ptr<ByteStream>>> ConnectTo(JwksUri uri, MonotonicTime deadline);
  absl::Duration Jittered(absl::Duration duration);

  EventLoop& loop_;
  const Options options_;
  dns::Resolver resolver_;
  std::minstd_rand random_;
  std::map<std::string, Followed> followed_;  // by URI; declared last: its tasks use the rest
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_SOURCES_JWKS_FETCHER_H_
