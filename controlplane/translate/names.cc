#include "controlplane/translate/names.h"

#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/istio/nds.pb.h"
#include "controlplane/translate/encode.h"

namespace weft {
namespace {

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

}  // namespace

EncodedResources NameTableFor(const TranslationIndex& index, const std::string& client_namespace,
                              const VisibleServices& services) {
  istio::networking::nds::v1::NameTable table;
  for (const auto& [host, service] : services.known()) {
    const std::set<std::string> addresses = AddressesOf(index, *service);
    if (service->entry.has_value()) {
      if (addresses.empty() || absl::StartsWith(host, "*")) continue;
      auto& info = (*table.mutable_table())[host];
      for (const std::string& address : addresses) info.add_ips(address);
      info.set_registry("External");
      info.set_namespace_(service->namespace_);
      continue;
    }
    auto& info = (*table.mutable_table())[host];
    for (const std::string& address : addresses) info.add_ips(address);
    info.set_registry("Kubernetes");
    info.set_shortname(service->name);
    info.set_namespace_(service->namespace_);
    info.add_alt_hosts(absl::StrCat(service->name, ".", service->namespace_));
    info.add_alt_hosts(absl::StrCat(service->name, ".", service->namespace_, ".svc"));
    if (service->namespace_ == client_namespace) info.add_alt_hosts(service->name);
  }
  return {{"", EncodeResource(table)}};
}

}  // namespace weft
