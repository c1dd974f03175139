// Proxy: the process. The main thread holds config, identity, admin port and mesh DNS on one loop;
// the data plane runs on the Workers' threads and sees Snapshots only.
#ifndef WEFT_PROXY_PROXY_H_
#define WEFT_PROXY_PROXY_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "proxy/admin/endpoints.h"
#include "proxy/config/config_state.h"
#include "proxy/dns/resolver.h"
#include "proxy/dns/server.h"
#include "proxy/mesh_environment.h"
#include "proxy/overload_monitor.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/serve/workers.h"
#include "proxy/upstream/dns_clusters.h"
#include "proxy/upstream/health_checks.h"
#include "proxy/upstream/jwks_fetch.h"
#include "proxy/xds/config_sources.h"
#include "proxy/xds/identity.h"

namespace envoy::config::bootstrap::v3 {
class Bootstrap;
}
namespace envoy::config::core::v3 {
class ConfigSource;
}

namespace weft {

struct ProxyOptions {
  size_t concurrency = 1;
  absl::Duration drain_time = absl::Seconds(5);
  std::string service_node;  // over node.id of the bootstrap
  std::string service_cluster;
  std::string config_path;         // only shown
  std::string admin_address_path;  // file to write the admin port's address to; "": none
};

class Proxy {
 public:
  explicit Proxy(ProxyOptions options);
  ~Proxy();

  // What a bootstrap file says: static resources, and where the others come from.
  absl::Status ConfigureFromBootstrap(const envoy::config::bootstrap::v3::Bootstrap& bootstrap);
  // A sidecar or gateway of the mesh: identity and all config from weftd.
  absl::Status ConfigureFromMesh(const MeshEnvironment& environment);

  // Serves until SIGTERM or SIGINT (drains, then ends) or /quitquitquit. The error says why it
  // could not start.
  absl::Status Run();

 private:
  using Bootstrap = envoy::config::bootstrap::v3::Bootstrap;

  void MakeSources(std::string node);
  absl::Status AddSources(const Bootstrap& bootstrap);
  absl::Status AddAds(const Bootstrap& bootstrap);
  absl::Status AddAll(absl::string_view type_url, const envoy::config::core::v3::ConfigSource& from,
                      const Bootstrap& bootstrap);
  // Whether anything comes from elsewhere than the bootstrap.
  bool dynamic() const { return sources_ != nullptr && sources_->any(); }
  absl::Status StartAdmin(const Address& address);
  absl::Status StartOpenPorts();
  absl::Status StartDns();
  void StartDnsClusters();
  void StartJwksFetch();
  Task<absl::StatusOr<std::unique_ptr<ByteStream>>> ConnectToCluster(std::string name);

  void ConfigChanged();
  Task<> PublishWhenChanged();
  Task<> DrainThenStop();
  void Drain(const DrainRequest& request);
  Task<> CloseListenersLater(DrainOrder order);
  static void OnSignal(int, short, void* self);
  ServerState State() const;
  std::vector<ServerMetric> ServerMetrics() const;
  void AddSourceMetrics(std::vector<ServerMetric>& metrics) const;
  std::string Certificates() const;

  const ProxyOptions options_;
  EventLoop loop_;
  ConfigState config_;
  std::string bootstrap_;    // serialized, for the admin port
  std::string server_info_;  // JSON
  OverloadConfig overload_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<OverloadMonitor> overload_monitor_;
  std::optional<uint32_t> mark_;
  std::unique_ptr<Identity> identity_;
  std::unique_ptr<ConfigSources> sources_;
  std::vector<std::unique_ptr<dns::DnsServer>> dns_;  // one for each IP family
  std::unique_ptr<dns::Resolver> resolver_;
  std::unique_ptr<DnsClusters> dns_clusters_;  // after its resolver
  std::unique_ptr<HealthChecks> health_checks_;
  std::unique_ptr<JwksFetch> jwks_fetch_;
  std::unique_ptr<AdminEndpoints> admin_endpoints_;
  std::unique_ptr<AdminServer> admin_;
  std::vector<std::unique_ptr<AdminServer>> open_ports_;

  Address admin_address_;
  bool mesh_dns_ = false;
  bool live_ = false;
  bool draining_ = false;
  bool draining_gracefully_ = false;  // as the admin port asked: asking again says nothing new
  bool healthy_ = true;
  absl::Status adopted_;  // of the first snapshot
  std::shared_ptr<const Snapshot> published_;
  Signal changed_;
  Scope tasks_;  // last: its tasks use all of the above
};

}  // namespace weft

#endif  // WEFT_PROXY_PROXY_H_
