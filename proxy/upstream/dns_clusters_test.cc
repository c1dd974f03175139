#include "proxy/upstream/dns_clusters.h"

#include <gtest/gtest.h>

#include "absl/time/clock.h"
#include "proxy/dns/name_server_for_test.h"

namespace weft {
namespace {

class DnsClustersTest : public testing::Test {
 protected:
  DnsClustersTest()
      : server_(loop_),
        resolver_(loop_, Options(server_)),
        clusters_(loop_, resolver_, [this](const dns::Lookup& lookup, std::vector<Address> told) {
          std::string text;
          for (const Address& address : told) text += address.ip() + " ";
          told_[lookup.name].push_back(text);
        }) {
    often_.rate = often_.failure_base = often_.failure_max = absl::Milliseconds(5);
  }

  static dns::Resolver::Options Options(const dns::NameServerForTest& server) {
    dns::Resolver::Options options;
    options.servers = {server.address()};
    options.timeout = absl::Milliseconds(500);
    return options;
  }

  // Turns the loop until `condition`; false after 20 s.
  bool Eventually(const std::function<bool()>& condition) {
    const absl::Time end = absl::Now() + absl::Seconds(20);
    while (!condition() && absl::Now() < end) loop_.RunOnce(absl::Milliseconds(100));
    return condition();
  }

  std::string Last(const std::string& name) {
    return told_[name].empty() ? "nothing" : told_[name].back();
  }

  EventLoop loop_;
  dns::NameServerForTest server_;
  dns::Resolver resolver_;
  std::map<std::string, std::vector<std::string>> told_;
  DnsRefresh often_;
  DnsClusters clusters_;
};

TEST_F(DnsClustersTest, TellsEachNameAndItsChanges) {
  server_.Set("a.test", {"10.0.0.1"});
  server_.Set("b.test", {"10.0.0.2"});
  clusters_.Follow({{{"a.test"}, often_}, {{"b.test"}, often_}});
  EXPECT_TRUE(Eventually([&] { return Last("a.test") == "10.0.0.1 "; }));
  EXPECT_TRUE(Eventually([&] { return Last("b.test") == "10.0.0.2 "; }));
  server_.Set("a.test", {"10.0.0.1", "10.0.0.3"});
  EXPECT_TRUE(Eventually([&] { return Last("a.test") == "10.0.0.1 10.0.0.3 "; }));
}

TEST_F(DnsClustersTest, TellsTheFirstFailureAndTheRecovery) {
  clusters_.Follow({{{"late.test"}, often_}});
  EXPECT_TRUE(Eventually([&] { return Last("late.test") == ""; }));
  server_.Set("late.test", {"10.0.0.1"});
  EXPECT_TRUE(Eventually([&] { return Last("late.test") == "10.0.0.1 "; }));
  EXPECT_EQ(told_["late.test"].front(), "");
}

TEST_F(DnsClustersTest, AFailedRefreshKeepsTheLastAddresses) {
  server_.Set("a.test", {"10.0.0.1"});
  clusters_.Follow({{{"a.test"}, often_}});
  ASSERT_TRUE(Eventually([&] { return Last("a.test") == "10.0.0.1 "; }));
  server_.names.clear();
  const int asked = server_.asked[dns::kTypeA];
  // The second question after the change was sent when the first had been dealt with.
  ASSERT_TRUE(Eventually([&] { return server_.asked[dns::kTypeA] >= asked + 3; }));
  for (const std::string& told : told_["a.test"]) EXPECT_EQ(told, "10.0.0.1 ");
}

TEST_F(DnsClustersTest, ASilentServerIsToldOfInBoundedTime) {
  server_.silent = true;
  clusters_.Follow({{{"a.test"}, often_}});
  EXPECT_TRUE(Eventually([&] { return Last("a.test") == ""; }));
}

TEST_F(DnsClustersTest, NamesThatAreNoLongerFollowedAreNotAskedFor) {
  server_.Set("a.test", {"10.0.0.1"});
  server_.Set("b.test", {"10.0.0.2"});
  clusters_.Follow({{{"a.test"}, often_}});
  ASSERT_TRUE(Eventually([&] { return told_["a.test"].size() > 1; }));
  clusters_.Follow({{{"b.test"}, often_}});
  const size_t before = told_["a.test"].size();
  ASSERT_TRUE(Eventually([&] { return told_["b.test"].size() > 3; }));
  EXPECT_EQ(told_["a.test"].size(), before);
}

TEST(NextLookupIn, FollowsRateTtlAndFailures) {
  DnsRefresh plain;
  plain.rate = absl::Seconds(5);
  DnsRefresh by_ttl = plain;
  by_ttl.respect_ttl = true;
  DnsRefresh backing_off = plain;
  backing_off.failure_base = absl::Seconds(1);
  backing_off.failure_max = absl::Seconds(6);
  const struct {
    const char* what;
    DnsRefresh refresh;
    int failures;
    absl::Duration ttl;
    absl::Duration next;
  } cases[] = {
      {"the rate, whatever the TTL", plain, 0, absl::Seconds(60), absl::Seconds(5)},
      {"the TTL if asked for", by_ttl, 0, absl::Seconds(60), absl::Seconds(60)},
      {"a TTL of 0 is none", by_ttl, 0, absl::ZeroDuration(), absl::Seconds(5)},
      {"a TTL of years is an hour", by_ttl, 0, absl::Hours(9999), absl::Hours(1)},
      {"first failure", backing_off, 1, absl::ZeroDuration(), absl::Seconds(1)},
      {"third failure", backing_off, 3, absl::ZeroDuration(), absl::Seconds(4)},
      {"never above the most", backing_off, 1000, absl::ZeroDuration(), absl::Seconds(6)},
  };
  for (const auto& c : cases) {
    EXPECT_EQ(NextLookupIn(c.refresh, c.failures, c.ttl), c.next) << c.what;
  }
}

}  // namespace
}  // namespace weft
