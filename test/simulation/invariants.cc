#include "test/simulation/invariants.h"

#include <algorithm>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "certs/certificate.h"
#include "controlplane/federation/config_object.h"
#include "controlplane/federation/peer_view.h"
#include "test/simulation/fleet.h"
#include "test/simulation/pki.h"

namespace weft::simulation {
namespace {

std::string OutboundCluster(const ServiceName& service) {
  return absl::StrCat("outbound|80||", HostOf(service));
}

std::string Text(const ServiceName& service) {
  return absl::StrCat(service.first, "/", service.second);
}

// "default/web: r0/z1=2 r0/z0=1; …"
std::string Text(const PeerExports& exports) {
  std::string text;
  for (const auto& [name, service] : exports) {
    absl::StrAppend(&text, text.empty() ? "" : "; ", Text(name), ":");
    for (const ExportedGroup& group : service.groups) {
      absl::StrAppend(&text, " ", group.locality.zone, "=", group.ready);
    }
  }
  return text;
}

uint64_t Ready(const ExportedService& service) {
  uint64_t ready = 0;
  for (const ExportedGroup& group : service.groups) ready += group.ready;
  return ready;
}

// A group of which none is ready may be told or left out.
PeerExports WithoutEmptyGroups(PeerExports exports) {
  for (auto& [name, service] : exports) {
    std::erase_if(service.groups, [](const ExportedGroup& group) { return group.ready == 0; });
    std::sort(service.groups.begin(), service.groups.end());
  }
  return exports;
}

}  // namespace

bool Invariants::Lies(int cluster) const { return fleet_.at(cluster).liar != nullptr; }

void Invariants::OnAccepted(int acceptor, int claimed, int truly) {
  if (claimed == truly) return;
  context_.Fail("c", acceptor, " took a caller from c", truly, " for the weftd of c", claimed);
}

void Invariants::OnClientAccepted(int acceptor, const std::string& identity, int truly) {
  if (absl::StartsWith(identity, absl::StrCat("spiffe://", DomainOf(truly), "/"))) return;
  context_.Fail("c", acceptor, " took a client from c", truly, " for ", identity);
}

void Invariants::OnHeard(int viewer, int peer, bool speaks, absl::Duration sent) {
  if (Lies(peer)) return;
  const auto key = std::make_pair(viewer, peer);
  if (speaks && fleet_.at(viewer).weftd->Synced(peer)) {
    const auto known = heard_until_.try_emplace(key, sent).first;
    known->second = std::max(known->second, sent);
    if (fleet_.at(viewer).weftd->ConfigsTold(peer)) configs_heard_until_[key] = known->second;
    // Now it knows again, and its proxies soon will.
    for (const ServiceName& service : AllServices()) {
      const auto forgiven = forgiven_until_.find({viewer, service, peer});
      if (forgiven == forgiven_until_.end()) continue;
      forgiven->second = std::min(forgiven->second, context_.time.now() + kMostUnpushed);
    }
  }
  CheckView(viewer, peer);
  CheckPolicy(viewer, peer);
}

// No lost removal: what was gone before the last that was heard is believed no more.
void Invariants::CheckView(int viewer, int peer) {
  const auto heard = heard_until_.find({viewer, peer});
  if (heard == heard_until_.end()) return;
  const absl::Duration when = heard->second - kMostUntold;
  const Objects& truth = fleet_.at(peer).objects;
  const PeerState state = fleet_.at(viewer).weftd->StateOf(peer);
  for (const auto& [name, service] : *state.exports) {
    const Objects::Service& real = truth.Truth(name);
    if (!real.exported.WasTrueSince(when)) {
      context_.Fail("lost removal: c", viewer, " believes that c", peer, " exports ", Text(name));
    } else if (Ready(service) > 0 && !real.ready.WasTrueSince(when)) {
      context_.Fail("lost removal: c", viewer, " believes that c", peer, " has ready pods of ",
                    Text(name));
    }
  }
}

// The same of what is distributed.
void Invariants::CheckPolicy(int viewer, int owner) {
  const auto heard = configs_heard_until_.find({viewer, owner});
  if (heard == configs_heard_until_.end()) return;
  if (fleet_.at(viewer).weftd->StateOf(owner).configs->objects.empty()) return;
  const Fact& there = fleet_.at(owner).objects.policy().there;
  if (there.WasTrueSince(heard->second - kMostUntold)) return;
  context_.Fail("lost removal: c", viewer, " believes that c", owner, " distributes a policy");
}

void Invariants::OnWorld(int viewer, const World& world) {
  CheckPolicies(viewer, world);
  for (const auto& [name, peer] : world.peers) CheckRoots(viewer, *peer);
  for (const auto& [host, endpoints] : world.endpoints) {
    if (!absl::StrContains(host, ".kube-system.") && !absl::StrContains(host, ".weft-system.")) {
      continue;
    }
    for (const Endpoint& endpoint : *endpoints) {
      if (endpoint.cluster == NameOf(viewer)) continue;
      context_.Fail("c", viewer, " takes ", endpoint.cluster, " for ", host);
    }
  }
  for (const auto& [peer, configured] : fleet_.at(viewer).weftd->configured()) {
    const size_t services = fleet_.at(viewer).weftd->StateOf(peer).exports->size();
    if (services <= kMaxServicesOfPeer) continue;
    context_.Fail("c", viewer, " holds ", services, " services of c", peer);
  }
}

// A policy that was there is not lost while its owner has it, and nobody has one for the system.
void Invariants::CheckPolicies(int viewer, const World& world) {
  const absl::Duration now = context_.time.now();
  for (const auto& [name, policy] : world.authorization_policies) {
    if (policy.cluster.empty() || name.first == "shop") continue;
    context_.Fail("c", viewer, " takes a policy of ", policy.cluster, " for ", name.first);
  }
  for (int owner = 0; owner < fleet_.size(); ++owner) {
    if (owner == viewer || Lies(owner)) continue;
    const ObjectKey key = Objects::PolicyOf(owner);
    const std::pair viewed(viewer, owner);
    const auto known = policy_since_.find(viewed);
    if (world.authorization_policies.contains({key.namespace_, key.name})) {
      if (known == policy_since_.end()) policy_since_[viewed] = now;
      continue;
    }
    if (known == policy_since_.end()) continue;
    const absl::Duration since = known->second;
    policy_since_.erase(known);
    const Fact& there = fleet_.at(owner).objects.policy().there;
    if (there.WasFalseSince(since - kMostOnItsWay)) continue;
    context_.Fail("lost policy: c", viewer, " had it of c", owner, " since ",
                  absl::FormatDuration(since));
  }
}

void Invariants::CheckRoots(int viewer, const Peer& peer) {
  for (int owner = 0; owner < fleet_.size(); ++owner) {
    if (peer.cluster != NameOf(owner) || Lies(owner)) continue;
    const auto roots = certs::ParseCertificates(peer.roots_pem);
    if (!roots.ok()) {
      context_.Fail("c", viewer, ": roots of c", owner, ": ", roots.status().message());
      return;
    }
    const std::string real = RootsPem(owner, fleet_.at(owner).roots);
    for (const certs::Certificate& root : *roots) {
      if (absl::StrContains(real, root.ToPem())) continue;
      context_.Fail("c", viewer, " trusts a root for c", owner, " that is not its own");
    }
  }
}

void Invariants::OnStart(int viewer, const std::set<int>& unsaved_peers) {
  for (int peer = 0; peer < fleet_.size(); ++peer) {
    heard_until_.erase({viewer, peer});
    configs_heard_until_.erase({viewer, peer});
  }
  for (int peer : unsaved_peers) policy_since_.erase({viewer, peer});
  for (const auto& [triple, since] : routed_since_) {
    const auto& [who, service, owner] = triple;
    if (who == viewer && unsaved_peers.contains(owner))
      forgiven_until_[triple] = absl::InfiniteDuration();
  }
}

void Invariants::OnSidecarRestart(int viewer) {
  std::erase_if(routed_since_, [&](const auto& one) { return std::get<0>(one.first) == viewer; });
}

std::set<int> Invariants::OwnersOf(int viewer, const ServiceName& service) const {
  std::set<int> owners;
  for (const std::string& address :
       fleet_.at(viewer).sidecar->Endpoints(OutboundCluster(service))) {
    const int owner = fleet_.OwnerOf(address);
    owners.insert(owner < 0 ? viewer : owner);
  }
  return owners;
}

// No empty push: what a cluster had all the time is not taken from its clients.
void Invariants::OnSidecarUpdate(int viewer) {
  const absl::Duration now = context_.time.now();
  for (const ServiceName& service : AllServices()) {
    const std::set<int> owners = OwnersOf(viewer, service);
    for (int owner = 0; owner < fleet_.size(); ++owner) {
      const Triple triple(viewer, service, owner);
      const auto known = routed_since_.find(triple);
      if (owners.contains(owner)) {
        if (known == routed_since_.end()) routed_since_[triple] = now;
        continue;
      }
      if (known == routed_since_.end()) continue;
      const absl::Duration since = known->second;
      routed_since_.erase(known);
      const auto forgiven = forgiven_until_.find(triple);
      if (forgiven != forgiven_until_.end() && now <= forgiven->second) continue;
      if (Lies(owner)) continue;
      const Objects::Service& truth = fleet_.at(owner).objects.Truth(service);
      if (truth.ready.WasFalseSince(since - kMostOnItsWay)) continue;
      context_.Fail("empty push: the sidecar of c", viewer, " lost what c", owner, " has of ",
                    Text(service), " all the time since ", absl::FormatDuration(since));
    }
  }
}

// No request to what its owner does not export.
void Invariants::OnAdmitted(int owner, const ServiceName& service, const std::string& pod) {
  if (service == SystemService()) {
    context_.Fail("c", owner, " lets in a request for ", Text(service));
    return;
  }
  const Cluster& cluster = fleet_.at(owner);
  const absl::Duration when = context_.time.now() - kMostUnpushed;
  // A gateway that nobody tells anything goes on as it was told last.
  if (cluster.serves_since > when) return;
  if (!cluster.objects.Truth(service).exported.WasTrueSince(when)) {
    context_.Fail("c", owner, " lets in a request for ", Text(service),
                  ", which it does not export");
  } else if (!cluster.objects.WasReadySince(service, pod, when)) {
    context_.Fail("c", owner, " hands a request for ", Text(service), " to ", pod,
                  ", which is no ready pod of it");
  }
}

void Invariants::AtEnd() {
  for (int viewer = 0; viewer < fleet_.size(); ++viewer) {
    for (int peer = 0; peer < fleet_.size(); ++peer) {
      if (peer == viewer || Lies(peer) || Lies(viewer)) continue;
      const Weftd& weftd = *fleet_.at(viewer).weftd;
      const PeerState state = weftd.StateOf(peer);
      if (!weftd.Synced(peer)) {
        context_.Fail("at the end: c", viewer, " has no stream with c", peer);
      }
      const PeerExports truth = fleet_.at(peer).objects.Exports();
      if (WithoutEmptyGroups(*state.exports) != WithoutEmptyGroups(truth)) {
        context_.Fail("at the end: c", viewer, " believes of c", peer, " ", Text(*state.exports),
                      "; it is ", Text(truth));
      }
      if (state.peer->gateways != fleet_.at(peer).gateways) {
        context_.Fail("at the end: c", viewer, " has other gateways of c", peer);
      }
      CheckPolicyAtEnd(viewer, peer);
      for (int root = 0; root < fleet_.at(peer).roots; ++root) {
        const std::string pem = RootOf(peer, root).root().ToPem();
        if (absl::StrContains(state.peer->roots_pem, pem)) continue;
        context_.Fail("at the end: c", viewer, " does not trust root ", root, " of c", peer);
      }
    }
    CheckSidecar(viewer);
    CheckGateway(viewer);
  }
}

// In its newest form, if who gets it first says what became of it.
void Invariants::CheckPolicyAtEnd(int viewer, int owner) {
  const Objects::Policy& truth = fleet_.at(owner).objects.policy();
  const PeerState state = fleet_.at(viewer).weftd->StateOf(owner);
  const auto found = state.configs->objects.find(Objects::PolicyOf(owner));
  if ((found != state.configs->objects.end()) != truth.there.value()) {
    return context_.Fail("at the end: c", viewer, truth.there.value() ? " has not" : " has",
                         " the policy of c", owner);
  }
  if (!truth.there.value() || Lies(0)) return;
  if (absl::StrContains(found->second->json, Objects::MarkOfForm(truth.form))) return;
  context_.Fail("at the end: c", viewer, " has the policy of c", owner, " in another form than ",
                truth.form);
}

// Has each service's places in all clusters but those that lie, and no others.
void Invariants::CheckSidecar(int viewer) {
  const std::vector<std::string> complaints = fleet_.at(viewer).sidecar->Complaints();
  if (!complaints.empty()) {
    context_.Fail("at the end: the sidecar of c", viewer, ": ", absl::StrJoin(complaints, "; "));
  }
  for (const ServiceName& service : AllServices()) {
    std::set<std::string> expected = fleet_.at(viewer).objects.ReadyAddresses(service);
    for (int peer = 0; peer < fleet_.size(); ++peer) {
      if (peer == viewer || Lies(peer)) continue;
      if (!fleet_.at(peer).objects.Truth(service).ready.value()) continue;
      for (const GatewayAddress& gateway : fleet_.at(peer).gateways) {
        expected.insert(gateway.address);
      }
    }
    std::set<std::string> found = fleet_.at(viewer).sidecar->Endpoints(OutboundCluster(service));
    std::erase_if(found, [&](const std::string& address) {
      const int owner = fleet_.OwnerOf(address);
      return owner >= 0 && Lies(owner);
    });
    if (found == expected) continue;
    context_.Fail("at the end: the sidecar of c", viewer, " has for ", Text(service), " ",
                  absl::StrJoin(found, " "), "; it should be ", absl::StrJoin(expected, " "));
  }
}

void Invariants::CheckGateway(int owner) {
  const Proxy& gateway = *fleet_.at(owner).gateway;
  if (!gateway.Complaints().empty()) {
    context_.Fail("at the end: the gateway of c", owner, ": ",
                  absl::StrJoin(gateway.Complaints(), "; "));
  }
  for (const ServiceName& service : AllServices()) {
    const std::string name = absl::StrCat("outbound_.80_._.", HostOf(service));
    const bool exported = fleet_.at(owner).objects.Truth(service).exported.value();
    const std::set<std::string> expected =
        exported ? fleet_.at(owner).objects.ReadyAddresses(service) : std::set<std::string>();
    if (gateway.Endpoints(name) == expected) continue;
    context_.Fail("at the end: the gateway of c", owner, " has for ", name, " ",
                  absl::StrJoin(gateway.Endpoints(name), " "), "; it should be ",
                  absl::StrJoin(expected, " "));
  }
}

}  // namespace weft::simulation
