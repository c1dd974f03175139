#include "controlplane/federation/peer_session.h"

#include <deque>
#include <optional>
#include <random>

#include "absl/strings/str_cat.h"
#include "api/weft/peer.pb.h"
#include "certs/issuer.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using peer::v1::PeerMessage;

const absl::Time kNow = absl::FromUnixSeconds(1'800'000'000);

std::string RootOf(const std::string& cluster) {
  static std::map<std::string, std::string> roots;
  std::string& root = roots[cluster];
  if (root.empty()) root = certs::Issuer::CreateRoot(cluster + ".weft", kNow)->ChainPem();
  return root;
}

Peer PeerOf(const std::string& cluster) {
  Peer peer;
  peer.cluster = cluster;
  peer.trust_domain = cluster + ".weft";
  peer.roots_pem = RootOf(cluster);
  return peer;
}

ExportedService Service(const std::string& name, std::map<std::string, uint32_t> zones) {
  ExportedService service;
  service.namespace_ = "default";
  service.name = name;
  service.ports = {{"http", 80, Protocol::kHttp}};
  for (const auto& [zone, ready] : zones) {
    if (ready == 0) continue;
    ExportedGroup group;
    group.locality = {"r", zone};
    group.labels = {{"app", name}, {"version", "v1"}};
    group.service_account = "default";
    group.ready = ready;
    service.groups.push_back(group);
  }
  return service;
}

// One cluster's end of a link: what it exports, and what it knows of the other.
class End {
 public:
  End(const std::string& cluster, const std::string& other, uint64_t epoch = 1)
      : epoch_(epoch), view_(PeerOf(other)) {
    auto self = std::make_shared<ClusterIdentity>();
    self->cluster = cluster;
    self->trust_domain = cluster + ".weft";
    self->roots_pem = RootOf(cluster);
    self_ = std::move(self);
    Export({});
  }

  void Export(const std::vector<ExportedService>& services) {
    exports_.clear();
    for (const ExportedService& service : services) {
      exports_[{service.namespace_, service.name}] = service;
    }
    own_ = history_.Next(self_, {{"192.0.2.1", 15443}}, exports_);
  }
  void Dial(bool dialer, absl::Duration now) { session_.emplace(epoch_, view_, dialer, now); }
  std::vector<PeerMessage> Due(absl::Duration now) {
    // Over the wire and back.
    std::vector<PeerMessage> messages;
    for (const PeerMessage& message : session_->Due(own_, now)) {
      const std::string bytes = message.SerializeAsString();
      sent_bytes_ += bytes.size();
      messages.emplace_back();
      EXPECT_TRUE(messages.back().ParseFromString(bytes));
    }
    sent_ += messages.size();
    return messages;
  }

  PeerSession& session() { return *session_; }
  PeerView& view() { return view_; }
  const PeerExports& exports() const { return exports_; }
  const PeerExports& known() const { return *known_.exports; }
  size_t TakeSent() { return std::exchange(sent_, 0); }
  size_t TakeSentBytes() { return std::exchange(sent_bytes_, 0); }
  absl::Status Take(const PeerMessage& message, absl::Duration now) {
    absl::Status status = session_->OnMessage(message, now).status();
    known_ = view_.state();
    return status;
  }

 private:
  const uint64_t epoch_;
  std::shared_ptr<const ClusterIdentity> self_;
  OwnHistory history_;
  PeerExports exports_;
  std::shared_ptr<const OwnState> own_;
  PeerView view_;
  PeerState known_ = view_.state();
  std::optional<PeerSession> session_;
  size_t sent_ = 0;
  size_t sent_bytes_ = 0;
};

class PeerSessionTest : public testing::Test {
 protected:
  void Connect() {
    east_.Dial(true, now_);
    west_.Dial(false, now_);
    Exchange();
  }
  // Until both have said all that is due now.
  void Exchange() {
    for (bool more = true; more;) {
      more = false;
      for (auto [from, to] : {std::pair(&east_, &west_), std::pair(&west_, &east_)}) {
        for (const PeerMessage& message : from->Due(now_)) {
          const absl::Status taken = to->Take(message, now_);
          EXPECT_TRUE(taken.ok()) << taken;
          more |= !message.has_heartbeat();
        }
      }
    }
  }

  absl::Duration now_ = absl::Seconds(100);
  End east_{"east", "west"};
  End west_{"west", "east"};
};

TEST_F(PeerSessionTest, OneStreamTellsBothSides) {
  east_.Export({Service("a", {{"z1", 2}})});
  west_.Export({Service("b", {{"z1", 1}, {"z2", 3}})});
  Connect();
  EXPECT_TRUE(east_.session().synced());
  EXPECT_TRUE(west_.session().synced());
  EXPECT_EQ(west_.known(), east_.exports());
  EXPECT_EQ(east_.known(), west_.exports());
  EXPECT_EQ(east_.view().state().peer->gateways[0].address, "192.0.2.1") << "row 88";
}

TEST_F(PeerSessionTest, AChangeOfOneEndpointIsAFewBytes) {
  east_.Export({Service("a", {{"z1", 2}, {"z2", 2}})});
  Connect();
  east_.TakeSentBytes();
  east_.Export({Service("a", {{"z1", 2}, {"z2", 3}})});
  Exchange();
  EXPECT_EQ(west_.known(), east_.exports());
  EXPECT_LT(east_.TakeSentBytes(), 40u);
  // All pods of a zone are gone, and are back.
  for (const uint32_t ready : {0u, 1u}) {
    east_.Export({Service("a", {{"z1", 2}, {"z2", ready}})});
    Exchange();
    EXPECT_EQ(west_.known(), east_.exports());
    EXPECT_LT(east_.TakeSentBytes(), 40u);
  }
}

TEST_F(PeerSessionTest, AStreamThatWasCutGoesOnFromWhatIsKnown) {
  std::vector<ExportedService> services;
  for (int i = 0; i < 100; ++i) services.push_back(Service(absl::StrCat("s", i), {{"z1", 1}}));
  east_.Export(services);
  Connect();
  services.pop_back();
  services[0] = Service("s0", {{"z1", 7}});
  east_.Export(services);  // nobody hears it
  east_.TakeSent();
  Connect();
  EXPECT_EQ(west_.known(), east_.exports());
  EXPECT_LT(east_.TakeSent(), 10u) << "hello, start, bundle, gateways, two services, synced";
  // What is told in full for the first time on this stream is then told in few bytes.
  services[1] = Service("s1", {{"z1", 2}});
  east_.Export(services);
  Exchange();
  EXPECT_EQ(west_.known(), east_.exports());
}

TEST_F(PeerSessionTest, AnotherEpochIsToldInFull) {
  east_.Export({Service("a", {{"z1", 1}}), Service("b", {{"z1", 1}})});
  Connect();
  End restarted("east", "west", 2);
  restarted.Export({Service("b", {{"z1", 1}})});
  restarted.Dial(true, now_);
  west_.Dial(false, now_);
  for (int round = 0; round < 3; ++round) {
    for (const PeerMessage& m : restarted.Due(now_)) ASSERT_TRUE(west_.Take(m, now_).ok());
    for (const PeerMessage& m : west_.Due(now_)) ASSERT_TRUE(restarted.Take(m, now_).ok());
  }
  EXPECT_EQ(west_.known(), restarted.exports());
}

TEST_F(PeerSessionTest, Row84WhatFlapsIsDampedAndItsEndIsTold) {
  east_.Export({Service("a", {{"z1", 1}})});
  Connect();
  east_.TakeSent();
  // A thousand times a second, for three seconds.
  for (int i = 0; i < 3000; ++i) {
    now_ += absl::Milliseconds(1);
    east_.Export({Service("a", {{"z1", 1 + static_cast<uint32_t>(i % 2)}})});
    Exchange();
  }
  EXPECT_LE(east_.TakeSent(), PeerFeed::kBurst + 4u);
  east_.Export({Service("a", {})});
  now_ += PeerFeed::kDampedPeriod;
  Exchange();
  EXPECT_EQ(west_.known(), east_.exports());
  // And others are told at once meanwhile.
  east_.Export({Service("a", {{"z1", 1}}), Service("b", {{"z1", 1}})});
  Exchange();
  EXPECT_TRUE(west_.known().contains({"default", "b"}));
}

TEST_F(PeerSessionTest, SaysThatItIsThereEachSecond) {
  Connect();
  east_.TakeSent();
  for (int i = 0; i < 100; ++i) {
    now_ += absl::Milliseconds(100);
    Exchange();
  }
  EXPECT_NEAR(static_cast<double>(east_.TakeSent()), 10, 1);
  EXPECT_LE(now_ - west_.session().last_heard(), absl::Seconds(1));
}

TEST_F(PeerSessionTest, Row89WhatIsReplayedDoesNotCountAsHeard) {
  Connect();
  now_ += absl::Seconds(2);
  const std::vector<PeerMessage> beat = east_.Due(now_);
  ASSERT_FALSE(beat.empty());
  for (const PeerMessage& message : beat) ASSERT_TRUE(west_.Take(message, now_).ok());
  const absl::Duration heard = west_.session().last_heard();
  now_ += absl::Seconds(5);
  for (const PeerMessage& message : beat) ASSERT_TRUE(west_.Take(message, now_).ok());
  EXPECT_EQ(west_.session().last_heard(), heard);
}

TEST_F(PeerSessionTest, Row81APeerCannotGoOnFromWhatWeDoNotKnow) {
  west_.Dial(false, now_);
  PeerFeed feed(1);
  auto own = std::make_shared<OwnState>();
  auto self = std::make_shared<ClusterIdentity>();
  self->cluster = "east";
  self->trust_domain = "east.weft";
  PeerMessage hello = feed.Message();
  hello.mutable_hello()->set_cluster("east");
  hello.mutable_hello()->set_trust_domain("east.weft");
  ASSERT_TRUE(west_.Take(hello, now_).ok());
  PeerMessage start = feed.Message();
  start.mutable_start()->set_resumed(true);
  EXPECT_FALSE(west_.Take(start, now_).ok());
}

TEST_F(PeerSessionTest, TellsWhichBundleIsInForce) {
  Connect();
  west_.session().AckBundle("abc");
  now_ += absl::Milliseconds(1);
  Exchange();
  EXPECT_EQ(east_.session().acked_bundle(), "abc");
}

TEST(StaysWhenTwo, BothSidesAgree) {
  for (const bool east_dialed : {true, false}) {
    EXPECT_EQ(StaysWhenTwo("east", "west", east_dialed),
              StaysWhenTwo("west", "east", !east_dialed));
  }
  EXPECT_TRUE(StaysWhenTwo("east", "west", true));
}

// Whatever happens in whatever order, once a stream is synced and quiet, the listener knows what
// the speaker exports; and before it is synced, it never knows less than it did, but for what it
// was told to forget.
TEST(PeerSession, RandomChangesAndCutsEndInTheTruth) {
  for (uint32_t seed = 1; seed <= 300; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    const auto below = [&](uint32_t n) { return static_cast<uint32_t>(random() % n); };
    std::unique_ptr<End> ends[2] = {std::make_unique<End>("east", "west"),
                                    std::make_unique<End>("west", "east")};
    std::map<std::string, std::map<std::string, uint32_t>> truth[2];
    absl::Duration now = absl::Seconds(1);
    std::deque<PeerMessage> wire[2];  // towards ends[i]
    const auto connect = [&] {
      for (int i = 0; i < 2; ++i) {
        wire[i].clear();
        ends[i]->Dial(i == 0, now);
      }
    };
    connect();
    const auto speak = [&](int i) {
      for (PeerMessage& message : ends[i]->Due(now)) wire[1 - i].push_back(std::move(message));
    };
    const auto hear = [&](int i) {
      if (wire[i].empty()) return;
      const absl::Status taken = ends[i]->Take(wire[i].front(), now);
      ASSERT_TRUE(taken.ok()) << taken;
      wire[i].pop_front();
    };
    for (int step = 0; step < 200; ++step) {
      now += absl::Milliseconds(below(300));
      const int i = static_cast<int>(below(2));
      const std::string name = absl::StrCat("s", below(6));
      switch (below(8)) {
        case 0:
          truth[i][name][absl::StrCat("z", below(3))] = below(4);
          break;
        case 1:
          truth[i].erase(name);
          break;
        case 2:
          if (below(6) == 0) connect();
          break;
        case 3:
        case 4:
          speak(i);
          break;
        default:
          hear(i);
      }
      std::vector<ExportedService> services;
      for (const auto& [of, zones] : truth[i]) services.push_back(Service(of, zones));
      ends[i]->Export(services);
    }
    for (int round = 0; round < 20; ++round) {
      now += absl::Milliseconds(500);
      for (int i = 0; i < 2; ++i) {
        speak(i);
        while (!wire[1 - i].empty()) hear(1 - i);
      }
    }
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(ends[i]->session().synced());
      EXPECT_EQ(ends[1 - i]->known(), ends[i]->exports());
    }
  }
}

}  // namespace
}  // namespace weft
