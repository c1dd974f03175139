// Metrics: what weftd counts, under the names that dashboards of the ecosystem know. Thread-safe.
#ifndef WEFT_CONTROLPLANE_DEBUG_METRICS_H_
#define WEFT_CONTROLPLANE_DEBUG_METRICS_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace weft {

class Metrics {
 public:
  Metrics();
  ~Metrics();

  void ProxyConnected();
  void ProxyDisconnected();
  void Pushed(absl::string_view type);    // "cds", …
  void Rejected(absl::string_view type);  // a NACK
  // One response, from the look at what is due to its last byte being handed on.
  void Written(absl::string_view type, absl::Duration took);
  // From a change of the World to the last write of what it means for one proxy.
  void Converged(absl::Duration took);
  void SetPeers(int configured, int synced);
  // Clusters that are read by their API servers, of Secrets.
  struct Remotes {
    int configured = 0;
    int synced = 0;   // and connected
    int refused = 0;  // kubeconfigs that cannot be used
  };
  void SetRemotes(const Remotes& remotes);
  // The CA that signs.
  struct Ca {
    absl::Time root_end;
    absl::Time end;        // of all that it signs
    bool refused = false;  // one that others made is there, and cannot be used
  };
  void SetCa(const Ca& ca);
  // What a proxyless client says of its calls to one cluster since it last did.
  struct Load {
    uint64_t succeeded = 0;
    uint64_t failed = 0;
    uint64_t dropped = 0;
  };
  void Loaded(const std::string& cluster, const Load& load);
  // What came of a pod that the injecting webhook was asked about.
  enum class Injection { kDone, kSkipped, kFailed };
  void Injected(Injection result);
  // What the validating webhook said of an object.
  void Validated(bool allowed);

  std::string Text() const;  // Prometheus' text format

 private:
  struct Series;
  std::unique_ptr<Series> series_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_DEBUG_METRICS_H_
