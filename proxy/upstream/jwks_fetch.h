// JwksFetch: keeps the key sets of token issuers fetched, on the main thread.
//
// Configuration says which (ConfigState::JwksSources); each has a task that fetches it over
// HTTP/1.1 from an endpoint of its cluster, tells the keys (to ConfigState::SetJwks), sleeps, and
// goes again. The first attempt is always told, null if it failed, so that nobody waits for it
// longer than its time limits. After that a failure tells nothing: the last good keys stay, since
// an issuer that is away for a minute must not lock everybody out. Where there never were any,
// nobody gets in.
//
// An answer is taken if it is a 200 with a key set of at most Jwks::kMaxBytes. Redirects are not
// followed: they would lead where config did not say.
#ifndef WEFT_PROXY_UPSTREAM_JWKS_FETCH_H_
#define WEFT_PROXY_UPSTREAM_JWKS_FETCH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "certs/jwks.h"
#include "proxy/config/cluster_config.h"
#include "proxy/config/jwt_config.h"
#include "proxy/runtime/scope.h"
#include "proxy/runtime/task.h"

namespace weft {

class JwksFetch {
 public:
  using FindCluster = std::function<std::shared_ptr<const ClusterConfig>(const std::string& name)>;
  using OnKeys =
      std::function<void(const JwksSource& source, std::shared_ptr<const certs::Jwks> keys)>;

  struct Options {
    FindCluster find_cluster;  // null: there is no such cluster, or not yet
    OnKeys on_keys;            // never from within Follow()
    std::optional<uint32_t> mark;
    uint64_t seed = 0;  // of the jitter
  };
  struct Stats {
    uint64_t fetched = 0;
    uint64_t failed = 0;
  };

  // `loop` must outlive this.
  JwksFetch(EventLoop& loop, Options options);

  // Fetches these from now on and no others. Not from `on_keys`.
  void Follow(const std::vector<JwksSource>& sources);

  const Stats& stats() const { return stats_; }

 private:
  Task<> KeepFetched(JwksSource source);
  Task<absl::StatusOr<std::shared_ptr<const certs::Jwks>>> Attempt(const JwksSource& source);
  Task<std::shared_ptr<const ClusterConfig>> AwaitCluster(const JwksSource& source);
  Task<absl::StatusOr<std::string>> FetchOnce(const JwksSource& source, size_t turn);
  absl::Duration Jittered(absl::Duration duration);

  EventLoop& loop_;
  const Options options_;
  Stats stats_;
  std::minstd_rand random_;
  std::map<JwksSource, std::unique_ptr<Scope>> tasks_;
};

}  // namespace weft

#endif  // WEFT_PROXY_UPSTREAM_JWKS_FETCH_H_
