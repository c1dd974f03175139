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
#include "proxy/config/runtime_values.h"

namespace weft {
namespace {

namespace nds = istio::networking::nds::v1;
using envoy::config::cluster::v3::Cluster;
using envoy::config::endpoint::v3::ClusterLoadAssignment;
using envoy::config::listener::v3::Listener;
using envoy::config::route::v3::RouteConfiguration;
using envoy::extensions::transport_sockets::tls::v3::Secret;

// Which update a resource came with.
struct Origin {
  std::string version;
  absl::Time updated;
};

// One resource on its way from the bytes that came to the Snapshot.
template <typename Config>
struct Entry {
  std::string bytes;
  std::shared_ptr<const Config> compiled;  // of `bytes`; null while it waits for a secret
  std::shared_ptr<const Config> active;    // what is in force; null: nothing yet
  std::string waits_for;                   // a secret, if compiled is null
  std::unique_ptr<const Needs> needs;      // null: none
  std::unique_ptr<const Origin> origin;    // null: static
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
    by_name_[std::string(name)] = std::string(status.message());
  }
  absl::Status status() const {
    if (texts_.empty()) return absl::OkStatus();
    return absl::InvalidArgumentError(absl::StrJoin(texts_, "; "));
  }
  const std::map<std::string, std::string>& by_name() const { return by_name_; }

 private:
  std::vector<std::string> texts_;
  std::map<std::string, std::string> by_name_;
};

// What EDS or SDS sent under a name.
struct Received {
  std::string bytes;
  Origin origin;
  Needs needs;  // of a secret: the folders of its files
};

absl::Status NotA(absl::string_view kind) {
  return absl::InvalidArgumentError(absl::StrCat("the bytes are not a valid ", kind));
}

absl::string_view KindOf(absl::string_view type_url) {
  if (type_url == kEndpointType) return "endpoints of";
  return type_url == kRouteType ? "route configuration" : "secret";
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
  std::map<std::string, Received> assignments;  // by service name; no bytes: waited for in vain
  std::map<std::string, Received> received_secrets;
  std::set<std::string> own_certificates;  // names that are never asked for
  std::set<std::string> given_up_secrets;  // waited for in vain
  bool has_ads = true;
  // By type and name: what was refused last, until something better comes.
  std::map<std::string, std::map<std::string, RefusedResource>> refused;
  Origin current;  // of the update that is being applied
  size_t unknown_fields = 0;
  KnownAddresses addresses;                   // of the names of DNS clusters
  std::map<std::string, KnownHealth> health;  // what checks say, by cluster
  EndpointLocality own_locality;
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
    if (!endpoints.ParseFromString(assignment->second.bytes)) return NotA("ClusterLoadAssignment");
    return WithEndpoints(**cluster, endpoints);
  }
  absl::StatusOr<std::shared_ptr<const ListenerConfig>> Compile(const Listener& message) const {
    return CompileListener(message, secrets);
  }
  absl::StatusOr<std::shared_ptr<const RouteTable>> Compile(
      const RouteConfiguration& message) const {
    return CompileRoutes(message, secrets);
  }

  // Null if it needs nothing.
  absl::StatusOr<std::unique_ptr<const Needs>> NeedsOf(const google::protobuf::Message& message,
                                                       bool check = true) const {
    absl::StatusOr<Needs> needs = FindNeeds(message, FileRotation::kWatchedDirectory);
    if (!needs.ok()) return needs.status();
    if (needs->resources.empty() && needs->folders.empty()) return nullptr;
    for (const ResourceNeed& need : needs->resources) {
      absl::Status status = check ? CheckSource(need) : absl::OkStatus();
      if (!status.ok()) return status;
    }
    return std::make_unique<const Needs>(*std::move(needs));
  }
  absl::StatusOr<std::unique_ptr<const Needs>> NeedsOf(const RouteConfiguration&) const {
    return nullptr;
  }

  absl::Status CheckSource(const ResourceNeed& need) const {
    if (need.source.kind == ConfigSource::Kind::kAds && !has_ads) {
      return absl::InvalidArgumentError(
          absl::StrCat(KindOf(need.type_url), " '", need.name,
                       "': there is no dynamic_resources.ads_config to get it from"));
    }
    if (need.source.kind != ConfigSource::Kind::kGrpc) return absl::OkStatus();
    const auto cluster = clusters.find(need.source.cluster);
    if (cluster != clusters.end() && cluster->second.is_static) return absl::OkStatus();
    return absl::InvalidArgumentError(
        absl::StrCat(KindOf(need.type_url), " '", need.name, "': its config source names cluster '",
                     need.source.cluster, "', which is not in static_resources"));
  }

  // Compiles `message` into the entry of its name; a refusal leaves the entry
  // as it was.
  template <typename Config, typename Message>
  absl::Status Set(const std::string& name, const std::string& bytes, const Message& message,
                   Table<Config>& table) {
    absl::StatusOr<std::unique_ptr<const Needs>> needs = NeedsOf(message);
    if (!needs.ok()) return needs.status();
    absl::StatusOr<std::shared_ptr<const Config>> compiled = Compile(message);
    const bool waits = compiled.status().code() == absl::StatusCode::kFailedPrecondition;
    if (!compiled.ok() && !waits) return compiled.status();
    Entry<Config>& entry = table[name];
    entry.bytes = bytes;
    entry.needs = *std::move(needs);
    entry.compiled = waits ? nullptr : *std::move(compiled);
    entry.waits_for = waits ? std::string(compiled.status().message()) : "";
    return absl::OkStatus();
  }

  // Sets each resource of a response whose bytes are new. Returns the names it
  // has, for RemoveOthers; nullopt if one of them could not be read, so that
  // nobody knows what is gone.
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
      if (!status.ok()) {
        refusals.Add(kind, name, status);
        continue;
      }
      table[name].origin = std::make_unique<const Origin>(OriginOf(resource));
      unknown_fields += CountUnknownFields(message);
    }
    if (!readable) return std::nullopt;
    return names;
  }

  // ---- The types.

  Origin OriginOf(const EncodedResource& resource) const {
    return {resource.version.empty() ? current.version : resource.version, current.updated};
  }

  void ApplyClusters(const ConfigUpdate& update, Refusals& refusals) {
    auto names = SetAll<Cluster>("cluster", update.resources, clusters, refusals);
    for (const std::string& name : update.removed) {
      auto found = clusters.find(name);
      if (found != clusters.end() && !found->second.is_static) found->second.removed = true;
    }
    if (!names) return;
    if (!update.full) {
      for (const std::string& name : *names) {
        auto found = clusters.find(name);  // a new one that was refused is not there
        if (found != clusters.end()) found->second.removed = false;
      }
      return;
    }
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

  void ApplyListeners(const ConfigUpdate& update, Refusals& refusals) {
    auto names = SetAll<Listener>("listener", update.resources, listeners, refusals);
    for (const std::string& name : update.removed) {
      auto found = listeners.find(name);
      if (found != listeners.end() && !found->second.is_static) listeners.erase(found);
    }
    if (!names || !update.full) return;
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
      if (known != assignments.end() && known->second.bytes == resource.bytes) continue;
      absl::Status status = SetEndpoints(name, message);
      if (status.ok()) {
        assignments[name] = {resource.bytes, OriginOf(resource), {}};
        unknown_fields += CountUnknownFields(message);
      } else {
        refusals.Add("endpoints of", name, status);
      }
    }
  }

  // Gives the endpoints to each cluster that asks for them under this name; all
  // of them or none.
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
      auto known = received_secrets.find(message.name());
      if (known != received_secrets.end() && known->second.bytes == resource.bytes) continue;
      SetSecret(message, {resource.bytes, OriginOf(resource), {}}, refusals);
      unknown_fields += CountUnknownFields(message);
    }
  }

  void SetSecret(const Secret& message, Received received, Refusals& refusals) {
    absl::StatusOr<Needs> needs = FindNeeds(message, FileRotation::kEveryFile);
    absl::Status status = needs.ok() ? AddSecret(message, secrets) : needs.status();
    if (!status.ok()) {
      refusals.Add("secret", message.name(), status);
      return;
    }
    received.needs = *std::move(needs);
    received_secrets[message.name()] = std::move(received);
    given_up_secrets.erase(message.name());
    RecompileUsersOf(message.name(), refusals);
  }

  // ---- Files that were replaced.

  static bool Watches(const Needs* needs, const std::string& folder) {
    return needs != nullptr &&
           std::find(needs->folders.begin(), needs->folders.end(), folder) != needs->folders.end();
  }

  void ReloadFilesIn(const std::string& folder, Refusals& refusals) {
    std::vector<Received> changed;
    for (const auto& [name, received] : received_secrets) {
      if (Watches(&received.needs, folder)) changed.push_back(received);
    }
    for (Received& received : changed) {
      Secret message;
      if (!message.ParseFromString(received.bytes)) continue;
      SetSecret(message, std::move(received), refusals);
    }
    RecompileWatching<Cluster>("cluster", folder, clusters, refusals);
    RecompileWatching<Listener>("listener", folder, listeners, refusals);
  }

  template <typename Message, typename Config>
  void RecompileWatching(absl::string_view kind, const std::string& folder, Table<Config>& table,
                         Refusals& refusals) {
    for (auto& [name, entry] : table) {
      Message message;
      if (!Watches(entry.needs.get(), folder) || !message.ParseFromString(entry.bytes)) continue;
      absl::Status status = Set(name, std::string(entry.bytes), message, table);
      if (!status.ok()) refusals.Add(kind, name, status);
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

  // For the admin port.
  void NoteRefused(const ConfigUpdate& update, const Refusals& refusals) {
    auto& of_type = refused[std::string(update.type_url)];
    if (update.full) of_type.clear();
    for (const std::string& name : update.removed) of_type.erase(name);
    for (const EncodedResource& resource : update.resources) {
      of_type.erase(resource.name);
      const auto found = refusals.by_name().find(resource.name);
      if (found == refusals.by_name().end()) continue;
      const Origin origin = OriginOf(resource);
      of_type[resource.name] = {found->second, resource.bytes, origin.version, origin.updated};
    }
  }

  // ---- Secrets. A resource that names the secret has the name in its bytes;
  // one that has it there by chance is recompiled in vain.

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

  // Its secret has been waited for long enough: nothing else is to wait for it.
  template <typename Config>
  bool GivenUp(const Entry<Config>& entry) const {
    if (entry.compiled != nullptr || entry.needs == nullptr) return false;
    for (const ResourceNeed& need : entry.needs->resources) {
      if (given_up_secrets.count(need.name) != 0) return true;
    }
    return false;
  }

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
    // One that is in force already does not wait for those of endpoints that
    // join it.
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

  // A cluster that is not known at all is nothing to wait for: it may never
  // come, and the routes to the others must not stand still for it. Requests to
  // it are answered 503.
  std::string WaitsForClusters(const std::vector<std::string>& names) const {
    for (const std::string& name : names) {
      auto it = clusters.find(name);
      if (it != clusters.end() && it->second.active == nullptr && !GivenUp(it->second)) {
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

  // Clusters first, then what refers to them; then what nothing needs any more
  // goes.
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

  // Those that are resolved for a cluster now: what none asks for would never
  // be refreshed.
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
      for (const ListenSocket& socket : entry.active->sockets) {
        snapshot->listeners_by_address.emplace(ListenerKey(socket.address), entry.active);
      }
    }
    return snapshot;
  }

  // ---- Static resources.

  template <typename Message, typename Config, typename List>
  absl::Status AddAllStatic(absl::string_view field, const List& messages, Table<Config>& table) {
    for (int i = 0; i < messages.size(); ++i) {
      const Message& message = messages[i];
      const std::string path = absl::StrCat("static_resources.", Index(field, i));
      auto needs = NeedsOf(message, /*check=*/false);
      if (!needs.ok()) return Under(path, needs.status());
      auto compiled = Compile(message);
      // It may wait for a secret that has a source; one without will never
      // come.
      const bool waits =
          compiled.status().code() == absl::StatusCode::kFailedPrecondition && *needs != nullptr;
      if (!compiled.ok() && !waits) {
        return absl::InvalidArgumentError(Under(path, compiled.status()).message());
      }
      Entry<Config> entry;
      entry.bytes = message.SerializeAsString();
      entry.needs = *std::move(needs);
      if (waits) entry.waits_for = std::string(compiled.status().message());
      if (!waits) entry.compiled = *std::move(compiled);
      entry.is_static = true;
      const std::string name =
          waits ? std::string(NameOf(message)) : std::string(entry.compiled->name);
      if (!table.emplace(name, std::move(entry)).second) {
        return Invalid(path, absl::StrCat("the name '", name, "' is taken"));
      }
    }
    return absl::OkStatus();
  }

  // Once all of them are known.
  template <typename Config>
  absl::Status CheckStaticSources(absl::string_view kind, const Table<Config>& table) const {
    for (const auto& [name, entry] : table) {
      if (entry.needs == nullptr) continue;
      for (const ResourceNeed& need : entry.needs->resources) {
        absl::Status status = CheckSource(need);
        if (status.ok()) continue;
        return absl::InvalidArgumentError(absl::StrCat(kind, " '", name, "' → ", status.message()));
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
      if (entry.compiled == nullptr) continue;
      for (const std::string& cluster : entry.compiled->clusters) {
        absl::Status status = CheckCluster(name, cluster);
        if (!status.ok()) return status;
      }
      for (const auto& source : entry.compiled->jwks_sources) {
        absl::Status status = CheckCluster(name, source->cluster);
        if (!status.ok()) return status;
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
  ConfigUpdate update;
  update.type_url = type_url;
  update.resources = resources;
  update.full = true;
  return Apply(update);
}

absl::Status ConfigState::Apply(const ConfigUpdate& update) {
  Refusals refusals;
  const absl::string_view type_url = update.type_url;
  const absl::Span<const EncodedResource> resources = update.resources;
  state_->current = {std::string(update.version), update.now};
  if (type_url == kClusterType) {
    state_->ApplyClusters(update, refusals);
  } else if (type_url == kEndpointType) {
    state_->ApplyEndpoints(resources, refusals);
  } else if (type_url == kListenerType) {
    state_->ApplyListeners(update, refusals);
  } else if (type_url == kRouteType) {
    state_->ApplyRoutes(resources, refusals);
  } else if (type_url == kSecretType) {
    state_->ApplySecrets(resources, refusals);
  } else if (type_url == kNameTableType) {
    state_->ApplyNameTable(resources, refusals);
  } else {
    return absl::InvalidArgumentError(absl::StrCat("unknown type '", type_url, "'"));
  }
  state_->NoteRefused(update, refusals);
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
  state_->has_ads = bootstrap.dynamic_resources().has_ads_config();
  for (int i = 0; i < resources.secrets_size(); ++i) {
    absl::Status status = AddSecret(resources.secrets(i), state_->secrets);
    if (!status.ok()) return Under(absl::StrCat("static_resources.", Index("secrets", i)), status);
  }
  absl::Status status =
      state_->AddAllStatic<Cluster>("clusters", resources.clusters(), state_->clusters);
  if (!status.ok()) return status;
  status = state_->AddAllStatic<Listener>("listeners", resources.listeners(), state_->listeners);
  if (!status.ok()) return status;
  status = state_->CheckStaticSources("cluster", state_->clusters);
  if (status.ok()) status = state_->CheckStaticSources("listener", state_->listeners);
  if (status.ok() && !bootstrap.dynamic_resources().has_cds_config()) {
    status = state_->CheckStaticReferences();
  }
  if (!status.ok()) return status;
  state_->Settle();
  snapshot_ = state_->MakeSnapshot();
  return absl::OkStatus();
}

void ConfigState::SetCertificate(const std::string& name, TlsCertificate certificate) {
  state_->secrets.certificates[name] = std::move(certificate);
  state_->own_certificates.insert(name);
  Refusals refusals;  // a certificate of our own making; what it does not fit
                      // keeps the old one
  state_->RecompileUsersOf(name, refusals);
  state_->Settle();
  snapshot_ = state_->MakeSnapshot();
}

std::string ConfigState::TrustOf(const std::string& secret, absl::string_view trust_domain) const {
  const auto found = state_->secrets.trust.find(secret);
  const bool known = found != state_->secrets.trust.end() && found->second.bundles != nullptr;
  return known ? found->second.bundles->PemOf(trust_domain) : "";
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
      const std::string what = state_->GivenUp(entry) ? "" : state_->WaitsFor(entry);
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

void ConfigState::StopWaitingFor(absl::string_view type_url, const std::string& name) {
  if (type_url == kEndpointType) {
    state_->assignments.try_emplace(name);
  } else if (type_url == kRouteType) {
    RouteConfiguration none;
    none.set_name(name);
    auto compiled = CompileRoutes(none, state_->secrets);
    const auto [entry, added] = state_->routes.try_emplace(name);
    if (added && compiled.ok()) entry->second.compiled = *std::move(compiled);
  } else if (type_url == kSecretType) {
    state_->given_up_secrets.insert(name);
  }
  state_->Settle();
  snapshot_ = state_->MakeSnapshot();
}

bool ConfigState::Has(absl::string_view type_url, const std::string& name) const {
  if (type_url == kEndpointType) return state_->assignments.count(name) != 0;
  if (type_url == kRouteType) return state_->routes.count(name) != 0;
  return state_->received_secrets.count(name) != 0;
}

std::map<ConfigSource, std::set<std::string>> ConfigState::NeededOf(
    absl::string_view type_url) const {
  std::map<ConfigSource, std::set<std::string>> needed;
  const auto collect = [&](const auto& table) {
    for (const auto& [name, entry] : table) {
      if (entry.needs == nullptr || entry.removed) continue;
      for (const ResourceNeed& need : entry.needs->resources) {
        if (need.type_url != type_url) continue;
        if (type_url == kSecretType && state_->own_certificates.count(need.name) != 0) continue;
        needed[need.source].insert(need.name);
      }
    }
  };
  collect(state_->clusters);
  collect(state_->listeners);
  return needed;
}

std::set<std::string> ConfigState::WatchedFolders() const {
  std::set<std::string> folders;
  const auto add = [&](const Needs* needs) {
    if (needs != nullptr) folders.insert(needs->folders.begin(), needs->folders.end());
  };
  for (const auto& [name, received] : state_->received_secrets) add(&received.needs);
  for (const auto& [name, entry] : state_->clusters) add(entry.needs.get());
  for (const auto& [name, entry] : state_->listeners) add(entry.needs.get());
  return folders;
}

absl::Status ConfigState::ReloadFilesIn(const std::string& folder) {
  Refusals refusals;
  state_->ReloadFilesIn(folder, refusals);
  state_->Settle();
  snapshot_ = state_->MakeSnapshot();
  return refusals.status();
}

std::vector<CertificatePair> ConfigState::Certificates() const {
  namespace tls = envoy::extensions::transport_sockets::tls::v3;
  std::vector<CertificatePair> pairs;
  const auto read = [this](const envoy::config::core::v3::DataSource& from) -> std::string {
    if (from.filename().empty()) return from.inline_string() + from.inline_bytes();
    if (!state_->secrets.read_file) return "";
    return state_->secrets.read_file(from.filename()).value_or("");
  };
  const auto look = [&](const google::protobuf::Message& message) {
    if (const auto* own = google::protobuf::DynamicCastToGenerated<tls::TlsCertificate>(&message)) {
      CertificatePair& pair = pairs.emplace_back();
      pair.chain_pem = read(own->certificate_chain());
      pair.chain_path = own->certificate_chain().filename();
    }
    if (const auto* trust =
            google::protobuf::DynamicCastToGenerated<tls::CertificateValidationContext>(&message)) {
      if (!trust->has_trusted_ca()) return;
      CertificatePair& pair = pairs.emplace_back();
      pair.ca_pem = read(trust->trusted_ca());
      pair.ca_path = trust->trusted_ca().filename();
    }
  };
  const auto walk = [&look](auto message, const std::string& bytes) {
    if (message.ParseFromString(bytes)) ForEachMessage(message, look);
  };
  for (const auto& [name, entry] : state_->clusters) walk(Cluster(), entry.bytes);
  for (const auto& [name, entry] : state_->listeners) walk(Listener(), entry.bytes);
  for (const auto& [name, received] : state_->received_secrets) walk(Secret(), received.bytes);
  return pairs;
}

const RuntimeValues& ConfigState::runtime() const { return state_->secrets.runtime; }

size_t ConfigState::unknown_fields() const { return state_->unknown_fields; }

namespace {

template <typename Config>
void DescribeTable(const Table<Config>& table, std::vector<ResourceDescription>& to) {
  for (const auto& [name, entry] : table) {
    ResourceDescription one;
    one.name = name;
    one.bytes = &entry.bytes;
    one.is_static = entry.is_static;
    one.active = entry.active != nullptr;
    one.warming = entry.active == nullptr || entry.active != entry.compiled;
    if (entry.origin != nullptr) {
      one.version = entry.origin->version;
      one.updated = entry.origin->updated;
    }
    to.push_back(std::move(one));
  }
}

void DescribeReceived(const std::map<std::string, Received>& received,
                      std::vector<ResourceDescription>& to) {
  for (const auto& [name, one] : received) {
    if (one.bytes.empty()) continue;  // nothing came
    ResourceDescription description;
    description.name = name;
    description.bytes = &one.bytes;
    description.active = true;
    description.version = one.origin.version;
    description.updated = one.origin.updated;
    to.push_back(std::move(description));
  }
}

}  // namespace

std::vector<ResourceDescription> ConfigState::Describe(absl::string_view type_url) const {
  std::vector<ResourceDescription> described;
  if (type_url == kClusterType) DescribeTable(state_->clusters, described);
  if (type_url == kListenerType) DescribeTable(state_->listeners, described);
  if (type_url == kRouteType) DescribeTable(state_->routes, described);
  if (type_url == kEndpointType) DescribeReceived(state_->assignments, described);
  if (type_url == kSecretType) DescribeReceived(state_->received_secrets, described);
  const auto refused = state_->refused.find(std::string(type_url));
  if (refused == state_->refused.end()) return described;
  for (const auto& [name, refusal] : refused->second) {
    const auto known = std::find_if(described.begin(), described.end(),
                                    [&](const auto& one) { return one.name == name; });
    ResourceDescription& one = known == described.end() ? described.emplace_back() : *known;
    one.name = name;
    one.refused = &refusal;
  }
  return described;
}

}  // namespace weft
