#include "proxy/xds/subscription.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace weft {
namespace {

// "v=1 n=a [x,y]" or with " error=…"; "-" if there is nothing to send.
std::string Next(Subscription& subscription) {
  const auto request = subscription.NextRequest();
  if (!request.has_value()) return "-";
  return absl::StrCat("v=", request->version_info, " n=", request->response_nonce, " [",
                      absl::StrJoin(request->resource_names, ","), "]",
                      request->error.has_value() ? " error=" + *request->error : "");
}

std::string Held(const Subscription& subscription) {
  return absl::StrJoin(subscription.held(), " ", [](std::string* out, const auto& one) {
    absl::StrAppend(out, one.first, one.second.empty() ? "" : "@", one.second);
  });
}

TEST(Subscription, AsksAndAcknowledges) {
  Subscription all(kClusterType, Subscription::Scope::kAll);
  EXPECT_EQ(Next(all), "-");  // no stream yet
  all.OnStreamOpened();
  EXPECT_EQ(Next(all), "v= n= []");
  EXPECT_EQ(Next(all), "-");
  all.Accept({"1", "a", {{"c", "x", ""}, {"d", "y", ""}}, {}});
  EXPECT_EQ(Next(all), "v=1 n=a []");
  EXPECT_EQ(Held(all), "c d");
}

TEST(Subscription, FullStateForgetsWhatAResponseLacks) {
  Subscription all(kListenerType, Subscription::Scope::kAll);
  all.OnStreamOpened();
  all.Accept({"1", "a", {{"c", "x", ""}, {"d", "y", ""}}, {}});
  all.Accept({"2", "b", {{"d", "z", ""}}, {}});
  EXPECT_EQ(Held(all), "d");
}

TEST(Subscription, NamedResponsesMayBeAPart) {
  Subscription named(kEndpointType, Subscription::Scope::kNamed);
  named.SetNames({"d", "c", "c"});
  named.OnStreamOpened();
  EXPECT_EQ(Next(named), "v= n= [c,d]");
  named.Accept({"1", "a", {{"c", "x", ""}, {"unasked", "u", ""}}, {}});
  EXPECT_EQ(named.missing(), std::vector<std::string>{"d"});
  named.Accept({"2", "b", {{"d", "y", ""}}, {}});
  EXPECT_EQ(Held(named), "c d");
  EXPECT_TRUE(named.missing().empty());
}

TEST(Subscription, BadInput69_RejectionKeepsTheLastGoodAndItsVersion) {
  Subscription all(kClusterType, Subscription::Scope::kAll);
  all.OnStreamOpened();
  all.Accept({"1", "a", {{"c", "x", ""}}, {}});
  all.Reject({"2", "b", {{"c", "broken", ""}}, {}}, "cluster 'c': no type");
  EXPECT_EQ(Next(all), "v=1 n=b [] error=cluster 'c': no type");
  EXPECT_EQ(Held(all), "c");
  EXPECT_EQ(all.last_error(), "cluster 'c': no type");
  all.Accept({"3", "c", {{"c", "y", ""}}, {}});
  EXPECT_EQ(Next(all), "v=3 n=c []");
  EXPECT_EQ(all.last_error(), "");
}

TEST(Subscription, RejectsTheVeryFirstResponseWithoutAVersion) {
  Subscription all(kClusterType, Subscription::Scope::kAll);
  all.OnStreamOpened();
  all.Reject({"1", "a", {}, {}}, "no");
  EXPECT_EQ(Next(all), "v= n=a [] error=no");
}

TEST(Subscription, ChangedNamesGoOutWithTheLastVersionAndNonce) {
  Subscription named(kRouteType, Subscription::Scope::kNamed);
  named.OnStreamOpened();
  EXPECT_TRUE(named.SetNames({"r"}));
  EXPECT_EQ(Next(named), "v= n= [r]");
  named.Accept({"1", "a", {{"r", "x", ""}}, {}});
  EXPECT_EQ(Next(named), "v=1 n=a [r]");
  EXPECT_FALSE(named.SetNames({"r"}));
  EXPECT_EQ(Next(named), "-");
  EXPECT_TRUE(named.SetNames({"s"}));
  EXPECT_EQ(Next(named), "v=1 n=a [s]");
  EXPECT_EQ(Held(named), "");
}

TEST(Subscription, BadInput75_NoNamesIsNotAWildcard) {
  Subscription named(kEndpointType, Subscription::Scope::kNamed);
  named.OnStreamOpened();
  EXPECT_EQ(Next(named), "-");
  named.SetNames({"c"});
  EXPECT_EQ(Next(named), "v= n= [c]");
  named.SetNames({});
  EXPECT_EQ(Next(named), "v= n= []");  // after names on this stream: none any more
  named.OnStreamOpened();
  EXPECT_EQ(Next(named), "-");
}

TEST(Subscription, BadInput72_ANewStreamAsksAgainWithTheLastVersionAndNoNonce) {
  Subscription all(kClusterType, Subscription::Scope::kAll);
  all.OnStreamOpened();
  all.Accept({"7", "a", {{"c", "x", ""}}, {}});
  all.Reject({"8", "b", {}, {}}, "no");
  all.OnStreamOpened();
  EXPECT_EQ(Next(all), "v=7 n= []");
  EXPECT_EQ(Held(all), "c");
  all.Accept({"1", "z", {{"d", "y", ""}}, {}});  // the version went back: they are opaque
  EXPECT_EQ(Next(all), "v=1 n=z []");
  EXPECT_EQ(Held(all), "d");
}

TEST(Subscription, BadInput74_AskedForAgainIsHeldAgain) {
  Subscription named(kEndpointType, Subscription::Scope::kNamed);
  named.SetNames({"c"});
  named.OnStreamOpened();
  named.Accept({"1", "a", {{"c", "x", ""}}, {}});
  named.SetNames({});
  named.SetNames({"c"});
  EXPECT_EQ(Next(named), "v=1 n=a [c]");
  EXPECT_EQ(named.missing(), std::vector<std::string>{"c"});
  named.Accept({"1", "b", {{"c", "x", ""}}, {}});
  EXPECT_EQ(Held(named), "c");
}

// "+[c] -[d] have[c@1] n=a", with what is there; "-" if there is nothing to send.
std::string NextDelta(Subscription& subscription) {
  const auto request = subscription.NextRequest();
  if (!request.has_value()) return "-";
  std::vector<std::string> parts;
  const auto add = [&parts](absl::string_view what, const std::string& list) {
    if (!list.empty()) parts.push_back(absl::StrCat(what, "[", list, "]"));
  };
  add("+", absl::StrJoin(request->subscribe, ","));
  add("-", absl::StrJoin(request->unsubscribe, ","));
  add("have", absl::StrJoin(request->initial_versions, ",", absl::PairFormatter("@")));
  if (!request->response_nonce.empty()) parts.push_back("n=" + request->response_nonce);
  if (request->error.has_value()) parts.push_back("error=" + *request->error);
  return parts.empty() ? "all" : absl::StrJoin(parts, " ");
}

constexpr Subscription::Form kDelta = Subscription::Form::kDelta;

TEST(DeltaSubscription, SaysOnlyWhatChanges) {
  Subscription named(kEndpointType, Subscription::Scope::kNamed, kDelta);
  named.OnStreamOpened();
  EXPECT_EQ(NextDelta(named), "-");
  named.SetNames({"c", "d"});
  EXPECT_EQ(NextDelta(named), "+[c,d]");
  named.Accept({"9", "a", {{"c", "x", "1"}}, {}});
  EXPECT_EQ(NextDelta(named), "n=a");
  named.SetNames({"d", "e"});
  EXPECT_EQ(NextDelta(named), "+[e] -[c]");
  EXPECT_EQ(Held(named), "");
}

TEST(DeltaSubscription, EachResponseIsAnsweredByItsNonceOnce) {
  Subscription all(kClusterType, Subscription::Scope::kAll, kDelta);
  all.OnStreamOpened();
  EXPECT_EQ(NextDelta(all), "all");
  all.Accept({"", "a", {{"c", "x", "1"}, {"d", "y", "1"}}, {}});
  EXPECT_EQ(NextDelta(all), "n=a");
  EXPECT_EQ(NextDelta(all), "-");
  all.Accept({"", "b", {{"c", "z", "2"}}, {"d"}});
  EXPECT_EQ(NextDelta(all), "n=b");
  EXPECT_EQ(Held(all), "c@2");
}

TEST(DeltaSubscription, Row69RejectionKeepsTheLastGoodVersionButNotWhatIsGone) {
  Subscription all(kClusterType, Subscription::Scope::kAll, kDelta);
  all.OnStreamOpened();
  EXPECT_EQ(NextDelta(all), "all");
  all.Accept({"", "a", {{"c", "x", "1"}, {"d", "y", "1"}}, {}});
  EXPECT_EQ(NextDelta(all), "n=a");
  all.Reject({"", "b", {{"c", "bad", "2"}}, {"d"}}, "no");
  EXPECT_EQ(NextDelta(all), "n=b error=no");
  EXPECT_EQ(Held(all), "c@1");
}

TEST(DeltaSubscription, Row73AReconnectTellsWhatIsHeldSoThatRemovalsAreNotLost) {
  Subscription all(kClusterType, Subscription::Scope::kAll, kDelta);
  all.OnStreamOpened();
  all.Accept({"", "a", {{"c", "x", "1"}, {"d", "y", "5"}}, {}});
  all.OnStreamOpened();
  EXPECT_EQ(NextDelta(all), "have[c@1,d@5]");
  all.Accept({"", "z", {}, {"d"}});
  EXPECT_EQ(NextDelta(all), "n=z");
  EXPECT_EQ(Held(all), "c@1");

  Subscription named(kEndpointType, Subscription::Scope::kNamed, kDelta);
  named.SetNames({"c", "d"});
  named.OnStreamOpened();
  named.Accept({"", "a", {{"c", "x", "3"}}, {}});
  named.OnStreamOpened();
  EXPECT_EQ(NextDelta(named), "+[c,d] have[c@3]");
}

TEST(DeltaSubscription, Row74AskedForAgainBeforeAnythingWasSaid) {
  Subscription named(kEndpointType, Subscription::Scope::kNamed, kDelta);
  named.OnStreamOpened();
  named.SetNames({"c"});
  EXPECT_EQ(NextDelta(named), "+[c]");
  named.Accept({"", "a", {{"c", "x", "1"}}, {}});
  EXPECT_EQ(NextDelta(named), "n=a");
  named.SetNames({});
  named.SetNames({"c"});
  EXPECT_EQ(NextDelta(named), "+[c]");
  named.SetNames({});
  EXPECT_EQ(NextDelta(named), "-[c]");
  named.SetNames({"c"});
  EXPECT_EQ(NextDelta(named), "+[c]");
}

}  // namespace
}  // namespace weft
