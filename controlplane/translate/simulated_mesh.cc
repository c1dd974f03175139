#include "controlplane/translate/simulated_mesh.h"

#include <utility>
#include <vector>

#include "absl/strings/str_join.h"
#include "absl/time/clock.h"
#include "api/envoy/type_urls.h"
#include "certs/issuer.h"
#include "controlplane/federation/merge.h"
#include "controlplane/model/references.h"
#include "controlplane/model/testing.h"
#include "controlplane/translate/check.h"
#include "controlplane/translate/check_gateways.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

constexpr char kTrustDomain[] = "east.local";

const certs::Issuer& Root() {
  static const certs::Issuer kRoot = *certs::Issuer::CreateRoot(kTrustDomain, absl::Now());
  return kRoot;
}

std::shared_ptr<const ClusterIdentity> Self() {
  auto self = std::make_shared<ClusterIdentity>(ClusterIdentity{
      "east", "net-east", "mesh", kTrustDomain, Root().root().ToPem(), {"10.244.9.9", 15013}});
  self->gateways = {{"172.16.0.1", 15443}};
  return self;
}

std::map<std::string, PeerState> West(const PeerExports& exports) {
  auto peer =
      std::make_shared<Peer>(Peer{"west", "net-west", "west.local", "", {{"172.16.0.2", 15443}}});
  return {{"west", {peer, std::make_shared<PeerExports>(exports)}}};
}

}  // namespace

SimulatedMesh::SimulatedMesh() : registry_(Self(), ExportPolicy::kAll) { Apply(""); }

std::string SimulatedMesh::Apply(const std::string& yaml) {
  return Build(registry_.Apply(Deltas(yaml)));
}

std::string SimulatedMesh::WestExports(const std::vector<ExportedService>& services) {
  west_.clear();
  for (const ExportedService& service : services) {
    west_.emplace(ServiceName(service.namespace_, service.name), service);
  }
  return Build({});
}

std::string SimulatedMesh::ApplyRemote(const std::string& yaml) {
  if (!remote_.has_value()) remote_.emplace("north", Self(), ExportPolicy::kAll);
  std::vector<Problem> problems = remote_->Apply(Deltas(yaml));
  remote_->Build();
  return Build(std::move(problems));
}

std::string SimulatedMesh::Build(std::vector<Problem> problems) {
  std::map<std::string, PeerState> peers = West(west_);
  if (remote_.has_value()) peers["north"] = remote_->state();
  MergedWorld merged = MergeWorld(registry_.BuildLocal(), peers, world_.get());
  gateway_api_.Apply(merged.world);
  HeldWorld held = HoldDangling(std::move(merged.world), world_.get());
  world_ = std::make_shared<const World>(std::move(held.world));
  const std::vector<Problem> of_gateways = CheckGateways(translations_.IndexOf(world_));
  for (const auto& more : {merged.problems, held.problems, of_gateways}) {
    problems.insert(problems.end(), more.begin(), more.end());
  }
  return Lines(problems);
}

std::set<SecretName> SimulatedMesh::SecretsNamed() {
  return weft::SecretsNamed(translations_.IndexOf(world_));
}

std::shared_ptr<const Resources> SimulatedMesh::ResourcesFor(const ProxyView& view) {
  return translations_.Of(world_, view);
}

std::unique_ptr<SimulatedProxy> SimulatedMesh::ProxyFor(const ProxyView& view) {
  const std::shared_ptr<const Resources> resources = ResourcesFor(view);
  EXPECT_EQ(absl::StrJoin(CheckResources(*resources), "\n"), "");
  const std::pair<absl::string_view, const EncodedResources*> types[] = {
      {kSecretType, &resources->secrets},     {kClusterType, &resources->clusters},
      {kEndpointType, &resources->endpoints}, {kListenerType, &resources->listeners},
      {kRouteType, &resources->routes},       {kNameTableType, &resources->name_table}};
  std::vector<SentResource> sent;
  for (const auto& [type, encoded] : types) {
    for (const auto& [name, bytes] : *encoded) sent.push_back({std::string(type), name, bytes});
  }
  const certs::PrivateKey key = certs::PrivateKey::Generate();
  const auto chain = *Root().Issue(key.public_key(), {kTrustDomain, "default", "client"},
                                   absl::Hours(1), absl::Now());
  return std::make_unique<SimulatedProxy>(sent, absl::StrJoin(chain, ""), key.ToPem());
}

OutboundScope SimulatedMesh::ScopeOf(const ProxyView& view) {
  return translations_.IndexOf(world_).ScopeOf(view);
}

ProxyView ClientIn(const std::string& name_space, Labels labels) {
  ProxyView view;
  view.namespace_ = name_space;
  view.address = "10.244.0.200";
  view.cluster = "east";
  view.network = "net-east";
  view.labels = std::move(labels);
  return view;
}

ProxyView RemoteClientIn(const std::string& name_space, Labels labels) {
  ProxyView view = ClientIn(name_space, std::move(labels));
  view.cluster = "north";
  view.network = "net-north";
  return view;
}

}  // namespace weft
