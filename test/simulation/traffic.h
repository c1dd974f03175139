// Traffic: requests of applications, honest and not, from the client's sidecar through the other
// cluster's gateway to the pod, by the proxies' own decisions and certificates.
#ifndef WEFT_TEST_SIMULATION_TRAFFIC_H_
#define WEFT_TEST_SIMULATION_TRAFFIC_H_

#include <string>

#include "absl/status/status.h"
#include "test/simulation/context.h"
#include "test/simulation/fleet.h"
#include "test/simulation/pki.h"

namespace weft::simulation {

class Traffic {
 public:
  Traffic(Context& context, Fleet& fleet) : context_(context), fleet_(fleet) {}

  // Of some application to some service.
  void RandomRequest();
  // Of somebody in `thief` who knows how to dial: for what is not exported, as who it is not.
  void RandomAttack(int thief);
  // One request; why it failed, if it did.
  absl::Status Request(int client, const ServiceName& service, uint64_t random);

 private:
  absl::Status Enter(int client, int owner, const ServiceName& service, const Chain& shown,
                     uint64_t random);
  ServiceName AnyService();

  Context& context_;
  Fleet& fleet_;
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_TRAFFIC_H_
