#include "test/simulation/traffic.h"

#include <optional>
#include <set>

#include "absl/strings/str_cat.h"

namespace weft::simulation {
namespace {

std::string ServerName(const ServiceName& service) {
  return absl::StrCat("outbound_.80_._.", HostOf(service));
}

}  // namespace

ServiceName Traffic::AnyService() {
  if (context_.random.Percent(20)) return SystemService();
  return context_.random.Of(AllServices());
}

void Traffic::RandomRequest() {
  const auto clusters = static_cast<uint64_t>(fleet_.size());
  const int client = static_cast<int>(context_.random.Below(clusters));
  const ServiceName& service = context_.random.Of(AllServices());
  // It may fail: there are faults. What must not happen, the invariants see on its way.
  Request(client, service, context_.random.Next()).IgnoreError();
}

void Traffic::RandomAttack(int thief) {
  const auto clusters = static_cast<uint64_t>(fleet_.size());
  const int target = static_cast<int>(context_.random.Below(clusters));
  const int claimed = static_cast<int>(context_.random.Below(clusters));
  if (target == thief || claimed == thief) return;
  if (context_.random.Percent(40)) return fleet_.DialForged(thief, claimed, target);
  const Chain& own = WorkloadChain(thief, 0, "default", "client");
  const Chain& forged =
      ForgedChain(thief, absl::StrCat("spiffe://", DomainOf(claimed), "/ns/default/sa/client"));
  Enter(thief, target, AnyService(), context_.random.Percent(50) ? own : forged,
        context_.random.Next())
      .IgnoreError();
}

absl::Status Traffic::Request(int client, const ServiceName& service, uint64_t random) {
  const Cluster& from = fleet_.at(client);
  const auto choice = from.sidecar->Route(HostOf(service), 80, random);
  if (!choice.has_value()) return absl::NotFoundError("no endpoint");
  const int owner = fleet_.OwnerOf(choice->address);
  if (owner < 0) return absl::OkStatus();  // a pod of its own cluster
  if (choice->server_name != ServerName(service)) {
    context_.Fail("c", client, " asks for ", choice->server_name, " instead of ",
                  HostOf(service));
  }
  if (!fleet_.network().BothWays(client, owner) || !fleet_.HasGateway(owner, choice->address)) {
    return absl::UnavailableError("no answer");
  }
  absl::Status entered =
      Enter(client, owner, service, WorkloadChain(client, 0, "default", "client"), random);
  if (!entered.ok()) return entered;
  const Chain& server =
      WorkloadChain(owner, fleet_.at(owner).signing_root, service.first, service.second);
  return from.sidecar->AcceptsServer(choice->cluster, server, fleet_.ClockOf(client));
}

absl::Status Traffic::Enter(int client, int owner, const ServiceName& service, const Chain& shown,
                            uint64_t random) {
  const Cluster& cluster = fleet_.at(owner);
  std::optional<std::string> pod = cluster.gateway->Enter(ServerName(service), random);
  if (!pod.has_value() && !context_.defences().export_check_at_gateway) {
    // A gateway that takes the server name for an address.
    const std::set<std::string> pods = cluster.objects.ReadyAddresses(service);
    if (!pods.empty()) pod = *pods.begin();
  }
  if (!pod.has_value()) return absl::NotFoundError("closed by the gateway");
  fleet_.invariants().OnAdmitted(owner, service, *pod);
  // Every pod has a sidecar, which trusts as that of the client here does.
  const auto identity = cluster.sidecar->AcceptsClient(shown, fleet_.ClockOf(owner));
  if (!identity.ok()) return identity.status();
  fleet_.invariants().OnClientAccepted(owner, *identity, client);
  return absl::OkStatus();
}

}  // namespace weft::simulation
