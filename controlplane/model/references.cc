#include "controlplane/model/references.h"

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "api/istio/networking.pb.h"
#include "controlplane/model/delegates.h"
#include "controlplane/model/gateway_name.h"

namespace weft {
namespace {

namespace networking = istio::networking::v1alpha3;
using networking::Destination;
using networking::VirtualService;

constexpr char kNotFound[] = "IST0101";  // istioctl analyze: ReferencedResourceNotFound
constexpr absl::string_view kServiceSuffix = ".svc.cluster.local";

class References {
 public:
  explicit References(const World& world) : world_(world) {
    for (const auto& [key, service] : world.services) {
      services_[service->host].push_back(service.get());
    }
    for (const auto& [name, config] : world.destination_rules) {
      auto& subsets = subsets_[Resolve(config.spec->host(), config.key.namespace_)];
      for (const auto& subset : config.spec->subsets()) subsets.insert(subset.name());
    }
  }

  std::vector<Problem> Check() {
    problems_ = WithDelegates(world_.virtual_services).problems;
    for (const auto& [name, config] : world_.virtual_services) CheckVirtualService(config);
    for (const auto& [name, config] : world_.destination_rules) CheckDestinationRule(config);
    for (const auto& [name, config] : world_.service_entries) CheckServiceEntry(config);
    return std::move(problems_);
  }

 private:
  // "reviews" of namespace "default", "reviews.default" and "reviews.default.svc" are the service
  // of that host; other names are as they are.
  std::string Resolve(const std::string& host, const std::string& namespace_) const {
    if (absl::StartsWith(host, "*")) return host;
    if (!absl::StrContains(host, ".")) return absl::StrCat(host, ".", namespace_, kServiceSuffix);
    std::string full = absl::StrCat(absl::StripSuffix(host, ".svc"), kServiceSuffix);
    return world_.services.contains(full) || world_.aliases.contains(full) ? full : host;
  }

  // The same for what requests are sent to, which may be another name of a service.
  std::string ResolveTarget(const std::string& host, const std::string& namespace_) const {
    std::string resolved = Resolve(host, namespace_);
    // Of type ExternalName for a name in the cluster set, and that for the local one.
    for (int step = 0; step < 2; ++step) {
      const auto alias = world_.aliases.find(resolved);
      if (alias == world_.aliases.end()) break;
      resolved = Resolve(alias->second.target, alias->second.namespace_);
    }
    return resolved;
  }

  void CheckVirtualService(const Config<VirtualService>& config) {
    for (int i = 0; i < config.spec->gateways_size(); ++i) {
      CheckGateway(config, absl::StrCat("spec.gateways[", i, "]"), config.spec->gateways(i));
    }
    for (int i = 0; i < config.spec->http_size(); ++i) {
      const std::string path = absl::StrCat("spec.http[", i, "]");
      const networking::HTTPRoute& http = config.spec->http(i);
      CheckRoutes(config, path, http.route());
      if (http.has_mirror()) CheckDestination(config, absl::StrCat(path, ".mirror"), http.mirror());
      for (int k = 0; k < http.mirrors_size(); ++k) {
        CheckDestination(config, absl::StrCat(path, ".mirrors[", k, "].destination"),
                         http.mirrors(k).destination());
      }
    }
    for (int i = 0; i < config.spec->tcp_size(); ++i) {
      CheckRoutes(config, absl::StrCat("spec.tcp[", i, "]"), config.spec->tcp(i).route());
    }
    for (int i = 0; i < config.spec->tls_size(); ++i) {
      CheckRoutes(config, absl::StrCat("spec.tls[", i, "]"), config.spec->tls(i).route());
    }
  }

  template <typename Routes>
  void CheckRoutes(const Config<VirtualService>& config, const std::string& path,
                   const Routes& routes) {
    for (int i = 0; i < routes.size(); ++i) {
      CheckDestination(config, absl::StrCat(path, ".route[", i, "].destination"),
                       routes.Get(i).destination());
    }
  }

  void CheckDestination(const Config<VirtualService>& config, const std::string& path,
                        const Destination& destination) {
    const std::string host = ResolveTarget(destination.host(), config.key.namespace_);
    const auto services = services_.find(host);
    if (services == services_.end()) {
      return Add(Severity::kError, config, absl::StrCat(path, ".host"),
                 absl::StrCat("Referenced host not found: \"", destination.host(), "\""));
    }
    const uint32_t port = destination.port().number();
    if (port != 0 &&
        std::none_of(services->second.begin(), services->second.end(),
                     [&](const Service* service) { return HasPort(*service, port); })) {
      Add(Severity::kError, config, absl::StrCat(path, ".port.number"),
          absl::StrCat("Referenced port not found: \"", destination.host(), ":", port, "\""));
    }
    if (!destination.subset().empty() && !HasSubset(host, destination.subset())) {
      Add(Severity::kError, config, absl::StrCat(path, ".subset"),
          absl::StrCat("Referenced host+subset in destinationrule not found: \"",
                       destination.host(), "+", destination.subset(), "\""));
    }
  }

  static bool HasPort(const Service& service, uint32_t number) {
    return std::any_of(service.ports.begin(), service.ports.end(),
                       [&](const ServicePort& port) { return port.port == number; });
  }

  bool HasSubset(const std::string& host, const std::string& subset) const {
    return std::any_of(subsets_.begin(), subsets_.end(), [&](const auto& entry) {
      const absl::string_view pattern = entry.first;
      const bool covers = pattern == host || (absl::StartsWith(pattern, "*") &&
                                              absl::EndsWith(host, pattern.substr(1)));
      return covers && entry.second.contains(subset);
    });
  }

  void CheckGateway(const Config<VirtualService>& config, const std::string& path,
                    const std::string& reference) {
    if (reference == kMeshGateway) return;
    if (world_.gateways.contains(GatewayNameOf(reference, config.key.namespace_))) return;
    Add(Severity::kError, config, path,
        absl::StrCat("Referenced gateway not found: \"", reference, "\""));
  }

  void CheckDestinationRule(const Config<networking::DestinationRule>& config) {
    const std::string host = Resolve(config.spec->host(), config.key.namespace_);
    if (absl::StartsWith(host, "*") || services_.contains(host)) return;
    Add(Severity::kWarning, config, "spec.host",
        absl::StrCat("Referenced host not found: \"", config.spec->host(), "\""));
  }

  // Its name is found by its own key only, so this is the cluster's own Service, or a peer's.
  void CheckServiceEntry(const Config<networking::ServiceEntry>& config) {
    for (int i = 0; i < config.spec->hosts_size(); ++i) {
      const std::string& host = config.spec->hosts(i);
      if (!world_.services.contains(host)) continue;
      problems_.push_back(
          {Severity::kWarning, "", config.key, config.origin, absl::StrCat("spec.hosts[", i, "]"),
           absl::StrCat("'", host, "' is a Service's host, too; the Service counts")});
    }
  }

  template <typename Spec>
  void Add(Severity severity, const Config<Spec>& config, std::string path, std::string message) {
    problems_.push_back(
        {severity, kNotFound, config.key, config.origin, std::move(path), std::move(message)});
  }

  const World& world_;
  std::map<std::string, std::vector<const Service*>> services_;  // by host
  std::map<std::string, std::set<std::string>> subsets_;  // by host, as far as it is resolved
  std::vector<Problem> problems_;
};

}  // namespace

std::vector<Problem> CheckReferences(const World& world) { return References(world).Check(); }

namespace {

// A root in its last good form needs the delegates it had then, unless they are still there.
void KeepDelegates(const Config<VirtualService>& root, const World& previous, World& world) {
  for (const networking::HTTPRoute& route : root.spec->http()) {
    if (!route.has_delegate()) continue;
    const auto before =
        previous.virtual_services.find(NameOf(route.delegate(), root.key.namespace_));
    if (before != previous.virtual_services.end()) world.virtual_services.insert(*before);
  }
}

}  // namespace

HeldWorld HoldDangling(World world, const World* previous) {
  HeldWorld held{std::move(world), {}};
  held.problems = CheckReferences(held.world);
  for (const Problem& problem : held.problems) {
    if (problem.severity != Severity::kError) continue;
    const std::pair name(problem.key.namespace_, problem.key.name);
    held.world.virtual_services.erase(name);
    if (previous == nullptr) continue;
    const auto before = previous->virtual_services.find(name);
    if (before != previous->virtual_services.end()) {
      held.world.virtual_services.insert(*before);
      KeepDelegates(before->second, *previous, held.world);
    }
  }
  return held;
}

}  // namespace weft
