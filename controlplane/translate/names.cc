#include "controlplane/translate/names.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/istio/nds.pb.h"
#include "controlplane/translate/encode.h"

namespace weft {
namespace {

using istio::networking::nds::v1::NameTable;
using NameInfo = NameTable::NameInfo;

std::set<std::string> AddressesOf(const TranslationIndex& index, const Service& service) {
  if (service.entry.has_value()) {
    std::set<std::string> stated;
    for (const std::string& address : service.entry->addresses) {
      if (!absl::StrContains(address, "/")) stated.insert(address);
    }
    if (!service.address.empty()) stated.insert(service.address);
    return stated;
  }
  if (!service.address.empty()) return {service.address};
  std::set<std::string> addresses;
  for (const Endpoint& endpoint : index.EndpointsOf(service)) {
    if (!endpoint.remote() && endpoint.ready) addresses.insert(endpoint.address);
  }
  return addresses;
}

// The table's entry for a service under its own name or another.
NameInfo InfoOf(const std::set<std::string>& addresses, const std::string& namespace_,
                const std::string& name, const std::string& client_namespace) {
  NameInfo info;
  for (const std::string& address : addresses) info.add_ips(address);
  info.set_registry("Kubernetes");
  info.set_shortname(name);
  info.set_namespace_(namespace_);
  info.add_alt_hosts(absl::StrCat(name, ".", namespace_));
  info.add_alt_hosts(absl::StrCat(name, ".", namespace_, ".svc"));
  if (namespace_ == client_namespace) info.add_alt_hosts(name);
  return info;
}

// "db-0.db.default.svc.cluster.local": a pod of a headless service that has a name of its own.
void AddPods(const TranslationIndex& index, const Service& service,
             const std::string& client_namespace, NameTable& table) {
  for (const Endpoint& endpoint : index.EndpointsOf(service)) {
    if (endpoint.remote() || endpoint.hostname.empty()) continue;
    const std::string name = absl::StrCat(endpoint.hostname, ".", service.name);
    NameInfo& info = (*table.mutable_table())[absl::StrCat(endpoint.hostname, ".", service.host)];
    info = InfoOf({endpoint.address}, service.namespace_, name, client_namespace);
  }
}

void AddEntry(const Service& service, const std::set<std::string>& addresses, NameTable& table) {
  if (addresses.empty() || absl::StartsWith(service.host, "*")) return;
  NameInfo& info = (*table.mutable_table())[service.host];
  for (const std::string& address : addresses) info.add_ips(address);
  info.set_registry("External");
  info.set_namespace_(service.namespace_);
}

}  // namespace

EncodedResources NameTableFor(const TranslationIndex& index, const std::string& client_namespace,
                              const VisibleServices& services) {
  NameTable table;
  for (const auto& [host, service] : services.known()) {
    const std::set<std::string> addresses = AddressesOf(index, *service);
    if (service->entry.has_value()) {
      AddEntry(*service, addresses, table);
    } else {
      (*table.mutable_table())[host] =
          InfoOf(addresses, service->namespace_, service->name, client_namespace);
    }
    if (IsHeadless(*service)) AddPods(index, *service, client_namespace, table);
    for (const Alias* alias : index.AliasesOf(*service)) {
      (*table.mutable_table())[alias->host] =
          InfoOf(addresses, alias->namespace_, alias->name, client_namespace);
    }
  }
  return {{"", EncodeResource(table)}};
}

}  // namespace weft
