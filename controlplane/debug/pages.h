// What the debug pages show, as JSON text. Pure.
#ifndef WEFT_CONTROLPLANE_DEBUG_PAGES_H_
#define WEFT_CONTROLPLANE_DEBUG_PAGES_H_

#include <string>
#include <vector>

#include "controlplane/ads/ads_service.h"
#include "controlplane/federation/distribution.h"
#include "controlplane/federation/peer_link.h"
#include "controlplane/model/world.h"
#include "controlplane/remote_clusters.h"
#include "controlplane/translate/resources.h"

namespace weft {

// Proxies with what they were sent and acknowledged, and the linked clusters.
std::string SyncPage(const std::vector<ProxyStatus>& proxies, const std::vector<PeerStatus>& peers);
// Connections as they are: form of the protocol, and by type what was asked for and sent.
std::string AdsPage(const std::vector<ProxyStatus>& proxies);
// Clusters that are read by their API servers, as Istio's page of that name has them.
std::string ClusterPage(const std::vector<RemoteStatus>& remotes);
// Config that this cluster distributes, and what became of it in others; and what others distribute
// here, by cluster.
std::string DistributionPage(
    const std::map<ObjectKey, DistributionStatus>& ours,
    const std::map<std::string, std::shared_ptr<const ConfigReports>>& received);
// Services and their endpoints.
std::string RegistryPage(const World& world);
// What the clusters of the set export: names, ports, exporters, and what they differ in.
std::string ImportPage(const World& world);
// One proxy's resources: names, sizes, and versions as the delta form of xDS has them (hashes, so
// that two weftds that say the same have the same).
std::string ConfigPage(const Resources& resources);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_DEBUG_PAGES_H_
