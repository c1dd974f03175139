#include "proxy/proxy.h"

#include <event2/event.h>
#include <signal.h>

#include <nlohmann/json.hpp>
#include <utility>

#include "absl/random/random.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/types/span.h"
#include "api/envoy/bootstrap.pb.h"
#include "api/yaml/yaml_to_message.h"
#include "certs/file.h"
#include "proxy/admin/certificates.h"
#include "proxy/base/log.h"
#include "proxy/base/startup_memory.h"
#include "proxy/config/check_bootstrap.h"
#include "proxy/config/fields.h"
#include "proxy/config/runtime_values.h"
#include "proxy/net/udp.h"
#include "proxy/upstream/connection.h"

namespace weft {
namespace {

using envoy::config::bootstrap::v3::Bootstrap;
using envoy::config::core::v3::ApiConfigSource;

// Marks the proxy's own sockets, so that the capture rules let them pass; Istio's mark.
constexpr uint32_t kProxyMark = 1337;
constexpr char kSidecarAdmin[] = "127.0.0.1:15000";
// Open to the pod's network: the kubelet's probe, and Prometheus.
constexpr const char* kOpenPorts[] = {"0.0.0.0:15021", "0.0.0.0:15090", "[::]:15021", "[::]:15090"};
constexpr const char* kSidecarDns[] = {"127.0.0.1:15053", "[::1]:15053"};
constexpr absl::Duration kDrainPoll = absl::Milliseconds(50);
// How long, and how often to look, until the name of the ADS cluster has been resolved: longer than
// the resolver takes.
constexpr absl::Duration kAdsClusterPatience = absl::Seconds(6);
constexpr absl::Duration kAdsClusterPoll = absl::Milliseconds(10);
// A runtime key that bounds connections where no overload manager does.
constexpr char kMaxConnections[] = "overload.global_downstream_max_connections";

// Those that can be bound: not IPv6 where the kernel or a sysctl has it off.
std::vector<Address> BindableOf(EventLoop& loop, absl::Span<const char* const> texts) {
  const bool has_ipv6 = UdpSocket::Bind(loop, *Address::Ip("::1", 0)).ok();
  std::vector<Address> addresses;
  for (const char* text : texts) {
    const Address address = *Address::Parse(text);
    if (has_ipv6 || address.family() != AF_INET6) addresses.push_back(address);
  }
  return addresses;
}

bool HasStaticCluster(const Bootstrap& bootstrap, const std::string& name) {
  for (const auto& cluster : bootstrap.static_resources().clusters()) {
    if (cluster.name() == name) return true;
  }
  return false;
}

// What /server_info says of how the process was started.
std::string ServerInfoOf(const Bootstrap& bootstrap, const ProxyOptions& options) {
  using Json = nlohmann::ordered_json;
  Json node = Json::parse(MessageToJson(bootstrap.node(), /*pretty=*/false, JsonNames::kSnakeCase),
                          /*cb=*/nullptr, /*allow_exceptions=*/false);
  Json command_line = {{"concurrency", options.concurrency},
                       {"config_path", options.config_path},
                       {"drain_time", absl::StrCat(absl::ToInt64Seconds(options.drain_time), "s")},
                       {"service_node", options.service_node},
                       {"service_cluster", options.service_cluster},
                       {"mode", "Serve"}};
  return Json{{"command_line_options", command_line}, {"node", node}}.dump(
      -1, ' ', false, Json::error_handler_t::replace);
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
  absl::Status checked = CheckBootstrap(bootstrap);
  if (!checked.ok()) return checked;
  absl::Status added = config_.AddStatic(bootstrap);
  if (!added.ok()) return added;
  absl::StatusOr<OverloadConfig> overload = CompileOverload(bootstrap.overload_manager());
  if (!overload.ok()) {
    return absl::InvalidArgumentError(
        absl::StrCat("overload_manager.", overload.status().message()));
  }
  overload_ = *std::move(overload);
  if (overload_.max_connections == 0) {
    overload_.max_connections =
        static_cast<uint64_t>(config_.runtime().Number(kMaxConnections).value_or(0));
  }
  bootstrap_ = bootstrap.SerializeAsString();
  server_info_ = ServerInfoOf(bootstrap, options_);
  if (bootstrap.has_admin()) {
    const auto& socket = bootstrap.admin().address().socket_address();
    auto address = Address::Ip(socket.address(), static_cast<uint16_t>(socket.port_value()));
    if (!address.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("admin.address: ", address.status().message()));
    }
    admin_address_ = *address;
  }
  auto node = bootstrap.node();
  if (!options_.service_node.empty()) node.set_id(options_.service_node);
  if (!options_.service_cluster.empty()) node.set_cluster(options_.service_cluster);
  if (node.user_agent_name().empty()) node.set_user_agent_name("weft-proxy");
  MakeSources(node.SerializeAsString());
  return AddSources(bootstrap);
}

void Proxy::MakeSources(std::string node) {
  ConfigSources::Options options;
  options.connect = [this](std::string cluster) { return ConnectToCluster(std::move(cluster)); };
  options.node = std::move(node);
  options.on_change = [this] { ConfigChanged(); };
  options.on_unauthenticated = [this] {
    if (identity_ != nullptr) identity_->Renew();
  };
  sources_ = std::make_unique<ConfigSources>(loop_, config_, std::move(options));
}

// What dynamic_resources names: ADS, and where listeners and clusters come from.
absl::Status Proxy::AddSources(const Bootstrap& bootstrap) {
  const auto& dynamic = bootstrap.dynamic_resources();
  absl::Status status;
  if (dynamic.has_ads_config()) {
    status = AddAds(bootstrap);
    if (!status.ok()) return Under("dynamic_resources.ads_config", status);
  }
  if (!dynamic.lds_resources_locator().empty() || !dynamic.cds_resources_locator().empty()) {
    return Invalid("dynamic_resources", "xdstp resource locators are not supported by this proxy");
  }
  if (dynamic.has_cds_config()) {
    status = AddAll(kClusterType, dynamic.cds_config(), bootstrap);
    if (!status.ok()) return Under("dynamic_resources.cds_config", status);
  }
  if (dynamic.has_lds_config()) {
    status = AddAll(kListenerType, dynamic.lds_config(), bootstrap);
    if (!status.ok()) return Under("dynamic_resources.lds_config", status);
  }
  return absl::OkStatus();
}

absl::Status Proxy::AddAds(const Bootstrap& bootstrap) {
  const auto& from = bootstrap.dynamic_resources().ads_config();
  if (from.grpc_services().empty() || !from.grpc_services(0).has_envoy_grpc()) {
    return Invalid("grpc_services[0].envoy_grpc", "required, naming a cluster of static_resources");
  }
  const std::string& cluster = from.grpc_services(0).envoy_grpc().cluster_name();
  if (!HasStaticCluster(bootstrap, cluster)) {
    return Invalid("grpc_services[0].envoy_grpc.cluster_name",
                   absl::StrCat("no cluster '", cluster, "' in static_resources"));
  }
  AdsClient::Options options;
  switch (from.api_type()) {
    case ApiConfigSource::GRPC:
      break;
    case ApiConfigSource::DELTA_GRPC:
      options.form = Subscription::Form::kDelta;
      break;
    default:
      return Invalid("api_type", "only GRPC and DELTA_GRPC are supported by this proxy");
  }
  options.connect = [this, cluster] { return ConnectToCluster(cluster); };
  options.node = sources_->node();
  options.node_only_once = from.set_node_on_first_message_only();
  sources_->AddAds(std::move(options));
  return absl::OkStatus();
}

absl::Status Proxy::AddAll(absl::string_view type_url,
                           const envoy::config::core::v3::ConfigSource& from,
                           const Bootstrap& bootstrap) {
  absl::StatusOr<ConfigSource> source = CompileConfigSource(from);
  if (!source.ok()) return source.status();
  if (source->kind == ConfigSource::Kind::kAds && !bootstrap.dynamic_resources().has_ads_config()) {
    return Invalid("ads", "there is no dynamic_resources.ads_config");
  }
  if (source->kind == ConfigSource::Kind::kGrpc && !HasStaticCluster(bootstrap, source->cluster)) {
    return Invalid("api_config_source.grpc_services[0].envoy_grpc.cluster_name",
                   absl::StrCat("no cluster '", source->cluster, "' in static_resources"));
  }
  sources_->AddAll(type_url, *source);
  return absl::OkStatus();
}

absl::Status Proxy::ConfigureFromMesh(const MeshEnvironment& environment) {
  mark_ = kProxyMark;
  auto admin = Address::Parse(kSidecarAdmin);
  if (!admin.ok()) return admin.status();
  admin_address_ = *admin;
  mesh_dns_ = environment.role == MeshRole::kSidecar;
  IdentityOptions identity;
  identity.id = environment.id();
  identity.cluster = environment.cluster_id;
  identity.token_path = environment.token_path;
  identity.root_cert_path = environment.root_cert_path;
  identity.discovery = environment.discovery;
  identity.announced_roots = [this, domain = identity.id.trust_domain] {
    return config_.TrustOf("ROOTCA", domain);
  };
  identity.mark = mark_;
  identity_ = std::make_unique<Identity>(loop_, std::move(identity),
                                         [this](const TlsCertificate& certificate) {
                                           config_.SetCertificate("default", certificate);
                                           ConfigChanged();
                                           sources_->StartAds();
                                         });
  MakeSources(EncodeNode(environment));
  AdsClient::Options options;
  options.connect = [this] { return identity_->ConnectToControlPlane(); };
  options.connection.scheme = "https";
  if (environment.delta_xds) options.form = Subscription::Form::kDelta;
  options.node = sources_->node();
  sources_->AddAds(std::move(options));
  // A sidecar without config is of no use: it is not live before that has come.
  ConfigSource ads;
  ads.initial_fetch_timeout = absl::InfiniteDuration();
  for (absl::string_view type : {kClusterType, kListenerType}) sources_->AddAll(type, ads);
  sources_->AlsoAsk(kNameTableType);
  sources_->AlwaysAskFor("ROOTCA");
  tasks_.Spawn(identity_->Run());
  return absl::OkStatus();
}

Task<absl::StatusOr<std::unique_ptr<ByteStream>>> Proxy::ConnectToCluster(std::string name) {
  const MonotonicTime give_up = loop_.Now() + kAdsClusterPatience;
  while (config_.snapshot()->FindCluster(name) == nullptr && loop_.Now() < give_up) {
    co_await Sleep(loop_, kAdsClusterPoll);
  }
  const std::shared_ptr<const Snapshot> snapshot = config_.snapshot();
  const ClusterConfig* cluster = snapshot->FindCluster(name);
  if (cluster == nullptr || cluster->endpoints->endpoints.empty()) {
    co_return absl::UnavailableError(absl::StrCat("cluster '", name, "' has no endpoint"));
  }
  auto connection =
      co_await ConnectUpstream(loop_, *cluster, cluster->endpoints->endpoints.front(), mark_);
  if (!connection.ok()) co_return connection.status();
  co_return std::move((*connection)->stream);
}

void Proxy::ConfigChanged() { changed_.Notify(); }

// Gives each new Snapshot to the workers, one at a time: what comes meanwhile goes with the next.
Task<> Proxy::PublishWhenChanged() {
  while (true) {
    while (config_.snapshot() == published_) co_await Wait(loop_, {&changed_});
    dns_clusters_->Follow(config_.Lookups());  // a name of /etc/hosts is there when this returns
    health_checks_->Follow(config_.Checks());
    jwks_fetch_->Follow(config_.JwksSources());
    published_ = config_.snapshot();
    for (const auto& server : dns_) server->SetTable(published_->names);
    const bool first = !live_;
    // Of this snapshot: what comes while the workers take it is in the next.
    const bool complete =
        config_.Waiting().empty() &&
        (sources_ == nullptr || sources_->complete() || !published_->listeners.empty());
    absl::Status adopted = co_await workers_->Adopt(published_);
    if (!adopted.ok()) {
      Log(LogLevel::kError, "listener_failed", {{"error", std::string(adopted.message())}});
    }
    if (!first) continue;
    if (!dynamic() && !adopted.ok()) {
      adopted_ = adopted;
      loop_.Stop();
      co_return;
    }
    if (!complete) continue;
    live_ = true;
    ReleaseStartupMemory();
    Log(LogLevel::kInfo, "live",
        {{"listeners", absl::StrCat(published_->listeners.size())},
         {"clusters", absl::StrCat(published_->clusters.size())}});
  }
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
  AddSourceMetrics(metrics);
  if (jwks_fetch_ != nullptr && !config_.JwksSources().empty()) {
    const JwksFetch::Stats& stats = jwks_fetch_->stats();
    const auto fetches = [&](const char* name, uint64_t count) {
      metrics.push_back({"jwt_authn", name, false, static_cast<double>(count)});
    };
    fetches("jwks_fetch_success", stats.fetched);
    fetches("jwks_fetch_failed", stats.failed);
  }
  if (dns_.empty()) return metrics;
  const auto dns = [&](const char* name, uint64_t dns::DnsServer::Counters::* counter) {
    uint64_t sum = 0;
    for (const auto& server : dns_) sum += server->counters().*counter;
    add(name, false, static_cast<double>(sum));
  };
  dns("dns_queries", &dns::DnsServer::Counters::queries);
  dns("dns_answered", &dns::DnsServer::Counters::answered);
  dns("dns_forwarded", &dns::DnsServer::Counters::forwarded);
  dns("dns_malformed", &dns::DnsServer::Counters::malformed);
  dns("dns_failed", &dns::DnsServer::Counters::failed);
  return metrics;
}

void Proxy::AddSourceMetrics(std::vector<ServerMetric>& metrics) const {
  const auto add = [&](const char* prefix, const char* name, bool gauge, double value) {
    metrics.push_back({prefix, name, gauge, value});
  };
  add("server", "dynamic_unknown_fields", false, static_cast<double>(config_.unknown_fields()));
  add("server", "static_unknown_fields", false, 0);  // an error, so there are none
  if (!dynamic()) return;
  const ConfigSources::Stats stats = sources_->stats();
  add("server", "ads_streams", false, static_cast<double>(stats.streams));
  add("server", "ads_update_success", false, static_cast<double>(stats.accepted));
  add("server", "ads_update_rejected", false, static_cast<double>(stats.rejected));
  add("control_plane", "connected_state", true, stats.connected > 0 ? 1 : 0);
  const auto of = [&](const char* prefix, const char* accepted, const char* rejected,
                      absl::string_view type) {
    add(prefix, accepted, false, static_cast<double>(sources_->accepted_of(type)));
    add(prefix, rejected, false, static_cast<double>(sources_->rejected_of(type)));
  };
  of("cluster_manager", "cds_update_success", "cds_update_rejected", kClusterType);
  of("cluster_manager", "eds_update_success", "eds_update_rejected", kEndpointType);
  of("listener_manager", "lds_update_success", "lds_update_rejected", kListenerType);
  of("listener_manager", "rds_update_success", "rds_update_rejected", kRouteType);
  of("server", "sds_update_success", "sds_update_rejected", kSecretType);
}

std::string Proxy::Certificates() const {
  std::vector<CertificatePair> pairs = config_.Certificates();
  if (identity_ != nullptr && identity_->has_certificate()) {
    CertificatePair own;
    own.chain_pem = identity_->certificate().chain_pem;
    pairs.push_back(std::move(own));
  }
  return CertificatesJson(pairs, absl::Now());
}

absl::Status Proxy::StartAdmin(const Address& address) {
  AdminView view;
  view.workers = workers_.get();
  view.config = &config_;
  view.bootstrap = &bootstrap_;
  view.server_info = server_info_;
  view.runtime = config_.runtime().ToJson();
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
  if (options_.admin_address_path.empty()) return absl::OkStatus();
  return certs::WriteFileAtomically(options_.admin_address_path, admin_->address().ToString(),
                                    0644);
}

absl::Status Proxy::StartOpenPorts() {
  for (const Address& address : BindableOf(loop_, kOpenPorts)) {
    auto started = AdminServer::Start(loop_, address, admin_endpoints_->open());
    if (!started.ok()) return started.status();
    open_ports_.push_back(std::move(*started));
  }
  return absl::OkStatus();
}

absl::Status Proxy::StartDns() {
  dns::DnsServer::Options options;
  auto resolv_conf = certs::ReadFile("/etc/resolv.conf");
  if (resolv_conf.ok()) options.upstreams = dns::ParseNameservers(*resolv_conf);
  options.mark = mark_;
  for (const Address& address : BindableOf(loop_, kSidecarDns)) {
    options.listen = address;
    auto started = dns::DnsServer::Start(loop_, options);
    if (!started.ok()) return started.status();
    dns_.push_back(std::move(*started));
  }
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

void Proxy::StartJwksFetch() {
  JwksFetch::Options options;
  options.mark = mark_;
  absl::BitGen random;
  options.seed = absl::Uniform<uint64_t>(random);
  options.find_cluster = [this](const std::string& name) -> std::shared_ptr<const ClusterConfig> {
    const auto& clusters = config_.snapshot()->clusters;
    const auto found = clusters.find(name);
    return found == clusters.end() ? nullptr : found->second;
  };
  options.on_keys = [this](const JwksSource& source, std::shared_ptr<const certs::Jwks> keys) {
    config_.SetJwks(source, std::move(keys));
    ConfigChanged();
  };
  jwks_fetch_ = std::make_unique<JwksFetch>(loop_, std::move(options));
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
  StartJwksFetch();
  tasks_.Spawn(PublishWhenChanged());
  if (sources_ != nullptr) {
    sources_->Start();
    if (identity_ == nullptr) sources_->StartAds();
  }
  loop_.Run();

  event_free(on_term);
  event_free(on_int);
  tasks_.Cancel();
  sources_.reset();
  dns_clusters_.reset();
  health_checks_.reset();
  jwks_fetch_.reset();
  open_ports_.clear();
  admin_.reset();
  workers_.reset();
  return adopted_;
}

}  // namespace weft
