#include "controlplane/federation/peer_snapshot.h"

#include <gtest/gtest.h>

#include <fstream>

namespace weft {
namespace {

Peer West() {
  Peer peer;
  peer.cluster = "west";
  peer.trust_domain = "west.weft";
  return peer;
}

PeerKnowledge Reviews() {
  ExportedService service;
  service.namespace_ = "default";
  service.name = "reviews";
  ServicePort port;
  port.name = "http";
  port.port = 9080;
  port.protocol = Protocol::kHttp;
  service.ports = {port};
  ExportedGroup group;
  group.locality.region = "eu";
  group.labels["version"] = "v1";
  group.service_account = "reviews";
  group.ready = 3;
  service.groups = {group};
  service.exported_at = 1'800'000'000;
  service.cluster_set_only = true;
  service.headless = true;
  service.session_affinity = true;
  const PeerExports exports = {{{"default", "reviews"}, service}};
  return {
      std::make_shared<PeerExports>(exports), {7, 12}, "NEXT ROOT", {{"192.0.2.1", 15443, 15008}}};
}

PeerKnowledge Nothing() { return {std::make_shared<PeerExports>(), {7, 13}}; }

std::string NewFolder(const std::string& name) { return ::testing::TempDir() + "/" + name; }

TEST(PeerSnapshots, KeepsWhatAPeerExported) {
  const PeerSnapshots snapshots(NewFolder("keeps"));
  ASSERT_TRUE(snapshots.Save(West(), Reviews()).ok());
  auto loaded = snapshots.Load(West());
  ASSERT_TRUE(loaded.ok()) << loaded.status();
  EXPECT_EQ(*loaded->exports, *Reviews().exports);
  EXPECT_EQ(loaded->known, Reviews().known);
  EXPECT_EQ(loaded->roots_pem, "NEXT ROOT");
  EXPECT_EQ(loaded->gateways, Reviews().gateways);
  ASSERT_TRUE(snapshots.Save(West(), Nothing()).ok());
  EXPECT_TRUE(snapshots.Load(West())->exports->empty());
}

TEST(PeerSnapshots, ABundleIsForgottenWhenTheLinkIsConfiguredWithOtherRoots) {
  const PeerSnapshots snapshots(NewFolder("roots"));
  ASSERT_TRUE(snapshots.Save(West(), Reviews()).ok());
  Peer again = West();
  again.roots_pem = "ANOTHER ROOT";
  EXPECT_EQ(snapshots.Load(again)->roots_pem, "");
  EXPECT_EQ(*snapshots.Load(again)->exports, *Reviews().exports);
}

TEST(PeerSnapshots, IsNotFoundBeforeTheFirstAndAfterRemoval) {
  const PeerSnapshots snapshots(NewFolder("removed"));
  EXPECT_TRUE(absl::IsNotFound(snapshots.Load(West()).status()));
  ASSERT_TRUE(snapshots.Save(West(), Reviews()).ok());
  snapshots.Remove("west");
  EXPECT_TRUE(absl::IsNotFound(snapshots.Load(West()).status()));
}

TEST(PeerSnapshots, ASnapshotOfAnotherTrustDomainIsNotUsed) {
  const PeerSnapshots snapshots(NewFolder("domain"));
  ASSERT_TRUE(snapshots.Save(West(), Reviews()).ok());
  Peer other = West();
  other.trust_domain = "evil.weft";
  EXPECT_TRUE(absl::IsNotFound(snapshots.Load(other).status()));
}

TEST(PeerSnapshots, Row110ATornFileIsAnErrorAndNothingElse) {
  const std::string folder = NewFolder("torn");
  const PeerSnapshots snapshots(folder);
  ASSERT_TRUE(snapshots.Save(West(), Reviews()).ok());
  std::ofstream(folder + "/west.pb", std::ios::trunc) << "\x12\xff";
  EXPECT_EQ(snapshots.Load(West()).status().code(), absl::StatusCode::kDataLoss);
}

}  // namespace
}  // namespace weft
