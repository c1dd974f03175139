// What the admin port answers: Envoy's paths, as far as they mean something here.
#ifndef WEFT_PROXY_ADMIN_ENDPOINTS_H_
#define WEFT_PROXY_ADMIN_ENDPOINTS_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "proxy/admin/http_server.h"
#include "proxy/admin/metrics.h"
#include "proxy/config/config_state.h"
#include "proxy/config/snapshot.h"
#include "proxy/serve/workers.h"

namespace weft {

enum class ServerState { kPreInitializing, kInitializing, kLive, kDraining };

// What POST /drain_listeners asks for.
struct DrainRequest {
  bool inbound_only = false;
  // Clients are asked to go first, and listeners close after the drain time; not even then if they
  // are to be kept.
  bool graceful = false;
  bool keep_listeners = false;
};

// The process as the admin port sees it. Borrowed pointers live as long as the endpoints.
struct AdminView {
  Workers* workers = nullptr;
  const ConfigState* config = nullptr;
  const std::string* bootstrap = nullptr;  // serialized; "" if there was none
  std::string server_info;                 // JSON object: what /server_info says besides the state
  std::string runtime;                     // /runtime as JSON
  std::function<std::shared_ptr<const Snapshot>()> snapshot;
  std::function<ServerState()> state;
  std::function<std::vector<std::string>()> waiting;  // what config waits for
  std::function<std::vector<ServerMetric>()> server_metrics;
  std::function<std::string()> certificates;  // /certs as JSON
  std::function<void(const DrainRequest&)> drain;
  std::function<void(bool healthy)> set_healthy;
  std::function<void()> quit;
};

class AdminEndpoints : public AdminHandler {
 public:
  explicit AdminEndpoints(AdminView view) : view_(std::move(view)) {}
  Task<AdminResponse> Handle(AdminRequest request) override;

  // What others than the operator may ask, on ports that are open to the pod's network: readiness
  // for the kubelet and counters for Prometheus.
  AdminHandler* open() { return &open_; }

 private:
  class Open : public AdminHandler {
   public:
    explicit Open(AdminEndpoints& all) : all_(all) {}
    Task<AdminResponse> Handle(AdminRequest request) override;

   private:
    AdminEndpoints& all_;
  };

  AdminResponse Ready() const;
  AdminResponse ServerInfo() const;
  AdminResponse Listeners(const AdminRequest& request) const;
  AdminResponse Dump(const AdminRequest& request) const;
  Task<AdminResponse> Clusters(AdminRequest request);
  Task<AdminResponse> Stats(AdminRequest request, bool prometheus);
  Task<AdminResponse> Change(AdminRequest request);
  AdminResponse Drain(const AdminRequest& request);

  const AdminView view_;
  const absl::Time started_ = absl::Now();
  Open open_{*this};
};

}  // namespace weft

#endif  // WEFT_PROXY_ADMIN_ENDPOINTS_H_
