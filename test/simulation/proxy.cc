#include "test/simulation/proxy.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "api/envoy/type_urls.h"
#include "google/protobuf/any.pb.h"
#include "proxy/config/config_state.h"
#include "proxy/decide/match_chain.h"
#include "proxy/decide/match_route.h"
#include "proxy/decide/pick_endpoint.h"
#include "proxy/tls/tls_context.h"

namespace weft::simulation {
namespace {

constexpr char kGatewayListener[] = "0.0.0.0_15443";
constexpr uint16_t kInboundPort = 8080;

// Clusters first: what is wanted of the others follows from them.
constexpr absl::string_view kWildcardTypes[] = {kClusterType, kListenerType, kNameTableType};
constexpr absl::string_view kNamedTypes[] = {kSecretType, kEndpointType, kRouteType};

Secrets Own(std::string chain_pem, std::string key_pem) {
  Secrets secrets;
  secrets.certificates["default"] = {std::move(chain_pem), std::move(key_pem)};
  return secrets;
}

std::vector<std::string> Needed(const ConfigState& state, absl::string_view type_url) {
  std::set<std::string> names;
  for (const auto& [source, of_source] : state.NeededOf(type_url)) {
    names.insert(of_source.begin(), of_source.end());
  }
  return {names.begin(), names.end()};
}

const FilterChainConfig* OutboundChain(const Snapshot& snapshot, const Address& destination) {
  ConnectionFacts facts;
  facts.destination = destination;
  facts.source = facts.direct_source = *Address::Ip("10.244.0.200", 40000);
  const ListenerConfig* listener = MatchListener(snapshot, destination);
  if (listener == nullptr) {
    const auto catch_all = snapshot.listeners.find("virtualOutbound");
    if (catch_all == snapshot.listeners.end()) return nullptr;
    listener = catch_all->second.get();
  }
  return MatchChain(*listener, facts);
}

const std::vector<std::string>& MeshProtocols() {
  static const auto* const kMesh = new std::vector<std::string>{"istio"};
  return *kMesh;
}

const EndpointConfig* Pick(const ClusterConfig& cluster, uint64_t random) {
  if (cluster.endpoints == nullptr) return nullptr;
  ClusterLoad load;
  PickFacts facts;
  facts.random = random;
  const auto index = PickEndpoint(cluster, load, facts);
  return index.has_value() ? &cluster.endpoints->endpoints[*index] : nullptr;
}

}  // namespace

Proxy::Proxy(std::string chain_pem, std::string key_pem)
    : state_(std::make_unique<ConfigState>(Own(std::move(chain_pem), std::move(key_pem)))) {}
Proxy::~Proxy() = default;

std::vector<ResourceRequest> Proxy::OnStream() {
  std::vector<ResourceRequest> requests;
  for (const absl::string_view type : kWildcardTypes) {
    ResourceRequest request;
    request.type_url = std::string(type);
    const auto& held = versions_[request.type_url];
    request.initial_versions.assign(held.begin(), held.end());
    requests.push_back(std::move(request));
  }
  for (const absl::string_view type : kNamedTypes) {
    ResourceRequest request;
    request.type_url = std::string(type);
    const std::set<std::string>& names = wanted_[request.type_url];
    if (names.empty()) continue;
    request.subscribe.assign(names.begin(), names.end());
    const auto& held = versions_[request.type_url];
    request.initial_versions.assign(held.begin(), held.end());
    requests.push_back(std::move(request));
  }
  return requests;
}

// A request for the difference to what was asked for before.
ResourceRequest Proxy::Want(const std::string& type_url, std::vector<std::string> names) {
  ResourceRequest request;
  request.type_url = type_url;
  std::set<std::string>& wanted = wanted_[type_url];
  std::set_difference(names.begin(), names.end(), wanted.begin(), wanted.end(),
                      std::back_inserter(request.subscribe));
  std::set_difference(wanted.begin(), wanted.end(), names.begin(), names.end(),
                      std::back_inserter(request.unsubscribe));
  for (const std::string& name : request.unsubscribe) versions_[type_url].erase(name);
  wanted = {names.begin(), names.end()};
  return request;
}

std::vector<ResourceRequest> Proxy::OnUpdate(const ResourceUpdate& update) {
  ConfigUpdate taken;
  taken.type_url = update.type_url;
  std::vector<EncodedResource> resources;
  for (const VersionedResource& one : update.changed) {
    google::protobuf::Any any;
    any.ParseFromString(*one.bytes);
    resources.push_back({one.name, any.value(), one.version});
    versions_[update.type_url][one.name] = one.version;
  }
  for (const std::string& name : update.removed) versions_[update.type_url].erase(name);
  taken.resources = resources;
  taken.removed = update.removed;
  const absl::Status status = state_->Apply(taken);

  ResourceRequest answer;
  answer.type_url = update.type_url;
  answer.nonce = update.nonce;
  refusals_.erase(update.type_url);
  if (!status.ok()) {
    answer.error = std::string(status.message());
    refusals_[update.type_url] = answer.error;
  }
  std::vector<ResourceRequest> requests = {std::move(answer)};
  for (const absl::string_view type : kNamedTypes) {
    ResourceRequest request = Want(std::string(type), Needed(*state_, type));
    if (request.subscribe.empty() && request.unsubscribe.empty()) continue;
    requests.push_back(std::move(request));
  }
  return requests;
}

std::vector<std::string> Proxy::Complaints() const {
  std::vector<std::string> complaints = state_->Waiting();
  for (const auto& [type, why] : refusals_) complaints.push_back(absl::StrCat(type, ": ", why));
  return complaints;
}

std::vector<std::string> Proxy::Clusters() const {
  std::vector<std::string> names;
  for (const auto& [name, cluster] : state_->snapshot()->clusters) names.push_back(name);
  std::sort(names.begin(), names.end());
  return names;
}

std::set<std::string> Proxy::Endpoints(const std::string& cluster) const {
  std::set<std::string> addresses;
  const auto snapshot = state_->snapshot();
  const ClusterConfig* config = snapshot->FindCluster(cluster);
  if (config == nullptr || config->endpoints == nullptr) return addresses;
  for (const EndpointConfig& endpoint : config->endpoints->endpoints) {
    addresses.insert(endpoint.address.ip());
  }
  return addresses;
}

std::optional<Proxy::Choice> Proxy::Route(const std::string& host, uint16_t port,
                                          uint64_t random) const {
  const auto snapshot = state_->snapshot();
  const NameTable::Host* name = snapshot->names->Find(host);
  if (name == nullptr || name->addresses.empty()) return std::nullopt;
  const FilterChainConfig* chain =
      OutboundChain(*snapshot, *Address::Ip(name->addresses.front().ip(), port));
  if (chain == nullptr) return std::nullopt;
  const auto* http = std::get_if<HttpManagerConfig>(&chain->service);
  const auto table = http == nullptr ? nullptr : snapshot->FindRoutes(*http);
  if (table == nullptr) return std::nullopt;
  RequestHead request;
  request.method = "GET";
  request.authority = host;
  request.path = "/";
  const weft::Route* route = MatchRoute(*table, request, random);
  const auto* forward =
      route == nullptr ? nullptr : std::get_if<ForwardAction>(&route->action);
  if (forward == nullptr) return std::nullopt;
  const WeightedTarget* target = ChooseTarget(forward->clusters, forward->total_weight, random);
  const ClusterConfig* cluster = snapshot->FindCluster(target->cluster);
  const EndpointConfig* endpoint = cluster == nullptr ? nullptr : Pick(*cluster, random);
  if (endpoint == nullptr) return std::nullopt;
  return Choice{target->cluster, endpoint->address.ip(),
                endpoint->tls == nullptr ? "" : endpoint->tls->SniFor("")};
}

std::optional<std::string> Proxy::Enter(const std::string& server_name, uint64_t random) const {
  const auto snapshot = state_->snapshot();
  const auto listener = snapshot->listeners.find(kGatewayListener);
  if (listener == snapshot->listeners.end()) return std::nullopt;
  ConnectionFacts facts;
  facts.server_name = server_name;
  facts.application_protocols = MeshProtocols();
  facts.tls = true;
  const FilterChainConfig* chain = MatchChain(*listener->second, facts);
  const auto* tcp = chain == nullptr ? nullptr : std::get_if<TcpProxyConfig>(&chain->service);
  if (tcp == nullptr || !tcp->sni_cluster) return std::nullopt;
  const ClusterConfig* cluster = snapshot->FindCluster(server_name);
  const EndpointConfig* endpoint = cluster == nullptr ? nullptr : Pick(*cluster, random);
  if (endpoint == nullptr) return std::nullopt;
  return endpoint->address.ip();
}

absl::Status Proxy::AcceptsServer(const std::string& cluster,
                                  absl::Span<const certs::Certificate> chain,
                                  absl::Time now) const {
  const auto snapshot = state_->snapshot();
  const ClusterConfig* config = snapshot->FindCluster(cluster);
  if (config == nullptr) return absl::NotFoundError(cluster);
  for (const TransportSocketChoice& choice : config->transport_sockets) {
    if (choice.tls == nullptr || !choice.tls->peer_policy().has_value()) continue;
    return choice.tls->peer_policy()->Verify(chain, now).status();
  }
  return absl::FailedPreconditionError("no mesh TLS");
}

absl::StatusOr<std::string> Proxy::AcceptsClient(absl::Span<const certs::Certificate> chain,
                                                 absl::Time now) const {
  const auto snapshot = state_->snapshot();
  const auto listener = snapshot->listeners.find("virtualInbound");
  if (listener == snapshot->listeners.end()) return absl::UnavailableError("no inbound listener");
  ConnectionFacts facts;
  facts.destination = *Address::Ip("10.244.0.200", kInboundPort);
  facts.source = facts.direct_source = *Address::Ip("10.244.0.9", 40000);
  facts.application_protocols = MeshProtocols();
  facts.tls = true;
  const FilterChainConfig* match = MatchChain(*listener->second, facts);
  if (match == nullptr || match->tls == nullptr || !match->tls->peer_policy().has_value()) {
    return absl::FailedPreconditionError("no mesh TLS");
  }
  auto verified = match->tls->peer_policy()->Verify(chain, now);
  if (!verified.ok()) return verified.status();
  if (!verified->id.has_value()) return absl::UnauthenticatedError("no SPIFFE identity");
  return verified->id->ToString();
}

}  // namespace weft::simulation
