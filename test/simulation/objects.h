// Objects: what the API server of one cluster holds, and the truth about its services that all
// others' knowledge is compared with. It is there whatever happens to weftd.
#ifndef WEFT_TEST_SIMULATION_OBJECTS_H_
#define WEFT_TEST_SIMULATION_OBJECTS_H_

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/time.h"
#include "controlplane/federation/exports.h"
#include "controlplane/model/raw_object.h"
#include "test/simulation/facts.h"

namespace weft::simulation {

using ServiceName = std::pair<std::string, std::string>;  // namespace, name

// All services that a cluster may have; a run has some of them in each cluster.
const std::vector<ServiceName>& AllServices();
// One that no cluster ever exports.
const ServiceName& SystemService();
std::string HostOf(const ServiceName& service);
constexpr int kPodsOfService = 3;
constexpr int kZones = 2;

class Objects {
 public:
  explicit Objects(int cluster);

  struct Service {
    Fact exported;             // it is there, and peers may know it
    Fact ready;                // and some pod of it is ready
    std::map<int, Fact> pods;  // ready ones, by number
  };
  const Service& Truth(const ServiceName& service) const;
  // Of pods behind it, whatever their state; "" if the address is no pod's of the service.
  bool IsPodOf(const ServiceName& service, const std::string& address) const;
  // Whether a pod of the service at this address was ready at some time since then.
  bool WasReadySince(const ServiceName& service, const std::string& address,
                     absl::Duration when) const;
  // What others should know once everything has settled.
  PeerExports Exports() const;
  // The policy that this cluster distributes to all others, the first cluster before the rest.
  struct Policy {
    Fact there;
    int form = 0;  // the newest
  };
  const Policy& policy() const { return policy_; }
  static ObjectKey PolicyOf(int cluster);
  // By which the JSON of a form is known.
  static std::string MarkOfForm(int form);
  std::set<std::string> ReadyAddresses(const ServiceName& service) const;

  // All there is, as a list would have it.
  std::vector<ObjectDelta> All() const;
  // Changes; what a watch tells of each.
  std::vector<ObjectDelta> SetService(const ServiceName& service, bool there, absl::Duration now);
  std::vector<ObjectDelta> SetPod(const ServiceName& service, int pod, bool ready,
                                  absl::Duration now);
  // Each time in another form.
  std::vector<ObjectDelta> SetPolicy(bool there, absl::Duration now);

 private:
  std::vector<ObjectDelta> Put(const std::string& yaml);
  void UpdateFacts(const ServiceName& service, absl::Duration now);
  std::string SliceYaml(const ServiceName& service) const;

  const int cluster_;
  std::set<ServiceName> there_;
  std::map<ServiceName, Service> services_;
  Policy policy_;
  std::map<ObjectKey, ObjectDelta> objects_;
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_OBJECTS_H_
