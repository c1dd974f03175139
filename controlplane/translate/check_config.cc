#include <map>
#include <memory>
#include <set>

#include "absl/strings/str_cat.h"
#include "api/istio/networking.pb.h"
#include "controlplane/translate/check.h"
#include "controlplane/translate/destinations.h"

namespace weft {
namespace {

using istio::networking::v1alpha3::Destination;
using istio::networking::v1alpha3::HTTPRoute;
using istio::networking::v1alpha3::VirtualService;

class ConfigCheck {
 public:
  explicit ConfigCheck(const TranslationIndex& index) : index_(index) {}

  void Check(const TranslationIndex::VirtualServiceConfig& config) {
    config_ = &config;
    const VirtualService& spec = *config.spec;
    ports_ = PortsOf(spec);
    for (int i = 0; i < spec.http_size(); ++i) {
      CheckHttp(spec.http(i), absl::StrCat("http[", i, "]"));
    }
    for (int i = 0; i < spec.tcp_size(); ++i) {
      for (int j = 0; j < spec.tcp(i).route_size(); ++j) {
        CheckDestination(spec.tcp(i).route(j).destination(),
                         absl::StrCat("tcp[", i, "].route[", j, "]"));
      }
      for (const auto& match : spec.tcp(i).match()) {
        if (!match.destination_subnets().empty()) {
          Unsupported(absl::StrCat("tcp[", i, "].match.destinationSubnets"));
        }
      }
    }
    if (!spec.tls().empty()) Unsupported("tls");
  }

  std::vector<Finding> findings() && { return std::move(findings_); }

 private:
  // The ports that requests to its hosts can have; 0 if its hosts are no services.
  std::set<uint16_t> PortsOf(const VirtualService& spec) {
    std::set<uint16_t> ports;
    for (const std::string& host : spec.hosts()) {
      const std::string resolved = index_.ResolveHost(host, config_->key.namespace_);
      for (const Service* service : index_.ServicesOf(resolved)) {
        for (const ServicePort& port : service->ports) ports.insert(port.port);
      }
    }
    if (ports.empty()) ports.insert(0);
    return ports;
  }

  void CheckHttp(const HTTPRoute& route, const std::string& path) {
    for (int i = 0; i < route.route_size(); ++i) {
      CheckDestination(route.route(i).destination(), absl::StrCat(path, ".route[", i, "]"));
    }
    if (route.has_mirror()) CheckDestination(route.mirror(), absl::StrCat(path, ".mirror"));
    for (int i = 0; i < route.mirrors_size(); ++i) {
      CheckDestination(route.mirrors(i).destination(), absl::StrCat(path, ".mirrors[", i, "]"));
    }
    if (route.has_delegate()) Unsupported(absl::StrCat(path, ".delegate"));
    if (route.has_fault()) Unsupported(absl::StrCat(path, ".fault"));
    if (route.has_cors_policy()) Unsupported(absl::StrCat(path, ".corsPolicy"));
  }

  // A destination is dangling if it is for every port that a request may come with.
  void CheckDestination(const Destination& destination, const std::string& path) {
    const OutboundScope scope{config_->key.namespace_, {}, {}};
    const Client& client = ClientIn(scope);
    const RouteContext context{index_, scope, client.rules, client.services};
    absl::Status first;
    for (uint16_t port : ports_) {
      auto resolved = ResolveDestination(context, destination, config_->key.namespace_, port);
      if (resolved.ok()) return;
      if (first.ok()) first = resolved.status();
    }
    Add(Finding::Severity::kDangling, absl::StrCat(path, ": ", first.message()));
  }

  struct Client {
    Client(const TranslationIndex& index, const OutboundScope& of)
        : scope(of), services(index, scope), rules(RulesFor(index, scope, services)) {}

    const OutboundScope scope;
    const VisibleServices services;
    const AppliedRules rules;
  };

  const Client& ClientIn(const OutboundScope& scope) {
    std::unique_ptr<Client>& client = clients_[scope.namespace_];
    if (client == nullptr) client = std::make_unique<Client>(index_, scope);
    return *client;
  }

  void Unsupported(const std::string& path) {
    Add(Finding::Severity::kUnsupported, absl::StrCat(path, ": not supported yet, no effect"));
  }

  void Add(Finding::Severity severity, std::string message) {
    findings_.push_back({severity, config_->key, config_->origin, std::move(message)});
  }

  const TranslationIndex& index_;
  const TranslationIndex::VirtualServiceConfig* config_ = nullptr;  // the one being checked
  std::set<uint16_t> ports_;                                        // its
  std::map<std::string, std::unique_ptr<Client>> clients_;          // by namespace
  std::vector<Finding> findings_;
};

}  // namespace

std::vector<Finding> CheckConfig(const TranslationIndex& index) {
  ConfigCheck check(index);
  for (const auto& [key, config] : index.world().virtual_services) check.Check(config);
  return std::move(check).findings();
}

}  // namespace weft
