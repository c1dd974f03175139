#include "test/simulation/simulation.h"

#include "test/simulation/chaos.h"
#include "test/simulation/fleet.h"

namespace weft::simulation {
namespace {

void RunUntil(Context& context, absl::Duration end) {
  while (!context.failure.has_value() && context.time.Step(end)) {
  }
}

// Every service that has a ready pod anywhere answers from everywhere.
void AskForAll(Context& context, Fleet& fleet) {
  Traffic traffic(context, fleet);
  for (int client = 0; client < fleet.size(); ++client) {
    for (const ServiceName& service : AllServices()) {
      bool there = false;
      for (int owner = 0; owner < fleet.size(); ++owner) {
        // What a liar answers is its own business.
        if (fleet.at(owner).liar != nullptr) return;
        there |= fleet.at(owner).objects.Truth(service).ready.value();
      }
      const absl::Status answered = traffic.Request(client, service, context.random.Next());
      if (answered.ok() == there) continue;
      context.Fail("at the end: a request of c", client, " for ", HostOf(service), ": ",
                   answered.ToString());
    }
  }
}

}  // namespace

Result Simulate(const Options& options) {
  Context context(options);
  Fleet fleet(context);
  Chaos chaos(context, fleet);
  chaos.Start(options.chaos);
  RunUntil(context, options.chaos);
  if (!context.failure.has_value()) {
    chaos.Heal();
    RunUntil(context, options.chaos + kSettles);
  }
  if (!context.failure.has_value()) {
    fleet.invariants().AtEnd();
    AskForAll(context, fleet);
  }
  return {context.failure.value_or(""), fleet.size(), context.time.steps(),
          fleet.network().messages(), context.random.Next()};
}

}  // namespace weft::simulation
