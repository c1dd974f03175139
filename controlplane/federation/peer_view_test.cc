#include "controlplane/federation/peer_view.h"

#include <gtest/gtest.h>

#include <memory>

#include "absl/strings/str_cat.h"
#include "api/weft/peer.pb.h"
#include "certs/issuer.h"
#include "controlplane/federation/own_state.h"
#include "controlplane/federation/peer_feed.h"

namespace weft {
namespace {

using peer::v1::PeerMessage;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);
const std::string& WestRoot() {
  static const std::string root = certs::Issuer::CreateRoot("west.weft", kNow)->ChainPem();
  return root;
}
const std::string& NextRoot() {
  static const std::string root = certs::Issuer::CreateRoot("west.weft", kNow)->ChainPem();
  return root;
}

Peer West() {
  Peer peer;
  peer.cluster = "west";
  peer.trust_domain = "west.weft";
  peer.roots_pem = WestRoot();
  peer.gateways = {{"192.0.2.1", 15443}};
  return peer;
}

ExportedService Service(const std::string& name, uint32_t ready) {
  ExportedService service;
  service.namespace_ = "default";
  service.name = name;
  ServicePort port;
  port.name = "http";
  port.port = 5000;
  port.protocol = Protocol::kHttp;
  service.ports = {port};
  ExportedGroup group;
  group.locality.region = "r2";
  group.labels = {{"version", "v1"}};
  group.service_account = "default";
  group.ready = ready;
  service.groups = {group};
  return service;
}

std::shared_ptr<const OwnState> Own(const std::vector<ExportedService>& services) {
  auto own = std::make_shared<OwnState>();
  auto self = std::make_shared<ClusterIdentity>();
  self->cluster = "west";
  self->trust_domain = "west.weft";
  self->roots_pem = WestRoot();
  own->self = self;
  own->gateways = {{"192.0.2.9", 15443}};
  for (const ExportedService& service : services) {
    own->exports[{service.namespace_, service.name}] = service;
  }
  return own;
}

// What a stream says first, and then.
std::vector<PeerMessage> All(PeerFeed& feed, const std::shared_ptr<const OwnState>& own,
                             bool first = true, KnownState known = {}) {
  std::vector<PeerMessage> messages;
  if (first) {
    messages.push_back(feed.Message());
    messages.back().mutable_hello()->set_cluster(own->self->cluster);
    messages.back().mutable_hello()->set_trust_domain(own->self->trust_domain);
  }
  for (PeerMessage& message : feed.Next(own, known, absl::ZeroDuration())) {
    messages.push_back(std::move(message));
  }
  return messages;
}

// Passes all messages on; true if the state changed.
bool Tell(PeerFeed& feed, PeerView& view, const std::shared_ptr<const OwnState>& own,
          bool first = false) {
  bool changed = false;
  for (const PeerMessage& message : All(feed, own, first)) {
    auto result = view.OnMessage(message);
    EXPECT_TRUE(result.ok()) << result.status();
    changed |= result.ok() && *result;
  }
  return changed;
}

TEST(PeerView, KnowsWhatItsPeerFeeds) {
  PeerView view(West());
  PeerFeed feed(7);
  view.StartStream();
  EXPECT_TRUE(Tell(feed, view, Own({Service("a", 2), Service("b", 1)}), true));
  EXPECT_TRUE(view.synced());
  EXPECT_EQ(view.state().exports->size(), 2);
  EXPECT_EQ(view.state().exports->at({"default", "a"}), Service("a", 2));
  EXPECT_EQ(view.state().peer->gateways[0].address, "192.0.2.9") << "row 88";

  EXPECT_TRUE(Tell(feed, view, Own({Service("a", 3)})));
  EXPECT_EQ(view.state().exports->size(), 1);
  EXPECT_EQ(view.state().exports->at({"default", "a"}), Service("a", 3));
  EXPECT_FALSE(Tell(feed, view, Own({Service("a", 3)}))) << "nothing changed";
}

TEST(PeerView, Row87HoldsTheOldStateUntilTheNewStreamIsSynced) {
  PeerView view(West());
  PeerFeed first(7);
  view.StartStream();
  Tell(first, view, Own({Service("a", 2), Service("b", 1)}), true);

  PeerFeed second(8);
  view.StartStream();
  EXPECT_FALSE(view.synced());
  for (const PeerMessage& message : All(second, Own({Service("a", 2)}))) {
    if (message.has_synced()) {
      EXPECT_EQ(view.state().exports->size(), 2) << "not before synced";
      EXPECT_TRUE(*view.OnMessage(message));
    } else {
      EXPECT_FALSE(*view.OnMessage(message));
    }
  }
  EXPECT_EQ(view.state().exports->size(), 1);
}

TEST(PeerView, Row89OldEpochsAndReplayedMessagesAreDropped) {
  PeerView view(West());
  PeerFeed current(9);
  view.StartStream();
  const auto messages = All(current, Own({Service("a", 2)}));
  for (const PeerMessage& message : messages) ASSERT_TRUE(view.OnMessage(message).ok());
  for (const PeerMessage& message : messages) EXPECT_FALSE(*view.OnMessage(message));

  PeerFeed old(8);
  view.StartStream();
  for (const PeerMessage& message : All(old, Own({}))) EXPECT_FALSE(*view.OnMessage(message));
  EXPECT_FALSE(view.synced());
  EXPECT_EQ(view.state().exports->size(), 1);
}

TEST(PeerView, Row89AMissingMessageEndsTheStream) {
  PeerView view(West());
  PeerFeed feed(9);
  view.StartStream();
  std::vector<PeerMessage> messages = All(feed, Own({Service("a", 2), Service("b", 1)}));
  const PeerMessage late = messages[4];
  messages.erase(messages.begin() + 4);
  ASSERT_TRUE(late.has_upsert());
  absl::Status taken;
  for (const PeerMessage& message : messages) {
    if (taken.ok()) taken = view.OnMessage(message).status();
  }
  EXPECT_EQ(taken.message(), "message 5 is missing");
  EXPECT_FALSE(view.synced()) << "services would be gone that were never taken back";
}

TEST(PeerView, Row81MalformedServicesAreRefusedAndTheRestIsTaken) {
  PeerView view(West());
  PeerFeed feed(7);
  view.StartStream();
  ExportedService bad_port = Service("port", 1);
  bad_port.ports[0].port = 0;
  ExportedService bad_account = Service("account", 1);
  bad_account.groups[0].service_account = "a b";
  ExportedService bad_namespace = Service("x", 1);
  bad_namespace.namespace_ = "../kube";
  ExportedService bad_name = Service("a.default.svc.cluster.local", 1);
  Tell(feed, view, Own({Service("a", 1), bad_port, bad_account, bad_namespace, bad_name}), true);
  EXPECT_EQ(view.refused(), 4);
  EXPECT_EQ(view.state().exports->size(), 1);
}

TEST(PeerView, Row81AnotherClusterOrTrustDomainIsRefused) {
  Peer other = West();
  other.cluster = "south";
  Peer foreign = West();
  foreign.trust_domain = "south.weft";
  for (const Peer& expected : {other, foreign}) {
    PeerView view(expected);
    PeerFeed feed(7);
    view.StartStream();
    EXPECT_FALSE(view.OnMessage(All(feed, Own({}))[0]).ok());
  }
}

TEST(PeerView, Row82ABundleSpeaksForItsOwnTrustDomainOnly) {
  PeerView view(West());
  PeerFeed feed(7);
  view.StartStream();
  Tell(feed, view, Own({}), true);
  EXPECT_EQ(view.state().peer->roots_pem, WestRoot());

  PeerMessage rolled = feed.Message();
  rolled.mutable_bundle()->set_trust_domain("west.weft");
  rolled.mutable_bundle()->add_roots_pem(NextRoot());
  EXPECT_TRUE(*view.OnMessage(rolled));
  EXPECT_EQ(view.state().peer->roots_pem, NextRoot());

  PeerMessage foreign = feed.Message();
  foreign.mutable_bundle()->set_trust_domain("east.weft");
  EXPECT_FALSE(view.OnMessage(foreign).ok());
}

TEST(PeerView, Row83ServicesBeyondTheQuotaAreNotTaken) {
  PeerView view(West());
  PeerFeed feed(7);
  view.StartStream();
  std::vector<ExportedService> many;
  for (size_t i = 0; i < kMaxServicesOfPeer + 5; ++i)
    many.push_back(Service(absl::StrCat("s", i), 1));
  Tell(feed, view, Own(many), true);
  EXPECT_EQ(view.state().exports->size(), kMaxServicesOfPeer);
  EXPECT_EQ(view.refused(), 5);
}

}  // namespace
}  // namespace weft
