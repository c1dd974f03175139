#include "proxy/proxy.h"

#include <event2/event.h>
#include <signal.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "api/envoy/bootstrap.pb.h"
#include "certs/certificate.h"
#include "certs/file.h"
#include "proxy/base/log.h"
#include "proxy/config/compile.h"
#include "proxy/upstream/connection.h"

namespace weft {
namespace {

using envoy::config::bootstrap::v3::Bootstrap;

// Marks the proxy's own sockets, so that the capture rules let them pass; Istio's mark.
constexpr uint32_t kProxyMark = 1337;
constexpr char kSidecarAdmin[] = "127.0.0.1:15000";
// Open to the pod's network: the kubelet's probe, and Prometheus.
constexpr const char* kOpenPorts[] = {"0.0.0.0:15021", "0.0.0.0:15090"};
constexpr char kSidecarDns[] = "127.0.0.1:15053";
// A cluster whose endpoints do not come in this time goes without (Envoy's initial_fetch_timeout).
constexpr absl::Duration kInitialFetchTimeout = absl::Seconds(15);
constexpr absl::Duration kDrainPoll = absl::Milliseconds(50);
// How long, and how often to look, until the name of the ADS cluster has been resolved: longer than
// the resolver takes.
constexpr absl::Duration kAdsClusterPatience = absl::Seconds(6);
constexpr absl::Duration kAdsClusterPoll = absl::Milliseconds(10);
// A runtime key that bounds connections where no overload manager does.
constexpr char kMaxConnections[] = "overload.global_downstream_max_connections";

constexpr absl::string_view kSubscribed[] = {kClusterType, kEndpointType, kListenerType,
                                             kRouteType,   kSecretType,   kNameTableType};

bool IsWildcard(absl::string_view type) {
  return type == kClusterType || type == kListenerType || type == kNameTableType;
}

bool HasStaticCluster(const Bootstrap& bootstrap, const std::string& name) {
  for (const auto& cluster : bootstrap.static_resources().clusters()) {
    if (cluster.name() == name) return true;
  }
  return false;
}

}  // namespace

Proxy::Proxy(ProxyOptions options)
    : options_(std::move(options)), config_([] {
        Secrets secrets;
        secrets.read_file = [](const std::string& path) { return certs::ReadFile(path); };
        return secrets;
      }()) {}

Proxy::~Proxy() { tasks_.Cancel(); }

absl::Status Proxy::ConfigureFromBootstrap(const Bootstrap& bootstrap) {
  absl::Status added = config_.AddStatic(bootstrap);
  if (!added.ok()) return added;
  absl::StatusOr<OverloadConfig> overload = CompileOverload(bootstrap.overload_manager());
  if (!overload.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("overload_manager.", overload.status().message()));
  }
  overload_ = *std::move(overload);
  if (overload_.max_connections == 0) {
    absl::StatusOr<RuntimeValues> runtime = CompileRuntime(bootstrap.layered_runtime());
    if (!runtime.ok()) return runtime.status();  // AddStatic has named what is wrong
    overload_.max_connections = static_cast<uint64_t>(runtime->Number(kMaxConnections).value_or(0));
  }
  raw_.bootstrap = bootstrap.SerializeAsString();
  if (bootstrap.has_admin()) {
    const auto& socket = bootstrap.admin().address().socket_address();
    auto address = Address::Ip(socket.address(), static_cast<uint16_t>(socket.port_value()));
    if (!address.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("admin.address: ", address.status().message()));
    }
    admin_address_ = *address;
  }
  if (!bootstrap.dynamic_resources().has_ads_config()) return absl::OkStatus();
  const auto& ads = bootstrap.dynamic_resources().ads_config();
  if (ads.grpc_services().empty() || !ads.grpc_services(0).has_envoy_grpc()) {
    return absl::InvalidArgumentError(
        "dynamic_resources.ads_config.grpc_services[0].envoy_grpc: required, naming a cluster of "
        "static_resources");
  }
  ads_cluster_ = ads.grpc_services(0).envoy_grpc().cluster_name();
  if (!HasStaticCluster(bootstrap, ads_cluster_)) {
    return absl::InvalidArgumentError(
        absl::StrCat("dynamic_resources.ads_config.grpc_services[0].envoy_grpc.cluster_name: no "
                     "cluster '",
                     ads_cluster_, "' in static_resources"));
  }
  AdsClient::Options options;
  options.connect = [this] { return ConnectToAdsCluster(); };
  auto node = bootstrap.node();
  if (!options_.service_node.empty()) node.set_id(options_.service_node);
  if (!options_.service_cluster.empty()) node.set_cluster(options_.service_cluster);
  if (node.user_agent_name().empty()) node.set_user_agent_name("weft-proxy");
  options.node = node.SerializeAsString();
  return StartAds(std::move(options));
}

absl::Status Proxy::ConfigureFromMesh(const MeshEnvironment& environment) {
  mark_ = kProxyMark;
  auto admin = Address::Parse(kSidecarAdmin);
  if (!admin.ok()) return admin.status();
  admin_address_ = *admin;
  mesh_dns_ = environment.role == MeshRole::kSidecar;
  IdentityOptions identity;
  identity.id = environment.id();
  identity.token_path = environment.token_path;
  identity.root_cert_path = environment.root_cert_path;
  identity.discovery = environment.discovery;
  identity.mark = mark_;
  identity_ = std::make_unique<Identity>(loop_, std::move(identity),
                                         [this](const TlsCertificate& certificate) {
                                           config_.SetCertificate("default", certificate);
                                           ConfigChanged();
                                           if (ads_started_) return;
                                           ads_started_ = true;
                                           tasks_.Spawn(ads_->Run());
                                         });
  AdsClient::Options options;
  options.connect = [this] { return identity_->ConnectToControlPlane(); };
  options.connection.scheme = "https";
  options.node = EncodeNode(environment);
  absl::Status started = StartAds(std::move(options));
  if (!started.ok()) return started;
  tasks_.Spawn(identity_->Run());
  return absl::OkStatus();
}

absl::Status Proxy::StartAds(AdsClient::Options options) {
  absl::BitGen random;
  options.seed = absl::Uniform<uint64_t>(random);
  ads_ = std::make_unique<AdsClient>(loop_, std::move(options), this);
  for (absl::string_view type : kSubscribed) {
    ads_->Subscribe(type,
                    IsWildcard(type) ? Subscription::Scope::kAll : Subscription::Scope::kNamed);
  }
  ads_->SetNames(kSecretType, {"ROOTCA"});
  return absl::OkStatus();
}

Task<absl::StatusOr<std::unique_ptr<ByteStream>>> Proxy::ConnectToAdsCluster() {
  const MonotonicTime give_up = loop_.Now() + kAdsClusterPatience;
  while (config_.snapshot()->FindCluster(ads_cluster_) == nullptr && loop_.Now() < give_up) {
    co_await Sleep(loop_, kAdsClusterPoll);
  }
  const std::shared_ptr<const Snapshot> snapshot = config_.snapshot();
  const ClusterConfig* cluster = snapshot->FindCluster(ads_cluster_);
  if (cluster == nullptr || cluster->endpoints->endpoints.empty()) {
    co_return absl::UnavailableError(absl::StrCat("cluster '", ads_cluster_, "' has no endpoint"));
  }
  auto connection =
      co_await ConnectUpstream(loop_, *cluster, cluster->endpoints->endpoints.front(), mark_);
  if (!connection.ok()) co_return connection.status();
  co_return std::move((*connection)->stream);
}

absl::Status Proxy::OnResources(const ResourceUpdate& update) {
  std::vector<EncodedResource> resources;
  for (const auto& [name, bytes] : update.sent) resources.push_back({name, bytes});
  absl::Status applied = config_.Apply(update.type_url, resources);
  if (applied.ok()) {
    RawConfig::Type& raw = raw_.types[std::string(update.type_url)];
    raw.version = update.version;
    if (IsWildcard(update.type_url)) raw.resources.clear();
    for (const auto& [name, bytes] : update.sent) raw.resources[name] = bytes;
  } else {
    Log(LogLevel::kWarning, "config_rejected",
        {{"type", std::string(update.type_url)}, {"error", std::string(applied.message())}});
  }
  ads_->SetNames(kEndpointType, config_.EndpointNames());
  ads_->SetNames(kRouteType, config_.RouteNames());
  ConfigChanged();
  return applied;
}

void Proxy::OnStream(const absl::Status& status) {
  if (status.ok()) {
    Log(LogLevel::kInfo, "ads_connected");
  } else {
    Log(LogLevel::kWarning, "ads_disconnected", {{"reason", std::string(status.message())}});
  }
}

void Proxy::ConfigChanged() { changed_.Notify(); }

// Gives each new Snapshot to the workers, one at a time: what comes meanwhile goes with the next.
Task<> Proxy::PublishWhenChanged() {
  while (true) {
    while (config_.snapshot() == published_) co_await Wait(loop_, {&changed_});
    dns_clusters_->Follow(config_.Lookups());  // a name of /etc/hosts is there when this returns
    health_checks_->Follow(config_.Checks());
    published_ = config_.snapshot();
    if (dns_ != nullptr) dns_->SetTable(published_->names);
    const bool first = !live_;
    // Of this snapshot: what comes while the workers take it is in the next.
    const bool complete =
        config_.Waiting().empty() && (ads_ == nullptr || !published_->listeners.empty());
    absl::Status adopted = co_await workers_->Adopt(published_);
    if (!adopted.ok()) {
      Log(LogLevel::kError, "listener_failed", {{"error", std::string(adopted.message())}});
    }
    if (!first) continue;
    if (ads_ == nullptr && !adopted.ok()) {
      adopted_ = adopted;
      loop_.Stop();
      co_return;
    }
    if (!complete) continue;
    live_ = true;
    Log(LogLevel::kInfo, "live",
        {{"listeners", absl::StrCat(published_->listeners.size())},
         {"clusters", absl::StrCat(published_->clusters.size())}});
  }
}

Task<> Proxy::StopWaitingLater() {
  co_await Sleep(loop_, kInitialFetchTimeout);
  config_.StopWaitingForEndpoints();
  ConfigChanged();
}

Task<> Proxy::DrainThenStop() {
  Log(LogLevel::kInfo, "draining");
  draining_ = true;
  workers_->StartDrain(DrainOrder());
  const MonotonicTime end = loop_.Now() + options_.drain_time;
  while (loop_.Now() < end) {
    const size_t connections = co_await workers_->CountConnections();
    if (connections == 0) break;
    co_await Sleep(loop_, kDrainPoll);
  }
  loop_.Stop();
}

// What the admin port asks for.
void Proxy::Drain(const DrainRequest& request) {
  DrainOrder order;
  order.inbound_only = request.inbound_only;
  order.keep_listening = request.graceful;
  if (request.graceful && std::exchange(draining_gracefully_, true)) return;
  workers_->StartDrain(order);
  if (request.graceful && !request.keep_listeners) tasks_.Spawn(CloseListenersLater(order));
}

Task<> Proxy::CloseListenersLater(DrainOrder order) {
  co_await Sleep(loop_, options_.drain_time);
  order.keep_listening = false;
  workers_->StartDrain(order);
}

void Proxy::OnSignal(int, short, void* self) {
  Proxy* proxy = static_cast<Proxy*>(self);
  if (proxy->draining_) {
    proxy->loop_.Stop();  // asked twice
  } else {
    proxy->tasks_.Spawn(proxy->DrainThenStop());
  }
}

ServerState Proxy::State() const {
  if (draining_ || !healthy_) return ServerState::kDraining;
  if (live_) return ServerState::kLive;
  return published_ == nullptr ? ServerState::kPreInitializing : ServerState::kInitializing;
}

std::vector<ServerMetric> Proxy::ServerMetrics() const {
  std::vector<ServerMetric> metrics;
  const auto add = [&](const char* name, bool gauge, double value) {
    metrics.push_back({"server", name, gauge, value});
  };
  add("live", true, State() == ServerState::kLive ? 1 : 0);
  if (overload_monitor_ != nullptr) {
    const Overload& overload = overload_monitor_->state();
    add("overload_heap_pressure_percent", true, 100 * overload_monitor_->heap_pressure());
    add("overload_heap_shrinks", false, static_cast<double>(overload_monitor_->shrinks()));
    add("overload_stop_accepting_requests", true, overload.stop_accepting_requests);
    add("overload_stop_accepting_connections", true, overload.stop_accepting_connections);
    add("overload_reject_incoming_connections", true, overload.reject_incoming_connections);
    add("overload_disable_http_keepalive", true, overload.disable_http_keepalive);
  }
  add("concurrency", true, static_cast<double>(workers_->size()));
  if (ads_ != nullptr) {
    add("ads_streams", false, static_cast<double>(ads_->stats().streams));
    add("ads_update_success", false, static_cast<double>(ads_->stats().accepted));
    add("ads_update_rejected", false, static_cast<double>(ads_->stats().rejected));
  }
  if (dns_ != nullptr) {
    add("dns_queries", false, static_cast<double>(dns_->counters().queries));
    add("dns_answered", false, static_cast<double>(dns_->counters().answered));
    add("dns_forwarded", false, static_cast<double>(dns_->counters().forwarded));
    add("dns_malformed", false, static_cast<double>(dns_->counters().malformed));
    add("dns_failed", false, static_cast<double>(dns_->counters().failed));
  }
  return metrics;
}

std::string Proxy::Certificates() const {
  using Json = nlohmann::ordered_json;
  Json chain = Json::array();
  if (identity_ != nullptr && identity_->has_certificate()) {
    auto parsed = certs::ParseCertificates(identity_->certificate().chain_pem);
    if (parsed.ok()) {
      for (const certs::Certificate& certificate : *parsed) {
        const certs::CertificateDescription d = certs::DescribeCertificate(certificate);
        Json names = Json::array();
        for (const std::string& uri : d.subject_alt_names.uris) names.push_back({{"uri", uri}});
        chain.push_back({{"serial_number", d.serial_number},
                         {"subject_alt_names", names},
                         {"valid_from", absl::FormatTime(d.valid_from, absl::UTCTimeZone())},
                         {"expiration_time", absl::FormatTime(d.expiration, absl::UTCTimeZone())}});
      }
    }
  }
  Json certificates = Json::array();
  if (!chain.empty()) certificates.push_back({{"cert_chain", chain}});
  return Json{{"certificates", certificates}}.dump(1) + "\n";
}

absl::Status Proxy::StartAdmin(const Address& address) {
  AdminView view;
  view.workers = workers_.get();
  view.raw = &raw_;
  view.snapshot = [this] { return config_.snapshot(); };
  view.state = [this] { return State(); };
  view.waiting = [this] { return config_.Waiting(); };
  view.server_metrics = [this] { return ServerMetrics(); };
  view.certificates = [this] { return Certificates(); };
  view.drain = [this](const DrainRequest& request) { Drain(request); };
  view.set_healthy = [this](bool healthy) {
    healthy_ = healthy;
    workers_->SetHealthy(healthy);
  };
  view.quit = [this] { loop_.Stop(); };
  admin_endpoints_ = std::make_unique<AdminEndpoints>(std::move(view));
  auto started = AdminServer::Start(loop_, address, admin_endpoints_.get());
  if (!started.ok()) {
    return absl::Status(started.status().code(),
                        absl::StrCat("admin port: ", started.status().message()));
  }
  admin_ = std::move(*started);
  return absl::OkStatus();
}

absl::Status Proxy::StartOpenPorts() {
  for (const char* text : kOpenPorts) {
    auto address = Address::Parse(text);
    if (!address.ok()) return address.status();
    auto started = AdminServer::Start(loop_, *address, admin_endpoints_->open());
    if (!started.ok()) return started.status();
    open_ports_.push_back(std::move(*started));
  }
  return absl::OkStatus();
}

absl::Status Proxy::StartDns() {
  dns::DnsServer::Options options;
  auto listen = Address::Parse(kSidecarDns);
  if (!listen.ok()) return listen.status();
  options.listen = *listen;
  auto resolv_conf = certs::ReadFile("/etc/resolv.conf");
  if (resolv_conf.ok()) options.upstreams = dns::ParseNameservers(*resolv_conf);
  options.mark = mark_;
  auto started = dns::DnsServer::Start(loop_, std::move(options));
  if (!started.ok()) return started.status();
  dns_ = std::move(*started);
  return absl::OkStatus();
}

void Proxy::StartDnsClusters() {
  dns::Resolver::Options options;
  options.mark = mark_;
  resolver_ = std::make_unique<dns::Resolver>(loop_, std::move(options));
  dns_clusters_ = std::make_unique<DnsClusters>(
      loop_, *resolver_, [this](const dns::Lookup& lookup, std::vector<Address> addresses) {
        config_.SetAddresses(lookup, std::move(addresses));
        ConfigChanged();
      });
  health_checks_ = std::make_unique<HealthChecks>(
      loop_, mark_,
      [this](const std::string& cluster, const std::string& endpoint, CheckedHealth health) {
        config_.SetHealth(cluster, endpoint, health);
        ConfigChanged();
      });
}

absl::Status Proxy::Run() {
  WorkerOptions worker_options;
  worker_options.mark = mark_;
  worker_options.max_connections = overload_.max_connections;
  worker_options.drain_time = options_.drain_time;
  workers_ = std::make_unique<Workers>(loop_, options_.concurrency, worker_options);
  if (admin_address_.family() != AF_UNSPEC) {
    absl::Status started = StartAdmin(admin_address_);
    if (!started.ok()) return started;
  }
  if (identity_ != nullptr) {
    absl::Status started = StartOpenPorts();
    if (!started.ok()) return started;
  }
  if (mesh_dns_) {
    absl::Status started = StartDns();
    if (!started.ok()) return started;
  }
  signal(SIGPIPE, SIG_IGN);
  event* on_term = evsignal_new(loop_.base(), SIGTERM, OnSignal, this);
  event* on_int = evsignal_new(loop_.base(), SIGINT, OnSignal, this);
  evsignal_add(on_term, nullptr);
  evsignal_add(on_int, nullptr);

  StartDnsClusters();
  overload_monitor_ = std::make_unique<OverloadMonitor>(loop_, overload_, *workers_);
  tasks_.Spawn(overload_monitor_->Run());
  tasks_.Spawn(PublishWhenChanged());
  if (ads_ != nullptr) {
    tasks_.Spawn(StopWaitingLater());
    if (identity_ == nullptr) tasks_.Spawn(ads_->Run());
  }
  loop_.Run();

  event_free(on_term);
  event_free(on_int);
  tasks_.Cancel();
  dns_clusters_.reset();
  health_checks_.reset();
  open_ports_.clear();
  admin_.reset();
  workers_.reset();
  return adopted_;
}

}  // namespace weft
