// What translation looks up again and again, arranged once per World and shared by all views.
//
// It keeps the World it is of. Which policy wins is decided here and in destination_rule.h, and
// nowhere else. Never changes but by Follow(): any thread may read it between two of these.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_INDEX_H_
#define WEFT_CONTROLPLANE_TRANSLATE_INDEX_H_

#include <cstdint>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "controlplane/model/delegates.h"
#include "controlplane/model/world.h"
#include "controlplane/translate/mesh_settings.h"
#include "controlplane/translate/resources.h"
#include "controlplane/translate/sidecar_index.h"
#include "controlplane/translate/telemetry_index.h"

namespace weft {

// Of a client, what its outbound resources depend on: the cache key of everything outbound.
// Sidecars with equal scopes share those resources.
struct OutboundScope {
  std::string namespace_;
  Labels labels;  // only those that some policy selects on
  Locality locality;
  std::string egress = {};       // of the Sidecars in force (SidecarIndex::OutboundOf)
  bool router = false;           // `egress` is what its routes lead to (RouterScopeOf)
  bool credentials = false;      // it is given those of its namespace's Secrets that rules name
  bool by_server_name = false;   // of a router: clusters by server name, for AUTO_PASSTHROUGH
  std::string access_logs = {};  // of the Telemetries in force (TelemetryIndex::ClientLogsOf)
  IpFamilies families = {};      // in which it can dial
  std::string authorizer = {};   // key of the service that its own requests are asked about at
  bool tunnels = false;          // it knows tunnels (ProxyView)
  // Of a client of a remote cluster that is served here; empty: ours.
  std::string cluster = {};
  std::string network = {};

  friend bool operator==(const OutboundScope&, const OutboundScope&) = default;
  friend auto operator<=>(const OutboundScope&, const OutboundScope&) = default;
};

enum class MtlsMode { kDisable, kPermissive, kStrict };

// Whether HTTP is understood on a port; all else but UDP is carried as bytes.
bool IsHttp(Protocol protocol);
// Whether it is HTTP/2 there: the application need not know HTTP/1.
bool IsHttp2(Protocol protocol);

// A service without an address of its own: its names resolve to its pods, and clients call one they
// chose themselves.
inline bool IsHeadless(const Service& service) {
  return service.address.empty() && !service.entry.has_value();
}

// Whether the endpoint is of that pod. Pods of several clusters may have the same address.
inline bool IsAt(const Endpoint& endpoint, const ProxyView& view) {
  if (endpoint.cluster != view.cluster) return false;
  const auto is_of = [&](const std::string& address) {
    return !address.empty() && (address == view.address || address == view.other_address);
  };
  return is_of(endpoint.address) || is_of(endpoint.other_address);
}

// Whether `labels` has all of `selector`. (Both kinds of label map that the code meets.)
template <typename Selector>
bool Selects(const Selector& selector, const Labels& labels) {
  for (const auto& [key, value] : selector) {
    auto found = labels.find(key);
    if (found == labels.end() || found->second != value) return false;
  }
  return true;
}

class TranslationIndex {
 public:
  using VirtualServiceConfig = Config<istio::networking::v1alpha3::VirtualService>;
  using DestinationRuleConfig = Config<istio::networking::v1alpha3::DestinationRule>;
  using PeerAuthenticationConfig = Config<istio::security::v1beta1::PeerAuthentication>;
  using AuthorizationPolicyConfig = Config<istio::security::v1beta1::AuthorizationPolicy>;
  using GatewayConfig = Config<istio::networking::v1alpha3::Gateway>;
  using RequestAuthenticationConfig = Config<istio::security::v1beta1::RequestAuthentication>;

  // A port of a pod, and the service that made it known.
  struct InboundPort {
    const Service* service;
    Protocol protocol;
  };

  explicit TranslationIndex(const World& world);
  TranslationIndex(const TranslationIndex&) = delete;
  TranslationIndex& operator=(const TranslationIndex&) = delete;

  const World& world() const { return world_; }

  // Goes on to a World that differs from this one in nothing but the endpoints of the services with
  // these keys (and workloads): see ChangeBetween. Costs what these services have of endpoints.
  void Follow(const World& next, const std::vector<std::string>& keys);

  OutboundScope ScopeOf(const ProxyView& view) const;

  // "reviews" in namespace "default" → "reviews.default.svc.cluster.local"; "reviews.prod" and
  // "reviews.prod.svc" likewise where there is such a service; other names as they are.
  std::string ResolveHost(absl::string_view host, absl::string_view object_namespace) const;

  // By key, which is a host for services of Kubernetes only; for what a client sees of
  // ServiceEntries ask VisibleServices.
  const Service* FindService(const std::string& key) const;
  // The host of the service that this host is another name of (World::aliases); `host` itself if it
  // is none.
  std::string FollowAlias(const std::string& host) const;
  // The other names of the service.
  const std::vector<const Alias*>& AliasesOf(const Service& service) const;
  const Endpoints& EndpointsOf(const Service& service) const;

  // Of a host, and of a namespace.
  const std::vector<const Service*>& ServicesOf(const std::string& host) const;
  const std::vector<const Service*>& ServicesIn(const std::string& name_space) const;

  const SidecarIndex& sidecars() const { return sidecars_; }
  const MeshSettings& mesh() const { return mesh_; }
  const TelemetryIndex& telemetries() const { return telemetries_; }

  // The one VirtualService that routes a mesh client's requests to `host`; null if none. An exact
  // host beats a wildcard, a longer wildcard a shorter one, the older object the younger.
  const VirtualServiceConfig* VirtualServiceFor(const std::string& host,
                                                absl::string_view client_namespace) const;

  // Hosts of VirtualServices that are no service's, in order of precedence; whether the client sees
  // them is left to the caller.
  const std::vector<std::pair<std::string, const VirtualServiceConfig*>>& foreign_hosts() const {
    return foreign_hosts_;
  }

  // The Gateways that select a workload, the oldest first. Istio's look for it in all namespaces,
  // and one without a selector means every router.
  std::vector<const GatewayConfig*> GatewaysFor(const ProxyView& view) const;
  // All of them, the oldest first.
  const std::vector<const GatewayConfig*>& gateways() const { return gateways_; }
  // Those bound to the Gateway, the oldest first; whether they are visible is left to the caller.
  const std::vector<const VirtualServiceConfig*>& VirtualServicesOn(
      const GatewayConfig& gateway) const;

  // All DestinationRules that name the host, exactly or by wildcard, the most specific and then the
  // oldest first; whether the client sees them is left to the caller.
  std::vector<const DestinationRuleConfig*> DestinationRulesFor(const std::string& host) const;

  // Whether a DestinationRule of its own namespace selects a workload and names a Secret for TLS.
  bool HasCredentialRule(const std::string& workload_namespace, const Labels& labels) const;

  // Ourselves as clients of other networks see us.
  const Peer& own() const { return own_peer_; }

  // Those with an endpoint at one of the pod's addresses, in order of key, ServiceEntries last.
  std::vector<const Service*> ServicesAt(const ProxyView& view) const;

  // Ports of the pod by number.
  std::map<uint16_t, InboundPort> InboundPortsOf(const ProxyView& view) const;

  // The pods of this cluster's own gateways, in order of address; none where no peer is reached
  // through them.
  const std::vector<const Workload*>& gateway_pods() const { return gateway_pods_; }

  // How a workload takes connections; without a port: on ports that have no setting of their own.
  MtlsMode MtlsModeOf(absl::string_view workload_namespace, const Labels& labels) const;
  MtlsMode MtlsModeOf(absl::string_view workload_namespace, const Labels& labels,
                      uint16_t port) const;
  // The ports with a setting of their own.
  std::set<uint16_t> PortsWithMtlsMode(absl::string_view workload_namespace,
                                       const Labels& labels) const;

  // All that select a workload: those of the root namespaces, then those of its own, oldest first.
  std::vector<const AuthorizationPolicyConfig*> AuthorizationPoliciesFor(
      const std::string& workload_namespace, const Labels& labels) const;
  std::vector<const RequestAuthenticationConfig*> RequestAuthenticationsFor(
      const std::string& workload_namespace, const Labels& labels) const;

 private:
  template <typename T>
  struct ByHost {
    std::map<std::string, std::vector<const T*>> exact;
    // Suffix ("*.prod.svc.cluster.local" → ".prod.svc.cluster.local"), by length, longest first.
    std::map<size_t, std::vector<std::pair<std::string, const T*>>, std::greater<>> wildcards;
  };

  template <typename T>
  static void Add(ByHost<T>& table, const std::string& host, const T* config);
  // Calls `visit` with each one that names the host, in order of precedence, until it says true.
  template <typename T, typename Visit>
  static void VisitMatching(const ByHost<T>& table, const std::string& host, Visit visit);

  void IndexServices();
  void IndexGatewayPods();
  void IndexAliases();
  void IndexVirtualServices();
  void BindToGateways(const VirtualServiceConfig& config);
  bool NamesAService(const std::string& host) const;
  void IndexDestinationRules();
  void IndexPeerAuthentications();
  void IndexWorkloadPolicies();
  const PeerAuthenticationConfig* WorkloadPolicy(absl::string_view workload_namespace,
                                                 const Labels& labels) const;

  // Whether it may decide what the pod takes connections as.
  bool SpeaksFor(const Service& service, const ProxyView& view) const;
  // In services_at_: of our own cluster's pods the address.
  std::string PlaceOf(const std::string& cluster, const std::string& address) const;
  void AddAddresses(const Service& service);
  void RemoveAddresses(const Service& service);

  World own_;
  const World& world_;
  const Peer own_peer_;
  const SidecarIndex sidecars_;
  const MeshSettings mesh_;
  const TelemetryIndex telemetries_;
  std::map<std::string, std::vector<const Service*>> services_of_;  // by host
  std::map<std::string, std::vector<const Service*>> services_in_;  // by namespace
  // The services with an endpoint at a pod's place, in order of key, ServiceEntries last.
  std::unordered_map<std::string, std::vector<const Service*>> services_at_;
  std::map<const Service*, std::vector<const Alias*>> aliases_;
  std::vector<const Workload*> gateway_pods_;
  // Those of the World with their delegates put in.
  Configs<istio::networking::v1alpha3::VirtualService> merged_virtual_services_;
  ByHost<VirtualServiceConfig> virtual_services_;
  std::vector<std::pair<std::string, const VirtualServiceConfig*>> foreign_hosts_;
  std::vector<const GatewayConfig*> gateways_;
  // By namespace and name of the Gateway.
  std::map<std::pair<std::string, std::string>, std::vector<const VirtualServiceConfig*>> bound_;
  ByHost<DestinationRuleConfig> destination_rules_;
  // Those with a workloadSelector that name a Secret, by namespace.
  std::map<std::string, std::vector<const DestinationRuleConfig*>> credential_rules_;
  // Namespace-wide policies by namespace, and those that select workloads, oldest first.
  std::map<std::string, const PeerAuthenticationConfig*> namespace_mtls_;
  std::map<std::string, std::vector<const PeerAuthenticationConfig*>> workload_mtls_;
  const PeerAuthenticationConfig* mesh_mtls_ = nullptr;
  // By namespace, oldest first.
  std::map<std::string, std::vector<const AuthorizationPolicyConfig*>> authorization_policies_;
  std::map<std::string, std::vector<const RequestAuthenticationConfig*>> request_authentications_;
  std::set<std::string> selected_labels_;
};

// Where policies for the whole mesh are kept; in order of precedence.
inline constexpr absl::string_view kRootNamespaces[] = {"weft-system", "istio-system"};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_INDEX_H_
