#include "controlplane/translate/names.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/istio/nds.pb.h"
#include "controlplane/translate/encode.h"
#include "controlplane/translate/reach.h"

namespace weft {
namespace {

using istio::networking::nds::v1::NameTable;
using NameInfo = NameTable::NameInfo;

// Those that are not empty.
void Insert(const std::string& address, const std::string& other, std::set<std::string>& to) {
  if (!address.empty()) to.insert(address);
  if (!other.empty()) to.insert(other);
}

std::set<std::string> AddressesOf(const TranslationIndex& index, const OutboundScope& client,
                                  const Service& service) {
  if (service.entry.has_value()) {
    std::set<std::string> stated;
    for (const std::string& address : service.entry->addresses) {
      if (!absl::StrContains(address, "/")) stated.insert(address);
    }
    Insert(service.address, service.other_address, stated);
    return stated;
  }
  std::set<std::string> addresses;
  Insert(service.address, service.other_address, addresses);
  if (!addresses.empty()) return addresses;
  for (const Endpoint& endpoint : index.EndpointsOf(service)) {
    if (!endpoint.ready || !IsDialed(index, client, service, endpoint)) continue;
    Insert(endpoint.address, endpoint.other_address, addresses);
  }
  return addresses;
}

void AddIps(const std::set<std::string>& addresses, const OutboundScope& client, NameInfo& info) {
  for (const std::string& address : addresses) {
    if (IsIpv6(address) ? client.families.v6 : client.families.v4) info.add_ips(address);
  }
}

// The table's entry for a service under its own name or another; that in the cluster set has no
// short forms.
NameInfo InfoOf(const std::set<std::string>& addresses, const std::string& namespace_,
                const std::string& name, bool cluster_set, const OutboundScope& client) {
  NameInfo info;
  AddIps(addresses, client, info);
  info.set_registry("Kubernetes");
  info.set_shortname(name);
  info.set_namespace_(namespace_);
  if (cluster_set) return info;
  info.add_alt_hosts(absl::StrCat(name, ".", namespace_));
  info.add_alt_hosts(absl::StrCat(name, ".", namespace_, ".svc"));
  if (namespace_ == client.namespace_) info.add_alt_hosts(name);
  return info;
}

// "db-0.db.default.svc.cluster.local": a pod of a headless service that has a name of its own.
void AddPods(const TranslationIndex& index, const Service& service, const OutboundScope& client,
             NameTable& table) {
  for (const Endpoint& endpoint : index.EndpointsOf(service)) {
    if (endpoint.hostname.empty() || !IsDialed(index, client, service, endpoint)) continue;
    const std::string name = absl::StrCat(endpoint.hostname, ".", service.name);
    NameInfo& info = (*table.mutable_table())[absl::StrCat(endpoint.hostname, ".", service.host)];
    std::set<std::string> addresses;
    Insert(endpoint.address, endpoint.other_address, addresses);
    info = InfoOf(addresses, service.namespace_, name, service.cluster_set, client);
  }
}

void AddEntry(const Service& service, const std::set<std::string>& addresses,
              const OutboundScope& client, NameTable& table) {
  if (addresses.empty() || absl::StartsWith(service.host, "*")) return;
  NameInfo& info = (*table.mutable_table())[service.host];
  AddIps(addresses, client, info);
  info.set_registry("External");
  info.set_namespace_(service.namespace_);
}

}  // namespace

EncodedResources NameTableFor(const TranslationIndex& index, const OutboundScope& client,
                              const VisibleServices& services) {
  NameTable table;
  for (const auto& [host, service] : services.known()) {
    const std::set<std::string> addresses = AddressesOf(index, client, *service);
    if (service->entry.has_value()) {
      AddEntry(*service, addresses, client, table);
    } else {
      (*table.mutable_table())[host] =
          InfoOf(addresses, service->namespace_, service->name, service->cluster_set, client);
    }
    if (IsHeadless(*service)) AddPods(index, *service, client, table);
    for (const Alias* alias : index.AliasesOf(*service)) {
      (*table.mutable_table())[alias->host] =
          InfoOf(addresses, alias->namespace_, alias->name, alias->cluster_set, client);
    }
  }
  return {{"", EncodeResource(table)}};
}

}  // namespace weft
