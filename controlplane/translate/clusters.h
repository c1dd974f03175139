// Clusters of a sidecar: one per service port and subset it may call, one per port of its own pod,
// and the fixed ones for traffic the mesh does not know.
#ifndef WEFT_CONTROLPLANE_TRANSLATE_CLUSTERS_H_
#define WEFT_CONTROLPLANE_TRANSLATE_CLUSTERS_H_

#include <string>
#include <vector>

#include "controlplane/translate/destination_rule.h"
#include "controlplane/translate/index.h"
#include "controlplane/translate/resources.h"

namespace weft {

// A service's port (and subset, unless null) as a cluster of one client.
struct OutboundCluster {
  std::string name;
  const Service* service;
  const ServicePort* port;
  const istio::networking::v1alpha3::Subset* subset;
  Policy policy;
  // Of a headless service: for clients that go to the pod whose address they have.
  bool own_choice = false;

  // Whether its endpoints come over EDS, rather than from the connection's original destination or
  // DNS.
  bool has_endpoints() const;
  // How connections are secured. Outside of the mesh there is no mesh TLS unless it is asked for.
  ClientTls tls() const;
  // Whether a rule names a Secret for its TLS; and whether the client is one that gets it: a
  // router, or a sidecar that the rule selects (as in Istio), if it has proven who it is.
  bool names_credentials() const;
  bool takes_credentials(const OutboundScope& scope) const;
  bool takes_mesh_tls() const { return tls() == ClientTls::kMesh || tls() == ClientTls::kMeshOnly; }
};

// In order of host, port, subset; for a headless service with a cluster of its pods at the end of
// each port (OutboundPodsClusterName). Of one service, and of all.
std::vector<OutboundCluster> ListOutboundClusters(const Service& service, const AppliedRule& rule);
std::vector<OutboundCluster> ListOutboundClusters(const VisibleServices& services,
                                                  const AppliedRules& rules);

EncodedResources OutboundClusters(const TranslationIndex& index, const OutboundScope& scope,
                                  const std::vector<OutboundCluster>& list);
// The Secrets that these take, as SDS secrets.
void AddCredentials(const TranslationIndex& index, const OutboundScope& scope,
                    const std::vector<OutboundCluster>& list, EncodedResources& to);
EncodedResources InboundClusters(const TranslationIndex& index, const ProxyView& view);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_TRANSLATE_CLUSTERS_H_
