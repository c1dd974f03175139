#include "controlplane/ads/delta_subscription.h"

#include <gtest/gtest.h>

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace weft {
namespace {

constexpr DeliveryRules kCds = {.full_state = true, .wildcard = true};
constexpr DeliveryRules kEds = {.full_state = false, .wildcard = false};

// Requests hold places in what was received.
absl::string_view Kept(std::string text) {
  static auto& all = *new std::deque<std::string>;
  return all.emplace_back(std::move(text));
}

std::string NamesIn(const EncodedResources& resources) {
  std::string names;
  for (const auto& [name, resource] : resources) {
    absl::StrAppend(&names, names.empty() ? "" : " ", name);
  }
  return names;
}

EncodedResources Make(const std::vector<std::pair<std::string, std::string>>& resources) {
  EncodedResources made;
  for (const auto& [name, bytes] : resources) made[name] = std::make_shared<std::string>(bytes);
  return made;
}

// One client of one type, in one line a step: what the client says, what it is sent.
class Client {
 public:
  explicit Client(DeliveryRules rules) : subscription_(rules) {}

  // "1: a=a1 -b" is response 1 with the bytes "a1" for a, and b removed; "-" is nothing.
  std::string Sees(const EncodedResources& current) {
    auto response = subscription_.Next(current, absl::StrCat("v", ++states_));
    if (!response.has_value()) return "-";
    nonce_ = response->nonce;
    std::string text = absl::StrCat(nonce_, ":");
    for (const auto& [name, resource] : response->changed) {
      absl::StrAppend(&text, " ", name, "=", *resource);
    }
    for (const std::string& name : response->removed) absl::StrAppend(&text, " -", name);
    return text;
  }

  Received Asks(std::vector<std::string> subscribe, std::vector<std::string> unsubscribe = {}) {
    DeltaSubscriptionRequest request;
    request.subscribe = {subscribe.begin(), subscribe.end()};
    request.unsubscribe = {unsubscribe.begin(), unsubscribe.end()};
    return subscription_.OnRequest(request);
  }
  // The first request of a stream, of a client that has these bytes.
  void Returns(std::vector<std::string> subscribe,
               const std::vector<std::pair<std::string, std::string>>& has) {
    DeltaSubscriptionRequest request;
    request.subscribe = {subscribe.begin(), subscribe.end()};
    for (const auto& [name, bytes] : has)
      request.initial_versions.emplace_back(name, Kept(VersionOf(bytes)));
    request.nonce = "of the stream before";
    EXPECT_EQ(subscription_.OnRequest(request), Received::kSubscribed);
  }
  Received Acks(std::string nonce = "") { return Answers(std::move(nonce), std::nullopt, {}); }
  Received Nacks() { return Answers("", "no such filter", {}); }
  Received Answers(std::string nonce, std::optional<std::string> error,
                   std::vector<std::string> subscribe) {
    DeltaSubscriptionRequest request;
    request.nonce = nonce.empty() ? nonce_ : std::move(nonce);
    request.error = std::move(error);
    request.subscribe = {subscribe.begin(), subscribe.end()};
    return subscription_.OnRequest(request);
  }
  const DeltaSubscription& subscription() const { return subscription_; }

 private:
  DeltaSubscription subscription_;
  std::string nonce_;
  int states_ = 0;
};

TEST(DeltaSubscription, SendsWhatChangedAndWhatIsGone) {
  Client client(kCds);
  EXPECT_EQ(client.Asks({}), Received::kSubscribed);
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "1: a=a1 b=b1");
  EXPECT_EQ(client.Acks(), Received::kAck);
  EXPECT_EQ(client.subscription().acked_version(), "v1");
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "-");
  EXPECT_EQ(client.Sees(Make({{"a", "a2"}, {"c", "c1"}})), "2: a=a2 c=c1 -b");
}

TEST(DeltaSubscription, NothingIsSentBeforeItIsAskedFor) {
  Client client(kCds);
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "-");
}

TEST(DeltaSubscription, WildcardOfNothingIsAnsweredOnce) {
  Client client(kCds);
  client.Asks({"*"});
  EXPECT_EQ(client.Sees({}), "1:");
  EXPECT_EQ(client.Sees({}), "-");
}

TEST(DeltaSubscription, OnlyNamedResourcesOfANamedType) {
  Client client(kEds);
  client.Asks({});  // no wildcard here
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "-");
  client.Asks({"b"});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "1: b=b1");
  EXPECT_EQ(client.Sees(Make({{"a", "a2"}, {"b", "b1"}})), "-") << "does not concern it";
  client.Asks({"a"}, {"b"});
  EXPECT_EQ(client.Sees(Make({{"a", "a2"}, {"b", "b2"}})), "2: a=a2");
}

TEST(DeltaSubscription, StarIsLeftAndNamesStay) {
  Client client(kCds);
  client.Asks({"*", "a"});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "1: a=a1 b=b1");
  client.Asks({}, {"*"});
  EXPECT_EQ(client.Sees(Make({{"a", "a2"}, {"b", "b2"}})), "2: a=a2");
  EXPECT_EQ(client.Sees({}), "3: -a");
}

TEST(DeltaSubscription, ANameLeftUnderStarIsSentAgain) {
  Client client(kCds);
  client.Asks({"*", "a", "gone"});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "1: a=a1 b=b1 -gone");
  client.Asks({}, {"a", "gone"});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "2: a=a1 -gone");
}

TEST(DeltaSubscription, Row69And71ANackIsKeptAndNothingIsSentBeforeAChange) {
  Client client(kCds);
  client.Asks({"*"});
  client.Sees(Make({{"a", "bad"}}));
  EXPECT_EQ(client.Nacks(), Received::kNack);
  EXPECT_EQ(client.subscription().last_error(), "no such filter");
  EXPECT_EQ(client.subscription().acked_version(), "");
  EXPECT_EQ(client.Sees(Make({{"a", "bad"}})), "-");
  EXPECT_EQ(client.Sees(Make({{"a", "good"}})), "2: a=good");
  EXPECT_EQ(client.Acks(), Received::kAck);
  EXPECT_EQ(client.subscription().last_error(), "");
  EXPECT_EQ(client.subscription().acked_version(), "v3");
}

TEST(DeltaSubscription, Row70AStaleNonceIsIgnoredButNotWhatIsAskedBesideIt) {
  Client client(kEds);
  client.Asks({"a"});
  client.Sees(Make({{"a", "a1"}, {"b", "b1"}}));
  EXPECT_EQ(client.Answers("77", "late", {"b"}), Received::kStale);
  EXPECT_EQ(client.subscription().last_error(), "");
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "2: b=b1");
}

TEST(DeltaSubscription, AnswersComeInOrderAndLate) {
  Client client(kCds);
  client.Asks({"*"});
  client.Sees(Make({{"a", "a1"}}));
  client.Sees(Make({{"a", "a2"}}));
  EXPECT_EQ(client.Acks("1"), Received::kAck);
  EXPECT_EQ(client.subscription().acked_version(), "v1");
  EXPECT_EQ(client.Acks("2"), Received::kAck);
  EXPECT_EQ(client.subscription().acked_version(), "v2");
  EXPECT_EQ(client.Acks("1"), Received::kStale) << "answered already";
}

TEST(DeltaSubscription, Row72VersionsAreOfTheBytesAndOutliveTheServer) {
  EXPECT_EQ(VersionOf("a1"), VersionOf("a1"));
  EXPECT_NE(VersionOf("a1"), VersionOf("a2"));
  Client client(kCds);
  client.Returns({"*"}, {{"a", "a1"}, {"b", "b0"}});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}, {"c", "c1"}})), "1: b=b1 c=c1");
}

TEST(DeltaSubscription, Row73RemovalsWhileAwayAreNotLost) {
  struct Case {
    const char* what;
    DeliveryRules rules;
    std::vector<std::string> subscribe;
    const char* sees;
  } cases[] = {
      {"legacy wildcard", kCds, {}, "1: -b"},
      {"star", kCds, {"*"}, "1: -b"},
      {"names", kEds, {"a", "b"}, "1: -b"},
      {"a name it no longer wants", kEds, {"a"}, "-"},
  };
  for (const Case& c : cases) {
    SCOPED_TRACE(c.what);
    Client client(c.rules);
    client.Returns(c.subscribe, {{"a", "a1"}, {"b", "b1"}});
    EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), c.sees);
    EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "-");
  }
}

TEST(DeltaSubscription, AReturningClientThatIsCurrentIsSentNothing) {
  Client client(kCds);
  client.Returns({}, {{"a", "a1"}});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "-");
  EXPECT_EQ(client.Sees(Make({{"a", "a2"}})), "1: a=a2");
}

TEST(DeltaSubscription, Row74SubscribingAgainSendsAgain) {
  Client client(kEds);
  client.Asks({"a", "b"});
  const EncodedResources same = Make({{"a", "a1"}, {"b", "b1"}});
  EXPECT_EQ(client.Sees(same), "1: a=a1 b=b1");
  client.Asks({}, {"a"});
  EXPECT_EQ(client.Sees(same), "-");
  client.Asks({"a"});
  EXPECT_EQ(client.Sees(same), "2: a=a1");
  client.Asks({"b"});
  EXPECT_EQ(client.Sees(same), "3: b=b1") << "without leaving it in between, too";
  client.Asks({"b"}, {"b"});
  EXPECT_EQ(client.Sees(same), "-") << "left at last";
}

TEST(DeltaSubscription, Row75NoNamesAfterNamesIsNoWildcard) {
  Client client(kCds);
  client.Asks({"a"});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "1: a=a1");
  client.Asks({}, {"a"});
  client.Asks({});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "-");
}

TEST(DeltaSubscription, Row76AbsentIsSaidOnceAndDeliveredWhenItComes) {
  Client client(kEds);
  client.Asks({"a"});
  EXPECT_EQ(client.Sees({}), "1: -a");
  EXPECT_EQ(client.Sees({}), "-");
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "2: a=a1");
  EXPECT_EQ(client.Sees({}), "3: -a");
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "4: a=a1");
}

TEST(DeltaSubscription, AWholeMeshByNameSharesItsTable) {
  EncodedResources all;
  std::vector<std::string> names;
  for (int i = 0; i < 500; ++i) {
    names.push_back(absl::StrCat("n", i));
    all[names.back()] = std::make_shared<std::string>("x");
  }
  DeltaSubscription subscription(kEds);
  DeltaSubscriptionRequest request;
  request.subscribe = {names.begin(), names.end()};
  subscription.OnRequest(request);
  ASSERT_EQ(subscription.Next(all, "v")->changed.size(), 500u);
  EXPECT_TRUE(subscription.interest().sent().SharesAllWith(all));
  all["n7"] = std::make_shared<std::string>("y");
  auto response = subscription.Next(all, "v");
  ASSERT_TRUE(response.has_value());
  EXPECT_EQ(NamesIn(response->changed), "n7");
  EXPECT_TRUE(subscription.interest().sent().SharesAllWith(all));
  // A name more, and one less, and it still knows which.
  all["new"] = std::make_shared<std::string>("z");
  EXPECT_FALSE(subscription.Next(all, "v").has_value());
  request.subscribe = {"new"};
  request.unsubscribe = {"n0"};
  subscription.OnRequest(request);
  EXPECT_EQ(NamesIn(subscription.Next(all, "v")->changed), "new");
  all["n0"] = std::make_shared<std::string>("unwanted");
  EXPECT_FALSE(subscription.Next(all, "v").has_value());
}

// After a restart a thousand clients come back, each with nearly everything.
TEST(DeltaSubscription, WhoComesBackSharesTheTable) {
  EncodedResources all;
  for (int i = 0; i < 500; ++i) all[absl::StrCat("n", i)] = std::make_shared<std::string>("x");
  const auto returns = [&](int first, int last) {
    DeltaSubscriptionRequest request;
    for (int i = last; i-- > first;) {
      request.initial_versions.emplace_back(Kept(absl::StrCat("n", i)), Kept(VersionOf("x")));
    }
    return request;
  };
  for (const auto& [first, last] : {std::pair(0, 500), std::pair(10, 500), std::pair(0, 10)}) {
    SCOPED_TRACE(absl::StrCat(first, " to ", last));
    DeltaSubscription subscription(kCds);
    DeltaSubscriptionRequest request = returns(first, last);
    request.initial_versions.emplace_back("gone", Kept(VersionOf("x")));
    request.initial_versions[0].second = Kept(VersionOf("old"));
    subscription.OnRequest(request);
    const auto response = subscription.Next(all, "v");
    ASSERT_TRUE(response.has_value());
    EXPECT_EQ(response->changed.size(), 500u - static_cast<size_t>(last - first) + 1);
    EXPECT_TRUE(response->changed.contains(std::string(request.initial_versions[0].first)));
    EXPECT_EQ(response->removed, std::vector<std::string>{"gone"});
  }
  DeltaSubscription subscription(kCds);
  subscription.OnRequest(returns(0, 500));
  EXPECT_FALSE(subscription.Next(all, "v").has_value());
  EXPECT_TRUE(subscription.interest().sent().SharesAllWith(all));
}

}  // namespace
}  // namespace weft
