// Chaos: what happens to a fleet, at random: work as usual, and faults; then healing.
#ifndef WEFT_TEST_SIMULATION_CHAOS_H_
#define WEFT_TEST_SIMULATION_CHAOS_H_

#include "absl/time/time.h"
#include "test/simulation/context.h"
#include "test/simulation/fleet.h"
#include "test/simulation/traffic.h"

namespace weft::simulation {

class Chaos {
 public:
  Chaos(Context& context, Fleet& fleet);

  // Something happens every now and then until `end`.
  void Start(absl::Duration end);
  // Ends every fault, and starts what is down.
  void Heal();

 private:
  void Act();
  void Work();
  void Fault();
  void Crash();
  void Partition();
  void MoveClock();
  void Rotate();
  void Restart(int cluster, absl::Duration after);
  void Ask();
  bool over() const { return context_.time.now() >= end_; }
  int AnyCluster();
  ServiceName AnyService() { return context_.random.Of(AllServices()); }

  Context& context_;
  Fleet& fleet_;
  Traffic traffic_;
  absl::Duration end_;
  // Of this run: most have none of it, so that faults are also seen one by one.
  const bool clocks_move_;
  const bool disks_fail_;
  const bool roots_rotate_;
  const bool middle_box_;
};

}  // namespace weft::simulation

#endif  // WEFT_TEST_SIMULATION_CHAOS_H_
