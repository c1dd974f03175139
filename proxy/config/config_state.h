// ConfigState: what a proxy has been told so far, and the Snapshot that follows from it.
//
// The xDS client feeds it each response and ACKs or NACKs by what Apply() returns; then it takes
// snapshot() to the workers, and subscribes to the names this says are needed. Pure: it knows no
// stream, clock or thread; it belongs to one thread.
//
// Invariants:
//   - A resource that does not compile changes nothing: its last good version stays, the others of
//     the same response take effect, and the error names it.
//   - A Snapshot is complete. A cluster waits for its first endpoints, or the first attempt to
//     resolve each of its names, and the first health check of each endpoint; a route table for
//     clusters that wait, a listener for its route tables, its clusters, its secrets and the first
//     attempt to fetch its JWT keys; while they wait, their previous version, if any, stays.
//   - What a response takes away while something in force refers to it stays until the reference is
//     gone, or the next response of that type comes without it too.
//   - Where EDS, RDS and SDS come from, each resource says itself (config_source.h). A name is one
//     resource, whatever its source.
//   - Unchanged bytes are not compiled again. A changed secret recompiles what names it.
#ifndef WEFT_PROXY_CONFIG_CONFIG_STATE_H_
#define WEFT_PROXY_CONFIG_CONFIG_STATE_H_

#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "api/envoy/type_urls.h"
#include "proxy/config/cluster_config.h"
#include "proxy/config/config_source.h"
#include "proxy/config/secrets.h"
#include "proxy/config/snapshot.h"

namespace envoy::config::bootstrap::v3 {
class Bootstrap;
}

namespace weft {

struct RuntimeValues;

// One resource of a response: the value of its Any. The name may be left empty; the message has it.
struct EncodedResource {
  std::string name;
  std::string bytes;
  std::string version = {};  // of its own, in delta form; else that of the response counts
};

struct ConfigUpdate {
  absl::string_view type_url;
  absl::string_view version;
  absl::Span<const EncodedResource> resources;
  std::vector<std::string> removed;
  // Clusters and listeners: `resources` are all there are.
  bool full = false;
  absl::Time now = absl::UnixEpoch();  // only shown
};

struct RefusedResource {
  std::string error;
  std::string bytes;
  std::string version;
  absl::Time when;
};

// A resource as the admin port shows it. Pointers hold until the state changes.
struct ResourceDescription {
  std::string name;
  const std::string* bytes = nullptr;  // null: only refused ones came
  bool is_static = false;
  bool active = false;   // some version of it is in force
  bool warming = false;  // `bytes` are not in force yet
  std::string version;
  absl::Time updated;
  const RefusedResource* refused = nullptr;  // what came last, if that was refused
};

// The public part of what a TLS context or a secret holds: PEM, and the files it came from.
struct CertificatePair {
  std::string chain_pem;
  std::string chain_path;
  std::string ca_pem;
  std::string ca_path;
};

class ConfigState {
 public:
  // `secrets` holds what is known from the start, the proxy's own certificate above all.
  explicit ConfigState(Secrets secrets = {});
  ~ConfigState();
  ConfigState(const ConfigState&) = delete;
  ConfigState& operator=(const ConfigState&) = delete;

  // A response in state-of-the-world semantics: clusters and listeners are all there are, the other
  // types may be a part of what was subscribed to. The error is the text of a NACK: every resource
  // that was refused, with the path of its field.
  absl::Status Apply(absl::string_view type_url, absl::Span<const EncodedResource> resources);
  // The same in either form.
  absl::Status Apply(const ConfigUpdate& update);

  // The static_resources of a bootstrap: they have nothing to wait for, so what is missing or not
  // supported is an error, and no later response takes them away.
  absl::Status AddStatic(const envoy::config::bootstrap::v3::Bootstrap& bootstrap);

  // Puts another certificate in the place of secret `name` ("default" is the proxy's own).
  void SetCertificate(const std::string& name, TlsCertificate certificate);

  // PEM of what a validation secret trusts for identities of a domain; empty if nothing.
  std::string TrustOf(const std::string& secret, absl::string_view trust_domain) const;

  // Of endpoints, routes or secrets: the names to subscribe to, by source.
  std::map<ConfigSource, std::set<std::string>> NeededOf(absl::string_view type_url) const;
  // Whether it came, or was waited for in vain.
  bool Has(absl::string_view type_url, const std::string& name) const;

  // Folders in which certificates are replaced, and what to do when one was: read them anew. The
  // error names what keeps its last good form.
  std::set<std::string> WatchedFolders() const;
  absl::Status ReloadFilesIn(const std::string& folder);

  // Those of all TLS contexts and secrets, for /certs.
  std::vector<CertificatePair> Certificates() const;

  // In the order of their names.
  std::vector<ResourceDescription> Describe(absl::string_view type_url) const;
  const RuntimeValues& runtime() const;
  // In the resources that came: ignored, but counted.
  size_t unknown_fields() const;

  // Names to subscribe to, sorted.
  std::vector<std::string> EndpointNames() const;
  std::vector<std::string> RouteNames() const;

  // "listener 'x' waits for route table 'y'": for the log and the admin port. Empty once all that
  // came is in force.
  std::vector<std::string> Waiting() const;

  // Stops waiting for what does not come (Envoy's initial_fetch_timeout): a cluster takes effect
  // without endpoints, a listener without routes; what lacks a secret stays out, but nothing else
  // waits for it any more.
  void StopWaitingFor(absl::string_view type_url, const std::string& name);

  // What the DNS clusters need resolved, those that still wait included.
  std::map<dns::Lookup, DnsRefresh> Lookups() const;
  // What a lookup gave. None: there was no answer yet; who has asked for a first answer long enough
  // says so, and the clusters stop waiting for it. Without effect if nothing needs it any more.
  void SetAddresses(const dns::Lookup& lookup, std::vector<Address> addresses);

  // The clusters whose endpoints are to be checked, those that still wait included.
  std::vector<std::shared_ptr<const ClusterConfig>> Checks() const;
  // What checks say of an endpoint now. A cluster that is new waits until each of its endpoints has
  // been checked once. Without effect if nothing needs it any more.
  void SetHealth(const std::string& cluster, const std::string& endpoint_key, CheckedHealth health);

  // Where key sets have to be fetched from, those that a listener still waits for included.
  std::vector<JwksSource> JwksSources() const;
  // What was fetched. Null: the first attempt failed, so nobody waits for it any more. Without
  // effect if no listener needs it.
  void SetJwks(const JwksSource& source, std::shared_ptr<const certs::Jwks> keys);

  // Never null. Another object after each change.
  std::shared_ptr<const Snapshot> snapshot() const { return snapshot_; }

 private:
  struct State;

  std::unique_ptr<State> state_;
  std::shared_ptr<const Snapshot> snapshot_ = std::make_shared<const Snapshot>();
};

}  // namespace weft

#endif  // WEFT_PROXY_CONFIG_CONFIG_STATE_H_
