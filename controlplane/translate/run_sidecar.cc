#include "controlplane/translate/run_sidecar.h"

#include <string>
#include <utility>
#include <vector>

#include "api/envoy/type_urls.h"
#include "controlplane/translate/check.h"
#include "controlplane/translate/translate.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

void GiveRoots(World& world) {
  auto self = std::make_shared<ClusterIdentity>(*world.self);
  self->roots_pem = Sidecar::RootOf(self->trust_domain);
  world.self = std::move(self);
  for (auto& [name, peer] : world.peers) {
    auto with_roots = std::make_shared<Peer>(*peer);
    with_roots->roots_pem = Sidecar::RootOf(peer->trust_domain);
    peer = std::move(with_roots);
  }
}

}  // namespace

std::unique_ptr<Sidecar> RunSidecar(World world, const ProxyView& view) {
  GiveRoots(world);
  const Resources resources = Translate(world, view);
  EXPECT_EQ(CheckResources(resources), std::vector<std::string>());
  auto sidecar = std::make_unique<Sidecar>(world.self->trust_domain);
  sidecar->Apply(kSecretType, resources.secrets);
  sidecar->Apply(kClusterType, resources.clusters);
  sidecar->Apply(kEndpointType, resources.endpoints);
  sidecar->Apply(kListenerType, resources.listeners);
  sidecar->Apply(kRouteType, resources.routes);
  sidecar->Apply(kNameTableType, resources.name_table);
  EXPECT_EQ(sidecar->Complaints(), std::vector<std::string>());
  return sidecar;
}

}  // namespace weft
