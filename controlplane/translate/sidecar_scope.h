// VisibleServices: what one client is told of, and on which ports.
//
// Without a Sidecar that is every service whose exportTo lets the client's namespace see it; with
// one, those of them that its egress hosts name, and what their VirtualServices lead to. Clusters,
// endpoints, listeners, routes and names are all made from this, so what it leaves out costs a
// proxy nothing.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_SIDECAR_SCOPE_H_
#define WEFT_CONTROLPLANE_TRANSLATE_SIDECAR_SCOPE_H_

#include <cstdint>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "controlplane/translate/index.h"

namespace istio::networking::v1alpha3 {
class Destination;
class IstioEgressListener;
class OutboundTrafficPolicy;
class Sidecar;
}  // namespace istio::networking::v1alpha3

namespace weft {

// A listener with a port of its own that a Sidecar asks for: applications dial it as it is, nothing
// is captured.
struct BoundListener {
  std::string ip;
  uint16_t port = 0;
  bool http = false;
  std::vector<const Service*> services;  // that have this port; in order of host

  std::string name() const;  // "127.0.0.1_9080"; of its route table, too
};

// Null if it has none of this number that is carried at all.
const ServicePort* FindPort(const Service& service, uint32_t number);

class VisibleServices {
 public:
  using VirtualServiceConfig = TranslationIndex::VirtualServiceConfig;

  VisibleServices(const TranslationIndex& index, const OutboundScope& scope);
  ~VisibleServices();
  VisibleServices(const VisibleServices&) = delete;
  VisibleServices& operator=(const VisibleServices&) = delete;

  // What the client knows by name, and that with what its routes lead to. By host. Of several
  // services of one host a Kubernetes one comes first, then the client's own namespace's.
  using ByHost = std::map<std::string, const Service*>;
  const ByHost& known() const { return known_; }
  const ByHost& reachable() const { return reachable_; }
  // Among reachable(); null if it is not there.
  const Service* Find(const std::string& host) const;

  // HTTP services by port, and the services with TCP ports; in order of host.
  const std::map<uint16_t, std::vector<const Service*>>& http_ports() const { return http_ports_; }
  const std::vector<std::pair<const Service*, const ServicePort*>>& tcp_ports() const {
    return tcp_ports_;
  }
  const std::vector<BoundListener>& bound() const { return bound_; }

  // Hosts that are no service's and that a VirtualService routes; in order of precedence.
  const std::vector<std::pair<std::string, const VirtualServiceConfig*>>& foreign_hosts() const {
    return foreign_hosts_;
  }

  // Whether what is not known may be reached, and by way of what; null: as it is.
  bool registry_only() const;
  const istio::networking::v1alpha3::Destination* egress_proxy() const;

 private:
  using Egress = istio::networking::v1alpha3::IstioEgressListener;

  bool Sees(const Service& service) const;
  bool Sees(const VirtualServiceConfig& config) const;
  bool Names(const std::string& name_space, const std::string& host) const;
  void Add(const Service& service, ByHost& to) const;
  void AddNamed(const std::string& pattern, ByHost& to) const;
  void AddAliased(const std::string& name_space, const std::string& host, ByHost& to) const;
  ByHost Named(const Egress& egress) const;
  void AddEverything();
  void AddEgress();
  void AddPorts(const ByHost& services, const std::set<uint16_t>& except);
  void AddPort(const ByHost& services, uint16_t number);
  void AddBound(const Egress& egress, const ByHost& services);
  void AddForeignHosts();
  void AddDestination(const std::string& name);
  void AddDestinationsOf(const Service& service);
  void AddDestinationsOf(const VirtualServiceConfig& config);

  const TranslationIndex& index_;
  const OutboundScope& scope_;
  std::unique_ptr<const istio::networking::v1alpha3::Sidecar> sidecar_;
  ByHost known_;
  ByHost reachable_;
  std::map<uint16_t, std::vector<const Service*>> http_ports_;
  std::vector<std::pair<const Service*, const ServicePort*>> tcp_ports_;
  std::vector<BoundListener> bound_;
  std::vector<std::pair<std::string, const VirtualServiceConfig*>> foreign_hosts_;
};

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_SIDECAR_SCOPE_H_
