#include "controlplane/debug/pages.h"

#include <nlohmann/json.hpp>

#include "absl/strings/str_cat.h"
#include "controlplane/ads/client.h"
#include "controlplane/ads/delta_subscription.h"

namespace weft {
namespace {

using Json = nlohmann::ordered_json;

// Names and errors may hold any bytes; a page must be JSON whatever they are.
std::string Dump(const Json& json) {
  return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n";
}

Json ToJson(const Endpoint& endpoint) {
  Json json = {{"cluster", endpoint.cluster},
               {"network", endpoint.network},
               {"region", endpoint.locality.region},
               {"zone", endpoint.locality.zone},
               {"labels", endpoint.labels},
               {"serviceAccount", endpoint.service_account},
               {"mtls", endpoint.mtls},
               {"ready", endpoint.ready},
               {"weight", endpoint.weight}};
  if (!endpoint.remote()) {
    json["pod"] = endpoint.pod;
    json["address"] = endpoint.address;
    if (!endpoint.other_address.empty()) json["otherAddress"] = endpoint.other_address;
  }
  return json;
}

}  // namespace

std::string SyncPage(const std::vector<ProxyStatus>& proxies,
                     const std::vector<PeerStatus>& peers) {
  Json page = {{"proxies", Json::array()}, {"peers", Json::array()}};
  for (const ProxyStatus& proxy : proxies) {
    Json types = Json::object();
    for (const TypeStatus& type : proxy.types) {
      types[type.type] = {{"sent", type.sent}, {"acked", type.acked}, {"error", type.error}};
    }
    page["proxies"].push_back({{"node", proxy.node},
                               {"peer", proxy.peer},
                               {"identity", proxy.identity},
                               {"form", proxy.form},
                               {"types", std::move(types)}});
  }
  for (const PeerStatus& peer : peers) {
    page["peers"].push_back({{"cluster", peer.cluster},
                             {"connected", peer.connected},
                             {"synced", peer.synced},
                             {"services", peer.services},
                             {"refused", peer.refused},
                             {"error", peer.last_error}});
  }
  return Dump(page);
}

std::string AdsPage(const std::vector<ProxyStatus>& proxies) {
  Json page = {{"totalClients", proxies.size()}, {"clients", Json::array()}};
  for (const ProxyStatus& proxy : proxies) {
    Json watches = Json::object();
    for (const TypeStatus& type : proxy.types) {
      watches[type.type] = {{"wildcard", type.wildcard},
                            {"names", type.names},
                            {"resources", type.resources},
                            {"nack", !type.error.empty()}};
    }
    page["clients"].push_back({{"connectionId", proxy.node},
                               {"address", proxy.peer},
                               {"role", proxy.role},
                               {"form", proxy.form},
                               {"watches", std::move(watches)}});
  }
  return Dump(page);
}

std::string ClusterPage(const std::vector<RemoteStatus>& remotes) {
  Json page = Json::array();
  for (const RemoteStatus& remote : remotes) {
    page.push_back({{"id", remote.cluster},
                    {"secretName", remote.secret},
                    {"syncStatus", remote.synced ? "synced" : "syncing"},
                    {"connected", remote.connected},
                    {"server", remote.server},
                    {"services", remote.services},
                    {"gateways", remote.gateways}});
  }
  return Dump(page);
}

std::string DistributionPage(
    const std::map<ObjectKey, DistributionStatus>& ours,
    const std::map<std::string, std::shared_ptr<const ConfigReports>>& received) {
  Json page = {{"distributed", Json::array()}, {"received", Json::array()}};
  for (const auto& [key, status] : ours) {
    page["distributed"].push_back({{"object", ToString(key)},
                                   {"revision", status.revision},
                                   {"distributed", status.condition.status},
                                   {"reason", status.condition.reason},
                                   {"message", status.condition.message},
                                   {"clusters", status.clusters}});
  }
  for (const auto& [cluster, reports] : received) {
    for (const auto& [key, report] : *reports) {
      page["received"].push_back({{"object", ToString(key)},
                                  {"cluster", cluster},
                                  {"revision", report.revision},
                                  {"state", std::string(NameOf(report.state))},
                                  {"message", report.message}});
    }
  }
  return Dump(page);
}

std::string RegistryPage(const World& world) {
  Json page = Json::array();
  for (const auto& [key, service] : world.services) {
    Json ports = Json::array();
    for (const ServicePort& port : service->ports) {
      ports.push_back({{"name", port.name}, {"port", port.port}});
    }
    Json endpoints = Json::array();
    auto found = world.endpoints.find(key);
    if (found != world.endpoints.end()) {
      for (const Endpoint& endpoint : *found->second) endpoints.push_back(ToJson(endpoint));
    }
    page.push_back({{"host", service->host},
                    {"namespace", service->namespace_},
                    {"address", service->address},
                    {"local", service->local},
                    {"exported", service->exported},
                    {"ports", std::move(ports)},
                    {"endpoints", std::move(endpoints)}});
    if (!service->other_address.empty()) page.back()["otherAddress"] = service->other_address;
  }
  return Dump(page);
}

std::string ImportPage(const World& world) {
  Json page = Json::array();
  for (const auto& [host, import] : world.imports) {
    Json ports = Json::array();
    for (const ServicePort& port : import->ports) {
      ports.push_back({{"name", port.name}, {"port", port.port}});
    }
    page.push_back({{"host", host},
                    {"namespace", import->namespace_},
                    {"name", import->name},
                    {"type", import->headless ? "Headless" : "ClusterSetIP"},
                    {"ips", import->ips},
                    {"ports", std::move(ports)},
                    {"sessionAffinity", import->session_affinity ? "ClientIP" : "None"},
                    {"clusters", import->clusters},
                    // Whether the local name leads to the very same.
                    {"mergedWithLocalName", world.aliases.contains(host)},
                    {"conflict", import->conflict},
                    {"conflictMessage", import->conflict_message}});
  }
  return Dump(page);
}

std::string ConfigPage(const Resources& resources) {
  Json page = Json::object();
  for (const ResourceType& type : ResourceTypes()) {
    Json named = Json::object();
    for (const auto& [name, bytes] : resources.*type.resources) {
      named[name] = {{"size", bytes->size()}, {"version", VersionOf(*bytes)}};
    }
    page[std::string(type.name)] = std::move(named);
  }
  return Dump(page);
}

}  // namespace weft
