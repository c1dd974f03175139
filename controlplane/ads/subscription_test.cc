#include "controlplane/ads/subscription.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"

namespace weft {
namespace {

constexpr DeliveryRules kCds = {.full_state = true, .wildcard = true};
constexpr DeliveryRules kEds = {.full_state = false, .wildcard = false};

EncodedResources Make(const std::vector<std::pair<std::string, std::string>>& resources) {
  EncodedResources made;
  for (const auto& [name, bytes] : resources) made[name] = std::make_shared<std::string>(bytes);
  return made;
}

// One client of one type, in one line a step: what the client says, what it is sent.
class Client {
 public:
  explicit Client(DeliveryRules rules) : subscription_(rules) {}

  // "1: a b" is response 1 with the bytes "a" and "b"; "-" is nothing.
  std::string Sees(const EncodedResources& current) {
    auto response = subscription_.Next(current, absl::StrCat("v", ++states_));
    if (!response.has_value()) return "-";
    nonce_ = response->nonce;
    std::vector<std::string> bytes;
    for (const auto& [name, resource] : response->resources) bytes.push_back(*resource);
    return absl::StrCat(nonce_, ": ", absl::StrJoin(bytes, " "));
  }

  Received Asks(std::vector<std::string> names) { return Says(names, "", {}); }
  Received Acks(std::vector<std::string> names) { return Says(names, nonce_, {}); }
  Received Nacks(std::vector<std::string> names) { return Says(names, nonce_, "no such filter"); }
  Received Says(std::vector<std::string> names, std::string nonce,
                std::optional<std::string> error) {
    SubscriptionRequest request;
    request.names.assign(names.begin(), names.end());
    request.nonce = std::move(nonce);
    request.error = std::move(error);
    return subscription_.OnRequest(request);
  }
  const Subscription& subscription() const { return subscription_; }

 private:
  Subscription subscription_;
  std::string nonce_;
  int states_ = 0;
};

TEST(Subscription, FirstRequestIsAnsweredAndAckIsNot) {
  Client client(kCds);
  EXPECT_EQ(client.Asks({}), Received::kSubscribed);
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "1: a1 b1");
  EXPECT_EQ(client.Acks({}), Received::kAck);
  EXPECT_EQ(client.subscription().acked_version(), "v1");
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "-");
}

TEST(Subscription, NothingIsSentBeforeItIsAskedFor) {
  Client client(kCds);
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "-");
}

TEST(Subscription, WildcardOfNothingIsAnsweredWithNothing) {
  Client client(kCds);
  client.Asks({});
  EXPECT_EQ(client.Sees({}), "1: ");
  client.Acks({});
  EXPECT_EQ(client.Sees({}), "-");
}

TEST(Subscription, FullStateTypesRepeatEverything) {
  Client client(kCds);
  client.Asks({});
  client.Sees(Make({{"a", "a1"}, {"b", "b1"}}));
  client.Acks({});
  EXPECT_EQ(client.Sees(Make({{"a", "a2"}, {"b", "b1"}})), "2: a2 b1");
  client.Acks({});
  EXPECT_EQ(client.Sees(Make({{"b", "b1"}})), "3: b1") << "absence removes";
}

TEST(Subscription, PartialTypesSendWhatChanged) {
  Client client(kEds);
  client.Asks({"a", "b"});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}, {"c", "c1"}})), "1: a1 b1");
  client.Acks({"a", "b"});
  EXPECT_EQ(client.Sees(Make({{"a", "a2"}, {"b", "b1"}, {"c", "c2"}})), "2: a2");
  client.Acks({"a", "b"});
  EXPECT_EQ(client.Sees(Make({{"a", "a2"}})), "-") << "removal is the cluster's to tell";
}

TEST(Subscription, EqualBytesInANewPointerAreNoChange) {
  Client client(kEds);
  client.Asks({"a"});
  client.Sees(Make({{"a", "a1"}}));
  client.Acks({"a"});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "-");
}

TEST(Subscription, Row69NackIsRecordedUntilTheNextAck) {
  Client client(kCds);
  client.Asks({});
  client.Sees(Make({{"a", "bad"}}));
  EXPECT_EQ(client.Nacks({}), Received::kNack);
  EXPECT_EQ(client.subscription().last_error(), "no such filter");
  EXPECT_EQ(client.subscription().acked_version(), "");
  client.Sees(Make({{"a", "good"}}));
  EXPECT_EQ(client.Acks({}), Received::kAck);
  EXPECT_EQ(client.subscription().last_error(), "");
  EXPECT_EQ(client.subscription().acked_version(), "v2");
}

TEST(Subscription, Row70StaleNonceIsIgnoredWithItsNames) {
  Client client(kEds);
  client.Asks({"a"});
  client.Sees(Make({{"a", "a1"}, {"b", "b1"}}));
  client.Sees(Make({{"a", "a2"}, {"b", "b1"}}));
  EXPECT_EQ(client.Says({"a", "b"}, "1", std::nullopt), Received::kStale);
  EXPECT_EQ(client.Says({"a"}, "1", "late"), Received::kStale);
  EXPECT_EQ(client.Sees(Make({{"a", "a2"}, {"b", "b1"}})), "-");
  EXPECT_EQ(client.Says({"a", "b"}, "2", std::nullopt), Received::kAck);
  EXPECT_EQ(client.Sees(Make({{"a", "a2"}, {"b", "b1"}})), "3: b1");
}

TEST(Subscription, Row71RefusedIsNotSentAgainUntilItChanges) {
  for (const DeliveryRules& rules : {kCds, kEds}) {
    Client client(rules);
    client.Asks({"a"});
    EXPECT_EQ(client.Sees(Make({{"a", "bad"}})), "1: bad");
    client.Nacks({"a"});
    EXPECT_EQ(client.Sees(Make({{"a", "bad"}})), "-");
    EXPECT_EQ(client.Sees(Make({{"a", "good"}})), "2: good");
  }
}

TEST(Subscription, Row72VersionsOfAnEarlierServerMeanNothing) {
  Client client(kCds);
  EXPECT_EQ(client.Says({}, "nonce-of-another-stream", std::nullopt), Received::kSubscribed);
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "1: a1");
  EXPECT_EQ(client.Acks({}), Received::kAck);
}

TEST(Subscription, Row73WhatWentWhileAwayIsAbsentFromTheFirstResponse) {
  Client client(kCds);
  client.Asks({});
  EXPECT_EQ(client.Sees(Make({{"b", "b1"}})), "1: b1");
}

TEST(Subscription, Row74UnsubscribedAndSubscribedAgainIsSentAgain) {
  for (const DeliveryRules& rules : {kCds, kEds}) {
    Client client(rules);
    const EncodedResources same = Make({{"a", "a1"}, {"b", "b1"}});
    client.Asks({"a", "b"});
    EXPECT_EQ(client.Sees(same), "1: a1 b1");
    client.Acks({"a"});
    client.Sees(same);
    client.Acks({"a", "b"});
    const std::string again = client.Sees(same);
    EXPECT_NE(again.find("b1"), std::string::npos) << again;
  }
}

TEST(Subscription, NamesAddedAreSentEvenIfUnchangedSince) {
  Client client(kEds);
  const EncodedResources same = Make({{"a", "a1"}, {"b", "b1"}});
  client.Asks({"a"});
  EXPECT_EQ(client.Sees(same), "1: a1");
  client.Acks({"a", "b"});
  EXPECT_EQ(client.Sees(same), "2: b1");
}

TEST(Subscription, Row75EmptyListAfterNamesIsNotAWildcard) {
  Client client(kCds);
  client.Asks({"a"});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "1: a1");
  client.Acks({});
  EXPECT_FALSE(client.subscription().interest().wildcard());
  EXPECT_EQ(client.Sees(Make({{"a", "a2"}, {"b", "b2"}})), "-");
}

TEST(Subscription, TypesWithoutAWildcardGetNothingForNoNames) {
  Client client(kEds);
  client.Asks({});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "-");
}

TEST(Subscription, AStarIsAWildcardAlsoAfterNames) {
  Client client(kCds);
  client.Asks({"a"});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "1: a1");
  client.Acks({"*"});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "2: a1 b1");
}

TEST(Subscription, Row76AbsentThenCreatedIsDelivered) {
  Client client(kEds);
  client.Asks({"a"});
  EXPECT_EQ(client.Sees({}), "-");
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "1: a1");
  client.Acks({"a"});
  EXPECT_EQ(client.Sees({}), "-");
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "2: a1");
}

TEST(Subscription, AbsentNameOfAFullStateTypeIsAnsweredByItsAbsence) {
  Client client(kCds);
  client.Asks({"a"});
  EXPECT_EQ(client.Sees({}), "1: ");
  client.Acks({"a"});
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}})), "2: a1");
}

TEST(Subscription, NamesWithoutANonceCountButAcknowledgeNothing) {
  Client client(kEds);
  client.Asks({"a"});
  client.Sees(Make({{"a", "a1"}, {"b", "b1"}}));
  EXPECT_EQ(client.Asks({"a", "b"}), Received::kSubscribed);
  EXPECT_EQ(client.subscription().acked_version(), "");
  EXPECT_EQ(client.Sees(Make({{"a", "a1"}, {"b", "b1"}})), "2: b1");
}

}  // namespace
}  // namespace weft
