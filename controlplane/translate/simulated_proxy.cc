#include "controlplane/translate/simulated_proxy.h"

#include <algorithm>
#include <map>
#include <utility>
#include <variant>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "api/envoy/type_urls.h"
#include "google/protobuf/any.pb.h"
#include "gtest/gtest.h"
#include "proxy/config/config_state.h"
#include "proxy/decide/match_chain.h"
#include "proxy/decide/match_route.h"
#include "proxy/telemetry/access_line.h"

namespace weft {
namespace {

Secrets Own(std::string chain_pem, std::string key_pem) {
  Secrets secrets;
  secrets.certificates["default"] = {std::move(chain_pem), std::move(key_pem)};
  return secrets;
}

const ListenerConfig* ListenerAt(const Snapshot& snapshot, const Address& destination) {
  const ListenerConfig* listener = MatchListener(snapshot, destination);
  return listener != nullptr ? listener : snapshot.listeners.at("virtualOutbound").get();
}

const FilterChainConfig* ChainAt(const Snapshot& snapshot, const std::string& destination,
                                 const std::string& server_name) {
  ConnectionFacts facts;
  facts.destination = *Address::Parse(destination);
  facts.source = facts.direct_source = *Address::Ip("10.244.0.200", 40000);
  facts.server_name = server_name;
  facts.tls = !server_name.empty();
  return MatchChain(*ListenerAt(snapshot, facts.destination), facts);
}

std::string RouteOn(const Snapshot& snapshot, const FilterChainConfig* chain,
                    const std::string& authority) {
  if (chain == nullptr) return "closed";
  const auto* http = std::get_if<HttpManagerConfig>(&chain->service);
  if (http == nullptr) return "tcp";
  RequestHead request;
  request.method = "GET";
  request.authority = authority;
  request.path = "/";
  const auto table = snapshot.FindRoutes(*http);
  const Route* route = MatchRoute(*table, request, 0);
  if (route == nullptr) return "404";
  if (const auto* direct = std::get_if<DirectResponse>(&route->action)) {
    return absl::StrCat(direct->status);
  }
  const auto& forward = std::get<ForwardAction>(route->action);
  return ChooseTarget(forward.clusters, forward.total_weight, 0)->cluster;
}

const FilterChainConfig* InboundChain(const Snapshot& snapshot, uint16_t port, bool mtls) {
  static const std::vector<std::string> kMesh = {"istio"};
  ConnectionFacts facts;
  facts.destination = *Address::Ip("10.244.0.200", port);
  facts.source = facts.direct_source = *Address::Ip("10.244.0.9", 40000);
  facts.tls = mtls;
  if (mtls) facts.application_protocols = kMesh;
  return MatchChain(*snapshot.listeners.at("virtualInbound"), facts);
}

std::vector<std::string> LinesOf(const FilterChainConfig* chain, const Served& served) {
  if (chain == nullptr) return {"closed"};
  const auto* http = std::get_if<HttpManagerConfig>(&chain->service);
  const auto& logs =
      http != nullptr ? http->access_logs : std::get<TcpProxyConfig>(chain->service).access_logs;
  RequestHead request;
  RequestRecord record;
  FormatInput input;
  input.record = &record;
  record.duration = absl::Milliseconds(served.milliseconds);
  if (served.no_route) record.flag = ResponseFlag::kNoRouteFound;
  if (http != nullptr) {
    request.method = served.method;
    request.path = served.path;
    request.authority = served.authority;
    for (const auto& [name, value] : served.headers) request.headers.Add(name, value);
    record.status = served.status;
    record.grpc_status = served.grpc_status;
    input.request = &request;
  }
  std::vector<std::string> lines;
  for (const AccessLogConfig& log : logs) {
    if (log.filter != nullptr && !Passes(*log.filter, input, /*random=*/0)) continue;
    lines.push_back(absl::StrCat(log.path, ": ", AccessLine(log, input)));
  }
  return lines;
}

}  // namespace

SimulatedProxy::SimulatedProxy(const std::vector<SentResource>& resources, std::string chain_pem,
                               std::string key_pem)
    : state_(std::make_unique<ConfigState>(Own(std::move(chain_pem), std::move(key_pem)))) {
  std::map<std::string, std::vector<EncodedResource>> by_type;
  for (const SentResource& sent : resources) {
    google::protobuf::Any any;
    EXPECT_TRUE(any.ParseFromString(*sent.bytes)) << sent.name;
    by_type[sent.type_url].push_back({sent.name, any.value()});
  }
  for (absl::string_view type :
       {kSecretType, kClusterType, kEndpointType, kListenerType, kRouteType, kNameTableType}) {
    const absl::Status status = state_->Apply(type, by_type[std::string(type)]);
    EXPECT_TRUE(status.ok()) << status;
  }
  for (const auto& [lookup, refresh] : state_->Lookups()) {
    state_->SetAddresses(lookup, {*Address::Ip("192.0.2.7", 0)});
  }
  EXPECT_EQ(absl::StrJoin(state_->Waiting(), "\n"), "");
}

SimulatedProxy::~SimulatedProxy() = default;

std::string SimulatedProxy::Connect(const std::string& destination,
                                    const std::string& server_name) const {
  const Snapshot& snapshot = *state_->snapshot();
  const FilterChainConfig* chain = ChainAt(snapshot, destination, server_name);
  if (chain == nullptr) return "closed";
  const auto* tcp = std::get_if<TcpProxyConfig>(&chain->service);
  return tcp == nullptr ? "http" : tcp->clusters.at(0).cluster;
}

std::string SimulatedProxy::Request(const std::string& destination,
                                    const std::string& authority) const {
  const Snapshot& snapshot = *state_->snapshot();
  return RouteOn(snapshot, ChainAt(snapshot, destination, ""), authority);
}

std::string SimulatedProxy::BoundRequest(const std::string& listener,
                                         const std::string& authority) const {
  const Snapshot& snapshot = *state_->snapshot();
  const auto found = snapshot.listeners.find(listener);
  if (found == snapshot.listeners.end() || !found->second->bind_to_port) return "not bound";
  return RouteOn(snapshot, MatchChain(*found->second, ConnectionFacts()), authority);
}

std::string SimulatedProxy::Inbound(uint16_t port, bool mtls) const {
  const Snapshot& snapshot = *state_->snapshot();
  const FilterChainConfig* chain = InboundChain(snapshot, port, mtls);
  if (chain == nullptr) return "closed";
  const auto* tcp = std::get_if<TcpProxyConfig>(&chain->service);
  return tcp == nullptr ? absl::StrCat("http ", RouteOn(snapshot, chain, "any"))
                        : tcp->clusters.at(0).cluster;
}

std::vector<std::string> SimulatedProxy::InboundLog(uint16_t port, bool mtls,
                                                    const Served& served) const {
  return LinesOf(InboundChain(*state_->snapshot(), port, mtls), served);
}

std::vector<std::string> SimulatedProxy::OutboundLog(const std::string& destination,
                                                     const Served& served) const {
  return LinesOf(ChainAt(*state_->snapshot(), destination, ""), served);
}

std::string SimulatedProxy::Endpoints(const std::string& cluster) const {
  const Snapshot& snapshot = *state_->snapshot();
  const ClusterConfig* config = snapshot.FindCluster(cluster);
  if (config == nullptr) return "no cluster";
  if (config->type == ClusterType::kOriginalDst) return "original";
  std::vector<std::string> names;
  for (const EndpointConfig& endpoint : config->endpoints->endpoints) {
    names.push_back(absl::StrCat(endpoint.key, "=", endpoint.weight));
  }
  std::sort(names.begin(), names.end());
  return absl::StrJoin(names, " ");
}

std::string SimulatedProxy::Resolve(const std::string& name) const {
  const Snapshot& snapshot = *state_->snapshot();
  const NameTable::Host* host = snapshot.names->Find(name);
  if (host == nullptr) return "unknown";
  return absl::StrJoin(host->addresses, " ",
                       [](std::string* out, const Address& address) { out->append(address.ip()); });
}

}  // namespace weft
