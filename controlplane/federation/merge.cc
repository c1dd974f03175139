#include "controlplane/federation/merge.h"

#include <algorithm>
#include <tuple>
#include <utility>

#include "absl/strings/str_cat.h"
#include "controlplane/federation/claims.h"
#include "controlplane/federation/imports.h"
#include "controlplane/federation/virtual_addresses.h"
#include "controlplane/model/kubernetes.h"
#include "controlplane/model/service_entry.h"

namespace weft {
namespace {

Offer OfferOf(const std::string& cluster, const Service& service) {
  return {cluster, service.exported_at, service.address.empty(), service.session_affinity,
          &service.ports};
}

Offer OfferOf(const Claim& claim) {
  const ExportedService& exported = *claim.exported;
  return {claim.peer->cluster, exported.exported_at, exported.headless, exported.session_affinity,
          &exported.ports};
}

bool JoinsLocal(const Claim& claim) { return claim.joins_local; }
bool CountsUnderBothNames(const Claim& claim) { return claim.joins_local && claim.in_cluster_set; }

class Merge {
 public:
  Merge(const World& local, const World* previous)
      : local_(local), previous_(previous), self_(local.self->cluster) {
    merged_.world = local;
  }

  void AddPeer(const PeerState& state) {
    const std::shared_ptr<const Peer> peer = WithLiveGateways(state, previous_);
    merged_.world.peers[peer->cluster] = peer;
    if (state.workloads.has_value()) {
      merged_.world.remote_workloads[peer->cluster] = *state.workloads;
    }
    for (const auto& [name, exported] : *state.exports) {
      if (!IsTaken(local_, state, exported)) continue;
      claims_[name].push_back(ClaimOf(local_, state, *peer, exported));
    }
  }

  MergedWorld Finish() && {
    for (const auto& [name, claims] : claims_) AddService(name, claims);
    for (const auto& [key, service] : local_.services) {
      if (!service->local || !service->exported) continue;
      const ServiceName name(service->namespace_, service->name);
      if (!claims_.contains(name)) AddService(name, {});
    }
    AddEntries();
    GiveAddresses();
    TakeServices();
    TakeImports();
    return std::move(merged_);
  }

 private:
  // What this cluster or peers have under a name, or both.
  void AddService(const ServiceName& name, const std::vector<Claim>& claims) {
    const Service* own = OwnService(name);
    const Service* by_local_name = own;
    if (std::any_of(claims.begin(), claims.end(), JoinsLocal)) {
      by_local_name = &Join(name, own, claims);
    }
    std::vector<Offer> offers;
    for (const Claim& claim : claims) {
      if (claim.in_cluster_set) offers.push_back(OfferOf(claim));
    }
    if (own != nullptr && own->exported) offers.push_back(OfferOf(self_, *own));
    if (offers.empty()) return;
    SortOldestFirst(offers);
    const Agreement agreed = Agree(offers);
    const bool same = by_local_name != nullptr && (own == nullptr || own->exported) &&
                      std::all_of(claims.begin(), claims.end(), CountsUnderBothNames) &&
                      SamePorts(by_local_name->ports, agreed.ports) &&
                      (own == nullptr || !own->address.empty() || agreed.headless);
    if (same) {
      AddAlias(name);
    } else {
      AddClusterSetService(name, own, claims, agreed);
    }
    AddImport(name, offers, agreed, same);
  }

  const Service* OwnService(const ServiceName& name) const {
    const auto found = local_.services.find(HostOf(name.second, name.first));
    return found == local_.services.end() ? nullptr : found->second.get();
  }
  const Endpoints* OwnEndpoints(const ServiceName& name) const {
    const auto found = local_.endpoints.find(HostOf(name.second, name.first));
    return found == local_.endpoints.end() ? nullptr : found->second.get();
  }

  // The service of the local name, with what joins it.
  const Service& Join(const ServiceName& name, const Service* own,
                      const std::vector<Claim>& claims) {
    const std::string host = HostOf(name.second, name.first);
    Service& service = services_[host];
    if (own != nullptr) {
      service = *own;
    } else {
      service.namespace_ = name.first;
      service.name = name.second;
      service.host = host;
    }
    std::vector<const Claim*> joining;
    for (const Claim& claim : claims) {
      if (claim.joins_local) joining.push_back(&claim);
    }
    // After our own ports: its callers here rely on these.
    std::sort(joining.begin(), joining.end(), [](const Claim* a, const Claim* b) {
      return std::tie(a->exported->exported_at, a->peer->cluster) <
             std::tie(b->exported->exported_at, b->peer->cluster);
    });
    for (const Claim* claim : joining) AddPorts(*claim->peer, *claim->exported, service);
    endpoints_[host] = EndpointsOf(service, OwnEndpoints(name), claims);
    return service;
  }

  void AddPorts(const Peer& peer, const ExportedService& exported, Service& service) {
    for (const ServicePort& port : exported.ports) {
      const auto known =
          std::find_if(service.ports.begin(), service.ports.end(), [&](const ServicePort& p) {
            return p.port == port.port &&
                   (p.protocol == Protocol::kUdp) == (port.protocol == Protocol::kUdp);
          });
      if (known == service.ports.end()) {
        service.ports.push_back(port);
      } else if (known->protocol != port.protocol) {
        merged_.problems.push_back(
            {Severity::kWarning,
             "",
             {"Service", service.namespace_, service.name},
             "",
             absl::StrCat("port ", port.port),
             absl::StrCat("cluster ", peer.cluster, " speaks another protocol there; ",
                          service.local ? "this cluster's counts" : "an older export's counts")});
      }
    }
  }

  // Its name in the set is another name of the local one.
  void AddAlias(const ServiceName& name) {
    const std::string host = ClusterSetHostOf(name.second, name.first);
    aliases_.emplace_back(
        host, Alias{host, name.first, name.second, HostOf(name.second, name.first), true});
  }

  void AddClusterSetService(const ServiceName& name, const Service* own,
                            const std::vector<Claim>& claims, const Agreement& agreed) {
    const std::string host = ClusterSetHostOf(name.second, name.first);
    Service& service = services_[host];
    if (own != nullptr) {
      service.affinity = own->affinity;
      service.prefers_close = own->prefers_close;
      service.export_to = own->export_to;
    }
    service.namespace_ = name.first;
    service.name = name.second;
    service.host = host;
    service.cluster_set = true;
    service.session_affinity = agreed.session_affinity;
    service.ports = agreed.ports;
    const bool ours = own != nullptr && own->exported;
    endpoints_[host] = EndpointsOf(service, ours ? OwnEndpoints(name) : nullptr, claims);
  }

  // Its addresses follow.
  void AddImport(const ServiceName& name, const std::vector<Offer>& offers, const Agreement& agreed,
                 bool same) {
    Import& made = imports_.emplace_back();
    ServiceImport& import = made.import;
    import.namespace_ = name.first;
    import.name = name.second;
    import.headless = agreed.headless;
    import.session_affinity = agreed.session_affinity;
    import.ports = agreed.ports;
    for (const Offer& offer : offers) import.clusters.push_back(offer.cluster);
    std::sort(import.clusters.begin(), import.clusters.end());
    import.conflict = agreed.conflict;
    import.conflict_message = agreed.conflict_message;
    made.service =
        same ? HostOf(name.second, name.first) : ClusterSetHostOf(name.second, name.first);
  }

  // ServiceEntries draw from the same addresses as what peers have.
  void AddEntries() {
    for (const auto& [key, service] : merged_.world.services) {
      if (WantsVirtualAddress(*service)) services_.emplace(key, *service);
    }
  }

  void GiveAddresses() {
    VirtualAddresses addresses;
    for (const auto& [key, service] : merged_.world.services) {
      addresses.Reserve(service->address);  // one of the range that a user states
    }
    std::vector<Service*> without;
    for (auto& [key, service] : services_) {
      if (service.local) continue;
      const Service* before = Before(key);
      if (before != nullptr && addresses.Reserve(before->address)) {
        service.address = before->address;
        service.other_address = VirtualAddresses::Ipv6Of(service.address);
      } else {
        without.push_back(&service);
      }
    }
    for (Service* service : without) {
      service->address = addresses.Allocate(service->host);
      service->other_address = VirtualAddresses::Ipv6Of(service->address);
      if (!service->address.empty()) continue;
      merged_.problems.push_back({Severity::kError,
                                  "",
                                  {"Service", service->namespace_, service->name},
                                  "",
                                  "",
                                  "no virtual address is left in 240.240.0.0/16; the name does not "
                                  "resolve"});
    }
  }

  const Service* Before(const std::string& key) const {
    if (previous_ == nullptr) return nullptr;
    const auto it = previous_->services.find(key);
    return it == previous_->services.end() ? nullptr : it->second.get();
  }

  void TakeServices() {
    for (auto& [key, service] : services_) {
      merged_.world.services[key] =
          Reuse(previous_ == nullptr ? nullptr : &previous_->services, key, std::move(service));
    }
    for (auto& [key, endpoints] : endpoints_) {
      merged_.world.endpoints[key] =
          Reuse(previous_ == nullptr ? nullptr : &previous_->endpoints, key, std::move(endpoints));
    }
    for (auto& [host, alias] : aliases_) merged_.world.aliases[host] = std::move(alias);
    // The very same, so that whoever points into them need not look.
    if (previous_ != nullptr && previous_->aliases == merged_.world.aliases) {
      merged_.world.aliases = previous_->aliases;
    }
  }

  void TakeImports() {
    for (Import& made : imports_) {
      const Service& service = *merged_.world.services.at(made.service);
      if (!made.import.headless) {
        for (const std::string& address : {service.address, service.other_address}) {
          if (!address.empty()) made.import.ips.push_back(address);
        }
      }
      const std::string host = ClusterSetHostOf(service.name, service.namespace_);
      merged_.world.imports[host] =
          Reuse(previous_ == nullptr ? nullptr : &previous_->imports, host, std::move(made.import));
    }
  }

  struct Import {
    ServiceImport import;
    std::string service;  // by key, whose addresses it has
  };

  const World& local_;
  const World* const previous_;
  const std::string self_;
  MergedWorld merged_;
  std::map<ServiceName, std::vector<Claim>> claims_;
  std::map<std::string, Service> services_;     // that peers have, too, or that need an address
  std::map<std::string, Endpoints> endpoints_;  // of those
  std::vector<std::pair<std::string, Alias>> aliases_;
  std::vector<Import> imports_;
};

}  // namespace

MergedWorld MergeWorld(const World& local, const std::map<std::string, PeerState>& peers,
                       const World* previous) {
  Merge merge(local, previous);
  for (const auto& [cluster, state] : peers) merge.AddPeer(state);
  return std::move(merge).Finish();
}

}  // namespace weft
