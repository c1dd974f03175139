// What clusters agree on of a service that several of them export, and what is said of that to who
// exports it: the rules of the MCS API (multicluster.x-k8s.io) for conflicts and conditions. Pure.
#ifndef WEFT_CONTROLPLANE_FEDERATION_IMPORTS_H_
#define WEFT_CONTROLPLANE_FEDERATION_IMPORTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "controlplane/model/gateway_api_status.h"
#include "controlplane/model/problem.h"
#include "controlplane/model/world.h"

namespace weft {

// What one cluster says of the service.
struct Offer {
  std::string cluster;
  int64_t exported_at = 0;  // Unix seconds
  bool headless = false;
  bool session_affinity = false;
  const std::vector<ServicePort>* ports = nullptr;  // never null where it counts
};

// All of them together.
struct Agreement {
  std::vector<ServicePort> ports;
  bool headless = false;
  bool session_affinity = false;
  std::string conflict = {};  // as ServiceImport has them
  std::string conflict_message = {};
};

// The older export counts; of equally old ones that of the first cluster by name, so that all
// clusters come to the same.
void SortOldestFirst(std::vector<Offer>& offers);

// `offers` is in order of precedence, not empty. Ports are the union; one that is in conflict with
// an earlier offer's is left out: the same number and another protocol or name, or the same name
// and another number.
Agreement Agree(const std::vector<Offer>& offers);

// Whether both have the same ports, whatever their names and order.
bool SamePorts(const std::vector<ServicePort>& a, const std::vector<ServicePort>& b);

// The conditions Valid, Ready and Conflict of each ServiceExport in a merged World.
std::vector<GatewayApiStatus> ServiceExportStatuses(const World& world);
// What of that is not as it was asked for, for the log.
std::vector<Problem> CheckServiceExports(const std::vector<GatewayApiStatus>& statuses);

}  // namespace weft

#endif  // WEFT_CONTROLPLANE_FEDERATION_IMPORTS_H_
