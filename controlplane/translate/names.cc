#include "controlplane/translate/names.h"

#include <set>

#include "absl/strings/str_cat.h"
#include "api/istio/nds.pb.h"
#include "controlplane/translate/encode.h"

namespace weft {
namespace {

std::set<std::string> AddressesOf(const TranslationIndex& index, const Service& service) {
  if (!service.address.empty()) return {service.address};
  std::set<std::string> addresses;
  for (const Endpoint& endpoint : index.EndpointsOf(service)) {
    if (!endpoint.remote() && endpoint.ready) addresses.insert(endpoint.address);
  }
  return addresses;
}

}  // namespace

EncodedResources NameTableFor(const TranslationIndex& index, const std::string& client_namespace) {
  istio::networking::nds::v1::NameTable table;
  for (const auto& [host, service] : index.world().services) {
    auto& info = (*table.mutable_table())[host];
    for (const std::string& address : AddressesOf(index, *service)) info.add_ips(address);
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
