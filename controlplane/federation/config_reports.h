// What is to be told to a peer of the config that it distributes here. Pure.
#ifndef WEFT_CONTROLPLANE_FEDERATION_CONFIG_REPORTS_H_
#define WEFT_CONTROLPLANE_FEDERATION_CONFIG_REPORTS_H_

#include <memory>
#include <string>
#include <vector>

#include "controlplane/federation/config_object.h"
#include "controlplane/federation/merge_configs.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/proxy_refusal.h"

namespace weft {

// What was found in the World that received config is a part of.
struct ConfigFindings {
  std::shared_ptr<const ConfigConflicts> conflicts;  // never null
  std::vector<Problem> references;                   // errors: held back, as they lead nowhere
  std::vector<Problem> hosts;                        // of objects whose host another one routes
  std::vector<ProxyRefusal> refusals;
};

// One for each object that `cluster` distributes here.
ConfigReports ReportsOn(const std::string& cluster, const PeerConfigs& configs,
                        const ConfigFindings& findings);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_CONFIG_REPORTS_H_
