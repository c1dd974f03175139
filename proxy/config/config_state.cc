#include "proxy/config/config_state.h"

#include <algorithm>
#include <functional>
#include <optional>
#include <set>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/envoy/bootstrap.pb.h"
#include "api/envoy/cluster.pb.h"
#include "api/envoy/endpoint.pb.h"
#include "api/envoy/listener.pb.h"
#include "api/envoy/route.pb.h"
#include "api/envoy/tls.pb.h"
#include "api/istio/nds.pb.h"
#include "proxy/config/compile.h"
#include "proxy/config/compile_tls.h"
#include "proxy/config/fields.h"
#include "proxy/config/resolved_endpoints.h"

namespace weft {
namespace {

namespace nds = istio::networking::nds::v1;
using envoy::config::cluster::v3::Cluster;
using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::RouteConfiguration;
using envoy::extensions::transport_sockets::tls::v3::Secret;

// One resource on its way from the bytes that came to the Snapshot.
template <typename Config>
struct Entry {
  std::string bytes;
  std::shared_ptr<const Config> compiled;  // of `bytes`; null while it waits for a secret
  std::shared_ptr<const Config> active;    // what is in force; null: nothing yet
  std::string waits_for;                   // a secret, if compiled is null
  bool is_static = false;
  bool removed = false;  // gone from the last response, but still referred to
};

template <typename Config>
using Table = std::map<std::string, Entry<Config>>;

// The refusals of one response; its text is the NACK.
class Refusals {
 public:
  void Add(absl::string_view kind, absl::string_view name, const absl::Status& status) {
    texts_.push_back(absl::StrCat(kind, " '", name, "': ", status.message()));
  }
  absl::Status status() const {
    if (texts_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrJoin(texts_, "; "));
  }

 private:
  std::vector<std::string> texts_;
};

absl::Status NotA(absl::string_view kind) {
  return absl::InvalidArgumentError(absl::StrCat("the bytes are not a valid ", kind));
}

absl::string_view NameOf(const Cluster& message) { return message.name(); }
absl::string_view NameOf(const Listener& message) { return message.name(); }
absl::string_view NameOf(const RouteConfiguration& message) { return message.name(); }
absl::string_view NameOf(const ClusterLoadAssignment& message) { return message.cluster_name(); }

}  // namespace

struct ConfigState::State {
  Secrets secrets;
  Table<ClusterConfig> clusters;
  Table<ListenerConfig> listeners;
  Table<RouteTable> routes;
  std::map<std::string, std::string> assignments;   // bytes by service name
  std::map<std::string, std::string> secret_bytes;  // by secret name
  KnownAddresses addresses;                         // of the names of DNS clusters
  std::map<std::string, KnownHealth> health;        // what checks say, by cluster
  Locality own_locality;
  std::string local_cluster;  // of the proxies of this workload; "": not known
  std::map<JwksSource, std::shared_ptr<const certs::Jwks>> jwks;  // null: tried, without success
  std::shared_ptr<const NameTable> names = std::make_shared<const NameTable>();

  // ---- Compiling one resource.

  absl::StatusOr<std::shared_ptr<const ClusterConfig>> Compile(const Cluster& message) const {
    auto cluster = CompileWithEndpoints(message);
    return cluster.ok() ? Checked(*std::move(cluster)) : cluster;
  }

  std::shared_ptr<const ClusterConfig> Checked(std::shared_ptr<const ClusterConfig> cluster) const {
    auto known = health.find(cluster->name);
    return known == health.end() ? cluster : WithHealth(cluster, known->second);
  }

  absl::StatusOr<std::shared_ptr<const ClusterConfig>> CompileWithEndpoints(
      const Cluster& message) const {
    auto cluster = CompileCluster(message, nullptr, secrets);
    if (!cluster.ok()) return cluster;
    if (IsDns((*cluster)->type)) return WithAddresses(*cluster, addresses);
    if ((*cluster)->type != ClusterType::kEds) return cluster;
    auto assignment = assignments.find((*cluster)->eds_service_name);
    if (assignment == assignments.end()) return cluster;
    ClusterLoadAssignment endpoints;
    if (!endpoints.ParseFromString(assignment->second)) return NotA("ClusterLoadAssignment");
    return WithEndpoints(**cluster, endpoints);
  }
  absl::StatusOr<std::shared_ptr<const ListenerConfig>> Compile(const Listener& message) const {
    return CompileListener(message, secrets);
  }
  absl::StatusOr<std::shared_ptr<const RouteTable>> Compile(
      const RouteConfiguration& message) const {
    return CompileRoutes(message, secrets);
  }

  // Compiles `message` into the entry of its name; a refusal leaves the entry as it was.
  template <typename Config, typename Message>
  absl::Status Set(const std::string& name, const std::string& bytes, const Message& message,
                   Table<Config>& table) {
    absl::StatusOr<std::shared_ptr<const Config>> compiled = Compile(message);
    const bool waits = compiled.status().code() == absl::StatusCode::kFailedPrecondition;
    if (!compiled.ok() && !waits) return compiled.status();
    Entry<Config>& entry = table[name];
    entry.bytes = bytes;
    entry.compiled = waits ? nullptr : *std::move(compiled);
    entry.waits_for = waits ? std::string(compiled.status().message()) : "";
    return absl::OkStatus();
  }

  // Sets each resource of a response whose bytes are new. Returns the names it has, for
  // RemoveOthers; nullopt if one of them could not be read, so that nobody knows what is gone.
  template <typename Message, typename Config>
  std::optional<std::set<std::string>> SetAll(absl::string_view kind,
                                              absl::Span<const EncodedResource> resources,
                                              Table<Config>& table, Refusals& refusals) {
    std::set<std::string> names;
    bool readable = true;
    for (const EncodedResource& resource : resources) {
      Message message;
      if (!message.ParseFromString(resource.bytes)) {
        refusals.Add(kind, resource.name, NotA(kind));
        readable = false;
        continue;
      }
      const std::string name(NameOf(message).empty() ? resource.name : NameOf(message));
      names.insert(name);
      auto known = table.find(name);
      if (known != table.end() && known->second.is_static) continue;
      if (known != table.end() && known->second.bytes == resource.bytes) continue;
      absl::Status status = Set(name, resource.bytes, message, table);
      if (!status.ok()) refusals.Add(kind, name, status);
    }
    if (!readable) return std::nullopt;
    return names;
  }

  // ---- The types.

  void ApplyClusters(absl::Span<const EncodedResource> resources, Refusals& refusals) {
    auto names = SetAll<Cluster>("cluster", resources, clusters, refusals);
    if (!names) return;
    for (auto it = clusters.begin(); it != clusters.end();) {
      Entry<ClusterConfig>& entry = it->second;
      const bool gone = !entry.is_static && names->count(it->first) == 0;
      if (gone && entry.removed) {
        it = clusters.erase(it);
        continue;
      }
      entry.removed = gone;
      ++it;
    }
  }

  void ApplyListeners(absl::Span<const EncodedResource> resources, Refusals& refusals) {
    auto names = SetAll<Listener>("listener", resources, listeners, refusals);
    if (!names) return;
    for (auto it = listeners.begin(); it != listeners.end();) {
      const bool gone = !it->second.is_static && names->count(it->first) == 0;
      it = gone ? listeners.erase(it) : std::next(it);
    }
  }

  void ApplyRoutes(absl::Span<const EncodedResource> resources, Refusals& refusals) {
    SetAll<RouteConfiguration>("route configuration", resources, routes, refusals);
  }

  void ApplyEndpoints(absl::Span<const EncodedResource> resources, Refusals& refusals) {
    for (const EncodedResource& resource : resources) {
      ClusterLoadAssignment message;
      if (!message.ParseFromString(resource.bytes)) {
        refusals.Add("endpoints of", resource.name, NotA("ClusterLoadAssignment"));
        continue;
      }
      const std::string name(NameOf(message).empty() ? resource.name : NameOf(message));
      auto known = assignments.find(name);
      if (known != assignments.end() && known->second == resource.bytes) continue;
      absl::Status status = SetEndpoints(name, message);
      if (status.ok()) {
        assignments[name] = resource.bytes;
      } else {
        refusals.Add("endpoints of", name, status);
      }
    }
  }

  // Gives the endpoints to each cluster that asks for them under this name; all of them or none.
  absl::Status SetEndpoints(const std::string& service, const ClusterLoadAssignment& endpoints) {
    std::vector<std::pair<Entry<ClusterConfig>*, std::shared_ptr<const ClusterConfig>>> changed;
    for (auto& [name, entry] : clusters) {
      if (entry.compiled == nullptr || entry.compiled->type != ClusterType::kEds ||
          entry.compiled->eds_service_name != service) {
        continue;
      }
      auto cluster = WithEndpoints(*entry.compiled, endpoints);
      if (!cluster.ok()) return cluster.status();
      changed.emplace_back(&entry, Checked(*std::move(cluster)));
    }
    for (auto& [entry, cluster] : changed) entry->compiled = std::move(cluster);
    return absl::OkStatus();
  }

  void ApplySecrets(absl::Span<const EncodedResource> resources, Refusals& refusals) {
    for (const EncodedResource& resource : resources) {
      Secret message;
      if (!message.ParseFromString(resource.bytes)) {
        refusals.Add("secret", resource.name, NotA("Secret"));
        continue;
      }
      auto known = secret_bytes.find(message.name());
      if (known != secret_bytes.end() && known->second == resource.bytes) continue;
      absl::Status status = AddSecret(message, secrets);
      if (!status.ok()) {
        refusals.Add("secret", message.name(), status);
        continue;
      }
      secret_bytes[message.name()] = resource.bytes;
      RecompileUsersOf(message.name(), refusals);
    }
  }

  void ApplyNameTable(absl::Span<const EncodedResource> resources, Refusals& refusals) {
    for (const EncodedResource& resource : resources) {
      nds::NameTable message;
      absl::StatusOr<std::shared_ptr<const NameTable>> table = NotA("NameTable");
      if (message.ParseFromString(resource.bytes)) table = CompileNameTable(message);
      if (table.ok()) {
        names = *std::move(table);
      } else {
        refusals.Add("name table", resource.name, table.status());
      }
    }
  }

  // ---- Secrets. A resource that names the secret has the name in its bytes; one that has it there
  // by chance is recompiled in vain.

  void RecompileUsersOf(const std::string& secret, Refusals& refusals) {
    Recompile<Cluster>("cluster", secret, clusters, refusals);
    Recompile<Listener>("listener", secret, listeners, refusals);
  }

  template <typename Message, typename Config>
  void Recompile(absl::string_view kind, const std::string& secret, Table<Config>& table,
                 Refusals& refusals) {
    for (auto& [name, entry] : table) {
      Message message;
      if (!absl::StrContains(entry.bytes, secret) || !message.ParseFromString(entry.bytes))
        continue;
      absl::Status status = Set(name, std::string(entry.bytes), message, table);
      if (!status.ok()) refusals.Add(kind, name, status);
    }
  }

  // ---- What may take effect.

  // Why it may not yet; empty: it may.
  std::string WaitsFor(const Entry<ClusterConfig>& entry) const {
    if (entry.compiled == nullptr) return entry.waits_for;
    for (const dns::Lookup& lookup : LookupsOf(*entry.compiled)) {
      if (addresses.count(lookup) == 0) return absl::StrCat("the addresses of '", lookup.name, "'");
    }
    if (entry.compiled->type == ClusterType::kEds &&
        assignments.count(entry.compiled->eds_service_name) == 0) {
      return absl::StrCat("the endpoints of '", entry.compiled->eds_service_name, "'");
    }
    // One that is in force already does not wait for those of endpoints that join it.
    if (entry.active == nullptr && !CheckedOnce(*entry.compiled)) {
      return "the first health checks of its endpoints";
    }
    return "";
  }

  bool CheckedOnce(const ClusterConfig& cluster) const {
    if (cluster.health_check == nullptr) return true;
    auto known = health.find(cluster.name);
    for (const EndpointConfig& one : cluster.endpoints->endpoints) {
      if (one.checked == CheckedHealth::kNotChecked) continue;  // told not to
      if (known == health.end() || known->second.count(one.key) == 0) return false;
    }
    return true;
  }

  // A cluster that is not known at all is nothing to wait for: it may never come, and the routes to
  // the others must not stand still for it. Requests to it are answered 503.
  std::string WaitsForClusters(const std::vector<std::string>& names) const {
    for (const std::string& name : names) {
      auto it = clusters.find(name);
      if (it != clusters.end() && it->second.active == nullptr) {
        return absl::StrCat("cluster '", name, "'");
      }
    }
    return "";
  }

  std::string WaitsFor(const Entry<RouteTable>& entry) const {
    return WaitsForClusters(entry.compiled->clusters);
  }

  std::string WaitsFor(const Entry<ListenerConfig>& entry) const {
    if (entry.compiled == nullptr) return entry.waits_for;
    for (const std::string& name : entry.compiled->route_names) {
      auto it = routes.find(name);
      if (it == routes.end() || it->second.active == nullptr) {
        return absl::StrCat("route configuration '", name, "'");
      }
    }
    for (const auto& source : entry.compiled->jwks_sources) {
      if (source->fast_listener || jwks.count(*source) != 0) continue;
      return absl::StrCat("the keys of '", source->authority, "'");
    }
    return WaitsForClusters(entry.compiled->clusters);
  }

  template <typename Config>
  void Activate(Table<Config>& table) {
    for (auto& [name, entry] : table) {
      if (WaitsFor(entry).empty()) entry.active = entry.compiled;
    }
  }

  // Clusters first, then what refers to them; then what nothing needs any more goes.
  void Settle() {
    Activate(clusters);
    Activate(routes);
    Activate(listeners);
    DropUnusedRoutes();
    DropRemovedClusters();
    DropUnusedAssignments();
    DropUnusedAddresses();
    DropUnusedHealth();
    DropUnusedJwks();
  }

  void DropUnusedRoutes() {
    std::set<std::string> used;
    for (const auto& [name, entry] : listeners) {
      for (const auto& config : {entry.compiled, entry.active}) {
        if (config != nullptr) used.insert(config->route_names.begin(), config->route_names.end());
      }
    }
    for (auto it = routes.begin(); it != routes.end();) {
      it = used.count(it->first) == 0 ? routes.erase(it) : std::next(it);
    }
  }

  void DropRemovedClusters() {
    std::set<std::string> used;
    for (const auto& [name, entry] : routes) {
      if (entry.active != nullptr) {
        used.insert(entry.active->clusters.begin(), entry.active->clusters.end());
      }
    }
    for (const auto& [name, entry] : listeners) {
      if (entry.active != nullptr) {
        used.insert(entry.active->clusters.begin(), entry.active->clusters.end());
        for (const auto& source : entry.active->jwks_sources) used.insert(source->cluster);
      }
    }
    for (auto it = clusters.begin(); it != clusters.end();) {
      const bool drop = it->second.removed && used.count(it->first) == 0;
      it = drop ? clusters.erase(it) : std::next(it);
    }
  }

  void DropUnusedAssignments() {
    std::set<std::string> used;
    for (const auto& [name, entry] : clusters) {
      for (const auto& config : {entry.compiled, entry.active}) {
        if (config != nullptr) used.insert(config->eds_service_name);
      }
    }
    for (auto it = assignments.begin(); it != assignments.end();) {
      it = used.count(it->first) == 0 ? assignments.erase(it) : std::next(it);
    }
  }

  // Those that are resolved for a cluster now: what none asks for would never be refreshed.
  std::map<dns::Lookup, DnsRefresh> Lookups() const {
    std::map<dns::Lookup, DnsRefresh> lookups;
    for (const auto& [name, entry] : clusters) {
      if (entry.compiled == nullptr) continue;
      for (dns::Lookup& lookup : LookupsOf(*entry.compiled)) {
        const DnsRefresh& refresh = entry.compiled->dns_refresh;
        auto [known, added] = lookups.emplace(std::move(lookup), refresh);
        // Of two clusters with one name, the more eager has it.
        if (!added && refresh.rate < known->second.rate) known->second = refresh;
      }
    }
    return lookups;
  }

  void DropUnusedAddresses() {
    if (addresses.empty()) return;
    const std::map<dns::Lookup, DnsRefresh> used = Lookups();
    for (auto it = addresses.begin(); it != addresses.end();) {
      it = used.count(it->first) == 0 ? addresses.erase(it) : std::next(it);
    }
  }

  // An endpoint that comes back is checked again.
  void DropUnusedHealth() {
    for (auto it = health.begin(); it != health.end();) {
      auto entry = clusters.find(it->first);
      const bool checked = entry != clusters.end() && entry->second.compiled != nullptr &&
                           entry->second.compiled->health_check != nullptr;
      if (!checked) {
        it = health.erase(it);
        continue;
      }
      KnownHealth used;
      for (const EndpointConfig& one : entry->second.compiled->endpoints->endpoints) {
        auto known = it->second.find(one.key);
        if (known != it->second.end()) used.insert(*known);
      }
      it->second = std::move(used);
      ++it;
    }
  }

  // Null if the cluster of this workload's proxies is not known.
  std::shared_ptr<const LocalZones> MakeLocalZones() const {
    auto entry = clusters.find(local_cluster);
    if (local_cluster.empty() || entry == clusters.end()) return nullptr;
    if (entry->second.active == nullptr) return nullptr;
    auto zones = std::make_shared<LocalZones>();
    zones->own = own_locality;
    for (const PriorityConfig& priority : entry->second.active->endpoints->priorities) {
      for (const LocalityConfig& one : priority.localities) {
        if (one.count > 0) zones->proxies.emplace_back(one.locality, one.count);
      }
    }
    return zones;
  }

  std::set<JwksSource> JwksSources() const {
    std::set<JwksSource> sources;
    for (const auto& [name, entry] : listeners) {
      for (const auto& config : {entry.compiled, entry.active}) {
        if (config == nullptr) continue;
        for (const auto& source : config->jwks_sources) sources.insert(*source);
      }
    }
    return sources;
  }

  void DropUnusedJwks() {
    if (jwks.empty()) return;
    const std::set<JwksSource> used = JwksSources();
    for (auto it = jwks.begin(); it != jwks.end();) {
      it = used.count(it->first) == 0 ? jwks.erase(it) : std::next(it);
    }
  }

  std::shared_ptr<const Snapshot> MakeSnapshot() const {
    auto snapshot = std::make_shared<Snapshot>();
    snapshot->local_zones = MakeLocalZones();
    snapshot->names = names;
    for (const auto& [source, keys] : jwks) {
      if (keys != nullptr) snapshot->keys.emplace(source, keys);
    }
    for (const auto& [name, entry] : clusters) {
      if (entry.active != nullptr) snapshot->clusters.emplace(name, entry.active);
    }
    for (const auto& [name, entry] : routes) {
      if (entry.active != nullptr) snapshot->routes.emplace(name, entry.active);
    }
    for (const auto& [name, entry] : listeners) {
      if (entry.active == nullptr) continue;
      snapshot->listeners.emplace(name, entry.active);
      if (entry.active->bind_to_port) continue;
      snapshot->listeners_by_address.emplace(ListenerKey(entry.active->address), entry.active);
    }
    return snapshot;
  }

  // ---- Static resources.

  template <typename Message, typename Config, typename List>
  absl::Status AddAllStatic(absl::string_view field, const List& messages, Table<Config>& table) {
    for (int i = 0; i < messages.size(); ++i) {
      const Message& message = messages[i];
      auto compiled = Compile(message);
      const std::string path = absl::StrCat("static_resources.", Index(field, i));
      if (!compiled.ok()) {
        return absl::InvalidArgumentError(Under(path, compiled.status()).message());
      }
      Entry<Config> entry;
      entry.bytes = message.SerializeAsString();
      entry.compiled = *std::move(compiled);
      entry.is_static = true;
      const std::string name = entry.compiled->name;
      if (!table.emplace(name, std::move(entry)).second) {
        return Invalid(path, absl::StrCat("the name '", name, "' is taken"));
      }
    }
    return absl::OkStatus();
  }

  absl::Status CheckCluster(const std::string& listener, const std::string& cluster) const {
    if (clusters.count(cluster) != 0) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat("listener '", listener, "' → cluster '", cluster, "': not found"));
  }

  absl::Status CheckStaticReferences() const {
    for (const auto& [name, entry] : listeners) {
      for (const std::string& cluster : entry.compiled->clusters) {
        absl::Status status = CheckCluster(name, cluster);
        if (!status.ok()) return status;
      }
      for (const auto& source : entry.compiled->jwks_sources) {
        absl::Status status = CheckCluster(name, source->cluster);
        if (!status.ok()) return status;
      }
      for (const std::string& route : entry.compiled->route_names) {
        return absl::InvalidArgumentError(absl::StrCat(
            "listener '", name, "' → route configuration '", route,
            "': there is no dynamic_resources.ads_config to get it from; use route_config"));
      }
    }
    return absl::OkStatus();
  }
};

ConfigState::ConfigState(Secrets secrets) : state_(std::make_unique<State>()) {
  state_->secrets = std::move(secrets);
}

ConfigState::~ConfigState() = default;

absl::Status ConfigState::Apply(absl::string_view type_url,
                                absl::Span<const EncodedResource> resources) {
  Refusals refusals;
  if (type_url == kClusterType) {
    state_->ApplyClusters(resources, refusals);
  } else if (type_url == kEndpointType) {
    state_->ApplyEndpoints(resources, refusals);
  } else if (type_url == kListenerType) {
    state_->ApplyListeners(resources, refusals);
  } else if (type_url == kRouteType) {
    state_->ApplyRoutes(resources, refusals);
  } else if (type_url == kSecretType) {
    state_->ApplySecrets(resources, refusals);
  } else if (type_url == kNameTableType) {
    state_->ApplyNameTable(resources, refusals);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("unknown type '", type_url, "'"));
  }
  state_->Settle();
  snapshot_ = state_->MakeSnapshot();
  return refusals.status();
}

absl::Status ConfigState::AddStatic(const envoy::config::bootstrap::v3::Bootstrap& bootstrap) {
  const auto& resources = bootstrap.static_resources();
  const auto& locality = bootstrap.node().locality();
  state_->own_locality = {locality.region(), locality.zone(), locality.sub_zone()};
  state_->local_cluster = bootstrap.cluster_manager().local_cluster_name();
  absl::StatusOr<RuntimeValues> runtime = CompileRuntime(bootstrap.layered_runtime());
  if (!runtime.ok()) return Under("layered_runtime", runtime.status());
  state_->secrets.runtime = *std::move(runtime);
  for (int i = 0; i < resources.secrets_size(); ++i) {
    absl::Status status = AddSecret(resources.secrets(i), state_->secrets);
    if (!status.ok()) return Under(absl::StrCat("static_resources.", Index("secrets", i)), status);
  }
  absl::Status status =
      state_->AddAllStatic<Cluster>("clusters", resources.clusters(), state_->clusters);
  if (!status.ok()) return status;
  status = state_->AddAllStatic<Listener>("listeners", resources.listeners(), state_->listeners);
  if (!status.ok()) return status;
  if (!bootstrap.has_dynamic_resources()) {
    status = state_->CheckStaticReferences();
    if (!status.ok()) return status;
  }
  state_->Settle();
  snapshot_ = state_->MakeSnapshot();
  return absl::OkStatus();
}

void ConfigState::SetCertificate(const std::string& name, TlsCertificate certificate) {
  state_->secrets.certificates[name] = std::move(certificate);
  Refusals refusals;  // a certificate of our own making; what it does not fit keeps the old one
  state_->RecompileUsersOf(name, refusals);
  state_->Settle();
  snapshot_ = state_->MakeSnapshot();
}

std::vector<std::string> ConfigState::EndpointNames() const {
  std::set<std::string> names;
  for (const auto& [name, entry] : state_->clusters) {
    if (entry.removed || entry.compiled == nullptr) continue;
    if (entry.compiled->type == ClusterType::kEds) names.insert(entry.compiled->eds_service_name);
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> ConfigState::RouteNames() const {
  std::set<std::string> names;
  for (const auto& [name, entry] : state_->listeners) {
    if (entry.compiled == nullptr) continue;
    names.insert(entry.compiled->route_names.begin(), entry.compiled->route_names.end());
  }
  return {names.begin(), names.end()};
}

std::vector<std::string> ConfigState::Waiting() const {
  std::vector<std::string> waiting;
  const auto collect = [&](absl::string_view kind, const auto& table) {
    for (const auto& [name, entry] : table) {
      const std::string what = state_->WaitsFor(entry);
      if (!what.empty()) waiting.push_back(absl::StrCat(kind, " '", name, "' waits for ", what));
    }
  };
  collect("cluster", state_->clusters);
  collect("route configuration", state_->routes);
  collect("listener", state_->listeners);
  return waiting;
}

std::map<dns::Lookup, DnsRefresh> ConfigState::Lookups() const { return state_->Lookups(); }

void ConfigState::SetAddresses(const dns::Lookup& lookup, std::vector<Address> addresses) {
  auto [known, first] = state_->addresses.emplace(lookup, std::vector<Address>());
  known->second = std::move(addresses);
  bool changed = first;  // someone may have waited for just that
  for (auto& [name, entry] : state_->clusters) {
    if (entry.compiled == nullptr || !IsDns(entry.compiled->type)) continue;
    auto cluster = state_->Checked(WithAddresses(entry.compiled, state_->addresses));
    changed = changed || cluster != entry.compiled;
    entry.compiled = std::move(cluster);
  }
  if (!changed) return;
  state_->Settle();
  snapshot_ = state_->MakeSnapshot();
}

std::vector<std::shared_ptr<const ClusterConfig>> ConfigState::Checks() const {
  std::vector<std::shared_ptr<const ClusterConfig>> checks;
  for (const auto& [name, entry] : state_->clusters) {
    if (entry.compiled != nullptr && entry.compiled->health_check != nullptr) {
      checks.push_back(entry.compiled);
    }
  }
  return checks;
}

void ConfigState::SetHealth(const std::string& cluster, const std::string& endpoint_key,
                            CheckedHealth health) {
  auto found = state_->clusters.find(cluster);
  if (found == state_->clusters.end() || found->second.compiled == nullptr) return;
  Entry<ClusterConfig>& entry = found->second;
  state_->health[cluster][endpoint_key] = health;
  entry.compiled = state_->Checked(entry.compiled);
  // Nobody sees it before the last of them has been checked.
  if (entry.active == nullptr && !state_->CheckedOnce(*entry.compiled)) return;
  if (entry.active == entry.compiled) return;
  state_->Settle();
  snapshot_ = state_->MakeSnapshot();
}

std::vector<JwksSource> ConfigState::JwksSources() const {
  const std::set<JwksSource> sources = state_->JwksSources();
  return {sources.begin(), sources.end()};
}

void ConfigState::SetJwks(const JwksSource& source, std::shared_ptr<const certs::Jwks> keys) {
  if (state_->JwksSources().count(source) == 0) return;
  const auto [known, first] = state_->jwks.emplace(source, nullptr);
  if (keys == nullptr && !first) return;  // what was fetched before stays
  known->second = std::move(keys);
  state_->Settle();
  snapshot_ = state_->MakeSnapshot();
}

void ConfigState::StopWaitingForEndpoints() {
  for (const std::string& name : EndpointNames()) state_->assignments.try_emplace(name, "");
  state_->Settle();
  snapshot_ = state_->MakeSnapshot();
}

}  // namespace weft
