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
#include "proxy/config/raw_config.h"
#include "proxy/dns/resolver.h"
#include "proxy/dns/server.h"
#include "proxy/mesh_environment.h"
#include "proxy/overload_monitor.h"
#include "proxy/runtime/event_loop.h"
#include "proxy/runtime/scope.h"
#include "proxy/serve/workers.h"
#include "proxy/upstream/dns_clusters.h"
#include "proxy/upstream/health_checks.h"
#include "proxy/xds/ads_client.h"
#include "proxy/xds/identity.h"

namespace envoy::config::bootstrap::v3 {
class Bootstrap;
}

namespace weft {

struct ProxyOptions {
  size_t concurrency = 1;
  absl::Duration drain_time = absl::Seconds(5);
  std::string service_node;  // over node.id of the bootstrap
  std::string service_cluster;
};

class Proxy : public AdsObserver {
 public:
  explicit Proxy(ProxyOptions options);
  ~Proxy() override;

  // What a bootstrap file says: static resources, and ADS from one of its clusters.
  absl::Status ConfigureFromBootstrap(const envoy::config::bootstrap::v3::Bootstrap& bootstrap);
  // A sidecar or gateway of the mesh: identity and all config from weftd.
  absl::Status ConfigureFromMesh(const MeshEnvironment& environment);

  // Serves until SIGTERM or SIGINT (drains, then ends) or /quitquitquit. The error says why it
  // could not start.
  absl::Status Run();

 private:
  absl::Status OnResources(const ResourceUpdate& update) override;
  void OnStream(const absl::Status& status) override;

  absl::Status StartAds(AdsClient::Options options);
  absl::Status StartAdmin(const Address& address);
  absl::Status StartOpenPorts();
  absl::Status StartDns();
  void StartDnsClusters();
  Task<absl::StatusOr<std::unique_ptr<ByteStream>>> ConnectToAdsCluster();

  void ConfigChanged();
  Task<> PublishWhenChanged();
  Task<> StopWaitingLater();
  Task<> DrainThenStop();
  void Drain(const DrainRequest& request);
  Task<> CloseListenersLater(DrainOrder order);
  static void OnSignal(int, short, void* self);
  ServerState State() const;
  std::vector<ServerMetric> ServerMetrics() const;
  std::string Certificates() const;

  const ProxyOptions options_;
  EventLoop loop_;
  ConfigState config_;
  RawConfig raw_;
  OverloadConfig overload_;
  std::unique_ptr<Workers> workers_;
  std::unique_ptr<OverloadMonitor> overload_monitor_;
  std::optional<uint32_t> mark_;
  std::string ads_cluster_;  // static cluster that ADS comes from
  std::unique_ptr<Identity> identity_;
  std::unique_ptr<AdsClient> ads_;
  std::unique_ptr<dns::DnsServer> dns_;
  std::unique_ptr<dns::Resolver> resolver_;
  std::unique_ptr<DnsClusters> dns_clusters_;  // after its resolver
  std::unique_ptr<HealthChecks> health_checks_;
  std::unique_ptr<AdminEndpoints> admin_endpoints_;
  std::unique_ptr<AdminServer> admin_;
  std::vector<std::unique_ptr<AdminServer>> open_ports_;

  Address admin_address_;
  bool mesh_dns_ = false;
  bool ads_started_ = false;
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
