#include "controlplane/federation/config_view.h"

#include <optional>
#include <random>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "api/weft/peer.pb.h"
#include "controlplane/federation/config_feed.h"
#include "gtest/gtest.h"

namespace weft {
namespace {

using peer::v1::PeerMessage;
using State = ConfigReport::State;

ObjectKey Key(const std::string& name, const std::string& namespace_ = "shop") {
  return {"AuthorizationPolicy", namespace_, name};
}

std::string Json(const ObjectKey& key, const std::string& spec) {
  const char* version =
      key.kind == "AuthorizationPolicy" ? "security.istio.io/v1" : "networking.istio.io/v1";
  return absl::StrCat("{\"apiVersion\":\"", version, "\",\"kind\":\"", key.kind,
                      "\",\"metadata\":{\"name\":\"", key.name, "\",\"namespace\":\"",
                      key.namespace_, "\"},\"spec\":", spec, "}");
}

std::shared_ptr<const ConfigText> Text(const ObjectKey& key, const std::string& spec) {
  std::string json = Json(key, spec);
  std::string revision = ConfigRevision(json);
  return std::make_shared<const ConfigText>(ConfigText{std::move(json), std::move(revision)});
}

constexpr char kDeny[] = R"({"action":"DENY","rules":[{}]})";
constexpr char kAllow[] = R"({"action":"ALLOW","rules":[{}]})";
constexpr char kBroken[] = R"({"aktion":"DENY","rules":[{}]})";

Peer East(std::vector<std::string> accept) {
  Peer peer;
  peer.cluster = "east";
  peer.accept_config = std::move(accept);
  return peer;
}

// What one cluster says on a stream, as the view of the other hears it.
class ConfigViewTest : public testing::Test {
 protected:
  void StartStream() {
    feed_.emplace();
    view_->StartStream();
  }
  void Tell(ConfigTexts texts) {
    tell_.texts = std::make_shared<const ConfigTexts>(std::move(texts));
    Say();
  }
  void Report(ConfigReports reports) {
    tell_.reports = std::make_shared<const ConfigReports>(std::move(reports));
    Say();
  }
  // But for the last `lost` messages.
  void Say(size_t lost = 0) {
    std::vector<PeerMessage> messages;
    feed_->Next(tell_, stamps_, messages);
    said_ = messages.size();
    messages.resize(messages.size() - std::min(lost, messages.size()));
    for (const PeerMessage& message : messages) {
      PeerMessage heard;
      ASSERT_TRUE(heard.ParseFromString(message.SerializeAsString()));
      view_->OnMessage(heard);
    }
  }
  // The action of a policy that is known, or "-".
  std::string Of(const ObjectKey& key) const {
    const auto configs = view_->configs();
    const auto found = configs->objects.find(key);
    if (found == configs->objects.end()) return "-";
    return absl::StrContains(found->second->json, "DENY") ? "DENY" : "ALLOW";
  }
  // State and reason of what was refused, or "".
  std::string Refusal(const ObjectKey& key) const {
    const auto configs = view_->configs();
    const auto found = configs->refused.find(key);
    if (found == configs->refused.end()) return "";
    return absl::StrCat(NameOf(found->second.state), ": ", found->second.message);
  }

  PeerFeed stamps_{1};
  std::optional<ConfigFeed> feed_{std::in_place};
  ConfigsToTell tell_;
  std::optional<ConfigView> view_{std::in_place, East({"shop"}), nullptr};
  size_t said_ = 0;
};

TEST_F(ConfigViewTest, HearsWhatIsToldAndWhatGoes) {
  Tell({{Key("a"), Text(Key("a"), kDeny)}, {Key("b"), Text(Key("b"), kDeny)}});
  EXPECT_EQ(said_, 3u);
  EXPECT_EQ(Of(Key("a")), "DENY");
  Tell({{Key("a"), Text(Key("a"), kAllow)}});
  EXPECT_EQ(said_, 2u);
  EXPECT_EQ(Of(Key("a")), "ALLOW");
  EXPECT_EQ(Of(Key("b")), "-");
  Tell({{Key("a"), Text(Key("a"), kAllow)}});
  EXPECT_EQ(said_, 0u);
}

TEST_F(ConfigViewTest, IsTheSameWhileNothingChanges) {
  Tell({{Key("a"), Text(Key("a"), kDeny)}});
  const auto before = view_->configs();
  StartStream();
  Say();
  EXPECT_EQ(view_->configs(), before);
}

TEST_F(ConfigViewTest, TakesOnlyWhatIsAccepted) {
  const ObjectKey other = Key("a", "bank");
  const ObjectKey system = Key("a", "weft-system");
  const ObjectKey gateway{"Gateway", "shop", "a"};
  Tell({{other, Text(other, kDeny)},
        {system, Text(system, kDeny)},
        {gateway, Text(gateway, "{}")},
        {Key("a"), Text(Key("a"), kDeny)}});
  EXPECT_EQ(view_->configs()->objects.size(), 1u);
  EXPECT_EQ(Refusal(other),
            "not accepted: acceptConfig of the link does not name the namespace bank");
  EXPECT_TRUE(absl::StrContains(Refusal(system), "not accepted: not of a kind or namespace"));
  EXPECT_TRUE(absl::StrContains(Refusal(gateway), "not accepted: not of a kind or namespace"));
  EXPECT_EQ(Refusal(Key("a")), "");
}

TEST_F(ConfigViewTest, AllIsNeverTheSystem) {
  view_.emplace(East({"*"}), nullptr);
  const ObjectKey system = Key("a", "istio-system");
  Tell({{system, Text(system, kDeny)}, {Key("a", "bank"), Text(Key("a", "bank"), kDeny)}});
  EXPECT_EQ(Of(system), "-");
  EXPECT_EQ(Of(Key("a", "bank")), "DENY");
}

TEST_F(ConfigViewTest, NothingIsAcceptedUnlessItIsSaid) {
  view_.emplace(East({}), nullptr);
  Tell({{Key("a"), Text(Key("a"), kDeny)}});
  EXPECT_EQ(Of(Key("a")), "-");
}

TEST_F(ConfigViewTest, WhatIsNotAcceptedAnyMoreGoes) {
  Tell({{Key("a"), Text(Key("a"), kDeny)}});
  const auto known = view_->configs();
  view_.emplace(East({"shop"}), known);
  EXPECT_EQ(Of(Key("a")), "DENY");
  view_.emplace(East({"bank"}), known);
  EXPECT_EQ(Of(Key("a")), "-");
}

TEST_F(ConfigViewTest, WhatCannotBeUsedKeepsItsLastForm) {
  Tell({{Key("a"), Text(Key("a"), kDeny)}});
  Tell({{Key("a"), Text(Key("a"), kBroken)}});
  EXPECT_EQ(Of(Key("a")), "DENY");
  EXPECT_TRUE(absl::StrContains(Refusal(Key("a")), "rejected: spec.aktion")) << Refusal(Key("a"));
  // Taken back, it is as before.
  Tell({{Key("a"), Text(Key("a"), kDeny)}});
  EXPECT_EQ(Refusal(Key("a")), "");
}

TEST_F(ConfigViewTest, KeepsWhatItIsToldToKeep) {
  Tell({{Key("a"), Text(Key("a"), kDeny)}});
  StartStream();
  Tell({{Key("a"), nullptr}, {Key("b"), nullptr}});
  EXPECT_EQ(Of(Key("a")), "DENY");
  EXPECT_EQ(Of(Key("b")), "-");
}

TEST_F(ConfigViewTest, LetsGoOnlyWhenAllWasTold) {
  Tell({{Key("a"), Text(Key("a"), kDeny)}, {Key("b"), Text(Key("b"), kDeny)}});
  StartStream();
  EXPECT_EQ(Of(Key("a")), "DENY");
  tell_.texts = std::make_shared<const ConfigTexts>();
  Say(/*lost=*/1);
  EXPECT_EQ(Of(Key("a")), "DENY");
  StartStream();
  Say();
  EXPECT_EQ(Of(Key("a")), "-");
}

TEST_F(ConfigViewTest, IsBounded) {
  ConfigTexts texts;
  for (size_t i = 0; i < kMaxConfigsOfPeer + 10; ++i) {
    const ObjectKey key = Key(absl::StrCat("p", i));
    texts.emplace(key, Text(key, kDeny));
  }
  Tell(texts);
  EXPECT_EQ(view_->configs()->objects.size(), kMaxConfigsOfPeer);
  EXPECT_EQ(view_->configs()->refused.size(), 10u);
  texts.clear();
  const std::string filler(kMaxConfigBytes - 1000, ' ');
  for (int i = 0; i < 100; ++i) {
    const ObjectKey key = Key(absl::StrCat("large", i));
    texts.emplace(key, Text(key, filler + kDeny));
  }
  Tell(texts);
  size_t bytes = 0;
  for (const auto& [key, config] : view_->configs()->objects) bytes += config->json.size();
  EXPECT_LE(bytes, kMaxConfigBytesOfPeer);
  EXPECT_GT(bytes, kMaxConfigBytesOfPeer / 2);
}

TEST_F(ConfigViewTest, TakesNoNamesThatNobodyHas) {
  for (const ObjectKey& key : {Key("", "shop"), Key("a", "Shop"), Key(std::string(300, 'a')),
                               ObjectKey{std::string(100, 'K'), "shop", "a"}}) {
    Tell({{key, Text(key, kDeny)}});
    Report({{key, {State::kApplied, "r1", ""}}});
  }
  EXPECT_TRUE(view_->configs()->objects.empty());
  EXPECT_TRUE(view_->configs()->refused.empty());
  EXPECT_TRUE(view_->reports()->empty());
}

TEST_F(ConfigViewTest, HearsWhatBecameOfOurs) {
  Report({{Key("a"), {State::kRejected, "r1", "no such\nhost"}}});
  ASSERT_EQ(view_->reports()->size(), 1u);
  EXPECT_EQ(view_->reports()->at(Key("a")).state, State::kRejected);
  EXPECT_EQ(view_->reports()->at(Key("a")).message, "no such host");
  const auto before = view_->reports();
  Say();
  EXPECT_EQ(said_, 0u);
  EXPECT_EQ(view_->reports(), before);
  // It may be another one that answers on the next stream.
  StartStream();
  EXPECT_TRUE(view_->reports()->empty());
  Say();
  EXPECT_EQ(view_->reports()->size(), 1u);
}

// However streams are cut: at the end of one that is whole, what is known is what is told.
TEST_F(ConfigViewTest, EndsWithWhatWasToldOverRandomChangesAndCuts) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    view_.emplace(East({"shop"}), nullptr);
    tell_ = {};
    StartStream();
    ConfigTexts texts;
    for (int step = 0; step < 30; ++step) {
      const ObjectKey key = Key(absl::StrCat("p", random() % 4));
      switch (random() % 5) {
        case 0:
          texts.erase(key);
          break;
        case 1:
          texts[key] = Text(key, kDeny);
          break;
        case 2:
          texts[key] = Text(key, kAllow);
          break;
        default:
          break;
      }
      tell_.texts = std::make_shared<const ConfigTexts>(texts);
      if (random() % 4 == 0) {
        Say(random() % 3);
        StartStream();
      }
      Say();
      for (int i = 0; i < 4; ++i) {
        const ObjectKey one = Key(absl::StrCat("p", i));
        const auto told = texts.find(one);
        const bool deny = told != texts.end() && absl::StrContains(told->second->json, "DENY");
        EXPECT_EQ(Of(one), told == texts.end() ? "-" : deny ? "DENY" : "ALLOW");
      }
    }
  }
}

}  // namespace
}  // namespace weft
